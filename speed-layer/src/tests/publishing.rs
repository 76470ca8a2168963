//! New generations, rollbacks, and readers that are still at another one.

use dovetail_core::realtime::RealtimeError;
use dovetail_testkit::fixtures::cut;
use dovetail_testkit::waiting::eventually;

use super::rig::{CLICKS, Rig};

/// Slices of partition 0 that a view is read as.
async fn ranges(rig: &Rig, view: &str, start: &[i64]) -> Vec<(i64, i64)> {
    let realtime = rig.read_all(view, &cut(start)).await;
    let slices = realtime.slices.iter().filter(|slice| slice.partition == 0);
    slices.map(|slice| (slice.range.start, slice.range.end)).collect()
}

#[tokio::test]
async fn a_cut_inside_a_slice_is_folded_again() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 200).await;
    assert_eq!(ranges(&rig, "total", &[0]).await.first().unwrap().0, 0);
    let at = cut(&[77, 0]);
    rig.publish_all(&at).await;
    rig.check_all(&at).await;
    rig.append_clicks(0, 200, 300).await;
    rig.check_all(&at).await;
    // Readers of the generation before go on as well.
    rig.check_all(&cut(&[])).await;
}

#[tokio::test]
async fn the_cut_of_a_run_under_way_does_not_lead_the_split_astray() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 200).await;
    rig.check_all(&cut(&[])).await;
    rig.publish_all(&cut(&[150, 0])).await;
    rig.check_all(&cut(&[150, 0])).await;
    // A run that started from less, and a rollback to less than that, all in one slice of [0, 150).
    rig.start_run(&cut(&[30, 0])).await;
    rig.check_all(&cut(&[150, 0])).await;
    let run = rig.catalog.runs(1).await.unwrap()[0].id;
    let at = cut(&[120, 0]);
    rig.publish_run(run, &rig.views.iter().map(|v| (v.name.as_str(), &at)).collect::<Vec<_>>()).await;
    rig.check_all(&at).await;
}

#[tokio::test]
async fn a_cut_at_the_head_or_ahead_of_it_leaves_nothing_to_read() {
    let mut rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 100).await;
    rig.check_all(&cut(&[])).await;
    let at = cut(&[100, 0]);
    rig.publish_all(&at).await;
    rig.check_all(&at).await;
    rig.stop().await;
    // Ahead of the head: the layer starts at 100 while 150 is published.
    rig.append_clicks(0, 100, 160).await;
    rig.start(super::rig::config()).await;
    let ahead = cut(&[150, 0]);
    rig.publish_all(&ahead).await;
    rig.check_all(&ahead).await;
}

#[tokio::test]
async fn the_cut_before_is_kept_until_the_next_generation() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 100).await;
    rig.check_all(&cut(&[])).await;
    for (before, at) in [(0, 40), (40, 60), (60, 90)] {
        rig.publish_all(&cut(&[at, 0])).await;
        rig.check_all(&cut(&[at, 0])).await;
        rig.check_all(&cut(&[before, 0])).await;
        assert_eq!(ranges(&rig, "total", &[before, 0]).await[0].0, before);
    }
    let gone = rig.refused("total", &cut(&[40, 0])).await;
    assert!(matches!(gone, RealtimeError::Dropped { start: 40, from: 60, .. }), "{gone}");
    // Another generation with the same cut retires nothing.
    rig.publish_all(&cut(&[90, 0])).await;
    eventually("the view to be read from the cut", async || rig.try_read("total", &cut(&[90, 0])).await.ok()).await;
    rig.check_all(&cut(&[60, 0])).await;
}

#[tokio::test]
async fn a_rollback_folds_from_the_log_again() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 100).await;
    rig.append_clicks(1, 0, 50).await;
    let first = rig.publish_all(&cut(&[20, 10])).await;
    rig.check_all(&cut(&[20, 10])).await;
    for at in [[60, 20], [80, 50]] {
        rig.publish_all(&cut(&at)).await;
        rig.check_all(&cut(&at)).await;
    }
    rig.catalog.rollback(first, rig.current().await).await.unwrap();
    rig.check_all(&cut(&[20, 10])).await;
    // Readers that had not heard of it yet.
    rig.check_all(&cut(&[80, 50])).await;
    rig.append_clicks(0, 100, 130).await;
    rig.check_all(&cut(&[20, 10])).await;
}

#[tokio::test]
async fn a_view_of_no_generation_waits_for_one() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 100).await;
    let at = cut(&[70, 0]);
    rig.publish(&[("total", &at)]).await;
    let total = rig.read_all("total", &at).await;
    rig.check("total", &at, &total).await;
    let unfilled = rig.refused("per_page", &at).await;
    assert!(matches!(unfilled, RealtimeError::Unfilled(_)), "{unfilled}");
    rig.publish_all(&at).await;
    rig.check_all(&at).await;
}

#[tokio::test]
async fn views_of_one_stream_have_cuts_of_their_own() {
    let mut rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 150).await;
    let (low, high) = (cut(&[15, 0]), cut(&[120, 0]));
    let cuts = [("per_page", &low), ("total", &high), ("slow", &low)];
    rig.publish(&cuts).await;
    for round in 0..2 {
        for (view, at) in cuts {
            let realtime = rig.read_all(view, at).await;
            rig.check(view, at, &realtime).await;
        }
        if round == 0 {
            rig.stop().await;
            rig.append_clicks(0, 150, 200).await;
            rig.start(super::rig::config()).await;
        }
    }
}

#[tokio::test]
async fn a_boundary_that_was_announced_costs_no_second_fold() {
    let rig = Rig::started(CLICKS).await;
    // Wherever batches of the decoded log end: an end of a segment is one.
    rig.layer().expect_boundary(&rig.stream.name, 0, 70);
    rig.layer().expect_boundary(&rig.stream.name, 0, 73);
    rig.append_clicks(0, 0, 70).await;
    rig.read_all("total", &cut(&[])).await;
    rig.append_clicks(0, 70, 200).await;
    let asked = {
        rig.check_all(&cut(&[])).await;
        assert!(ranges(&rig, "total", &[0]).await.iter().any(|range| range.1 == 70));
        assert!(ranges(&rig, "total", &[0]).await.iter().any(|range| range.1 == 73));
        rig.asked()
    };
    let at = cut(&[73, 0]);
    rig.publish_all(&at).await;
    rig.read("total", &at).await;
    // `read` asks the layer only: nothing was read from the log, except by the layer itself.
    assert_eq!(rig.asked(), asked);
}
