//! Folding and reading while records come, and after a restart.

use dovetail_core::realtime::{Realtime, RealtimeError};
use dovetail_testkit::fixtures::{click, cut, name};
use dovetail_testkit::waiting::eventually;

use super::rig::{CLICKS, Rig};

#[tokio::test]
async fn everything_is_read_from_the_start_before_any_generation() {
    let rig = Rig::started(CLICKS).await;
    rig.check_all(&cut(&[])).await;
    rig.append_clicks(0, 0, 100).await;
    rig.append_clicks(1, 100, 130).await;
    rig.check_all(&cut(&[])).await;
    assert_eq!(rig.layer().head(&name("total")).unwrap(), [(0, 100), (1, 30)].into_iter().collect());
    let unknown = rig.layer().read(&name("nothing"), &cut(&[])).await.unwrap_err();
    assert_eq!(unknown, RealtimeError::UnknownView(name("nothing")));
}

#[tokio::test]
async fn an_answer_at_any_moment_is_that_of_one_fold() {
    let rig = Rig::started(CLICKS).await;
    let appending = async {
        for i in 0..60 {
            rig.append_clicks(i % 2, i as usize * 20, i as usize * 20 + 17).await;
        }
    };
    let reading = async {
        let mut last = 0;
        for i in 0..40 {
            let view = ["per_page", "total", "slow"][i % 3];
            let realtime = rig.read(view, &cut(&[])).await;
            rig.check(view, &cut(&[]), &realtime).await;
            assert!(realtime.head.total() >= last, "heads only move forward");
            last = realtime.head.total();
        }
    };
    tokio::join!(appending, reading);
    rig.check_all(&cut(&[])).await;
}

#[tokio::test]
async fn it_starts_again_at_the_cut() {
    let mut rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 100).await;
    rig.append_clicks(1, 100, 130).await;
    rig.check_all(&cut(&[])).await;
    let at = cut(&[60, 13]);
    rig.publish_all(&at).await;
    rig.stop().await;
    rig.append_clicks(0, 200, 250).await;
    rig.start(super::rig::config()).await;
    rig.check_all(&at).await;
    let before = rig.try_read("total", &cut(&[])).await.unwrap_err();
    assert!(matches!(before, RealtimeError::Dropped { .. }), "{before}");
}

#[tokio::test]
async fn a_partition_without_records_is_there() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(1, 0, 10).await;
    let realtime = rig.read_all("per_page", &cut(&[])).await;
    rig.check("per_page", &cut(&[]), &realtime).await;
    assert_eq!((realtime.head.get(0), realtime.head.get(1)), (0, 10));
    assert_eq!(realtime.head.partitions().count(), 2);
}

#[tokio::test]
async fn bad_records_are_passed_over() {
    let rig = Rig::started(CLICKS).await;
    let mut lines: Vec<String> = (0..50).map(click).collect();
    for bad in [0, 7, 8, 49] {
        lines[bad] = "{\"user_id\": \"nobody\"".to_owned();
    }
    rig.append(0, &lines).await;
    rig.check_all(&cut(&[])).await;
    let total = rig.read_all("total", &cut(&[])).await;
    assert_eq!(total.head.get(0), 50);
}

#[tokio::test]
async fn many_readers_and_the_folding_do_not_hold_each_other_up() {
    let rig = Rig::started(CLICKS).await;
    let readers = (0..32).map(async |_| {
        for _ in 0..50 {
            rig.try_read("per_page", &cut(&[])).await.ok();
        }
    });
    let readers = futures::future::join_all(readers);
    tokio::join!(readers, rig.append_clicks(0, 0, 2000));
    rig.check_all(&cut(&[])).await;
    // Every read sealed what was open: slices were merged as fast as they were made.
    let slices = rig.status(0).slices;
    assert!(slices <= 3 * 12, "{slices} slices");
    eventually("all records to be folded", async || (rig.status(0).head == 2000).then_some(())).await;
}
