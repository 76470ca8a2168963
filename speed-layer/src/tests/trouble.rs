//! Faults: bad records, views that cannot be folded, a log that is away or trimmed.

use std::time::Duration;

use dovetail_core::realtime::{Realtime, RealtimeError, Stall};
use dovetail_ingestion::log::Log;
use dovetail_testkit::fixtures::{click, cut, name};
use dovetail_testkit::waiting::eventually;

use super::rig::{CLICKS, Rig, config};
use crate::{FoldState, SpeedConfig};

const STOPPING: &str = "
CREATE EXTERNAL TABLE clicks (user_id BIGINT NOT NULL, page VARCHAR, ms BIGINT)
STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2', 'on_bad_record' 'stop');
CREATE VIEW total AS SELECT count(*) AS n, count(DISTINCT user_id) AS users FROM clicks;
";

const DIVIDING: &str = "
CREATE EXTERNAL TABLE clicks (user_id BIGINT NOT NULL, page VARCHAR, ms BIGINT)
STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2');
CREATE VIEW rates WITH (on_error = 'stop') AS SELECT page, sum(1000 / ms) AS rate FROM clicks GROUP BY page;
CREATE VIEW total AS SELECT count(*) AS n FROM clicks;
";

fn stopped(state: &FoldState) -> bool {
    matches!(state, FoldState::Stopped { .. })
}

#[tokio::test]
async fn a_bad_record_stops_its_partition_at_its_offset() {
    let rig = Rig::started(STOPPING).await;
    let mut lines: Vec<String> = (0..50).map(click).collect();
    lines[33] = "no click".to_owned();
    rig.append(0, &lines).await;
    rig.append_clicks(1, 0, 20).await;
    let state = rig.state(0, stopped).await;
    let FoldState::Stopped { view: None, why } = state else { panic!("{state:?}") };
    assert!(why.starts_with("bad record at offset 33: "), "{why}");
    assert_eq!(rig.layer().stalled(&name("total")), [(0, Stall::stopped(why))]);
    assert_eq!(rig.status(0).head, 33);
    // Everything before is read, and the other partition goes on.
    eventually("the other partition to go on", async || (rig.status(1).head == 20).then_some(())).await;
    let realtime = rig.read("total", &cut(&[])).await;
    rig.check("total", &cut(&[]), &realtime).await;
    assert_eq!((realtime.head.get(0), realtime.head.get(1)), (33, 20));
    let asked = rig.asked();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(rig.asked(), asked, "a stopped partition asks for nothing");
    // Another cut is another try: it stops again.
    rig.publish_all(&cut(&[20, 0])).await;
    let realtime = rig.read("total", &cut(&[20, 0])).await;
    rig.check("total", &cut(&[20, 0]), &realtime).await;
    rig.state(0, stopped).await;
    assert_eq!(rig.status(0).head, 33);
}

#[tokio::test]
async fn a_view_that_cannot_be_folded_stops_alone() {
    let mut rig = Rig::started(DIVIDING).await;
    let mut lines: Vec<String> = (1..80).map(click).collect();
    lines[41] = r#"{"user_id": 1, "page": "/", "ms": 0}"#.to_owned();
    rig.append(0, &lines).await;
    let total = rig.read_all("total", &cut(&[])).await;
    rig.check("total", &cut(&[]), &total).await;
    let state = rig.state(0, stopped).await;
    let FoldState::Stopped { view: Some(view), why } = state else { panic!("{state:?}") };
    assert!(view == name("rates") && why.contains("ivide by zero"), "{why}");
    assert_eq!(rig.layer().stalled(&view), [(0, Stall::stopped(why))]);
    assert_eq!(rig.layer().stalled(&name("total")), []);
    // The part that it folded before is complete.
    let rates = rig.read("rates", &cut(&[])).await;
    assert!(rates.head.get(0) <= 41);
    rig.check("rates", &cut(&[]), &rates).await;
    // Behind the bad record it goes on.
    let at = cut(&[60, 0]);
    rig.publish_all(&at).await;
    let realtime = rig.read_all("rates", &at).await;
    assert_eq!(realtime.slices[0].range.start, 60);
    rig.state(0, |state| *state == FoldState::Folding).await;
    let before = rig.try_read("rates", &cut(&[5, 0])).await.unwrap_err();
    assert!(matches!(before, RealtimeError::Dropped { .. }), "{before}");
    rig.stop().await;
}

#[tokio::test]
async fn a_log_that_is_away_stalls_and_comes_back() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 50).await;
    rig.check_all(&cut(&[])).await;
    rig.log_goes_away();
    rig.append_clicks(0, 50, 100).await;
    let state = rig.state(0, |state| matches!(state, FoldState::Stalled(_))).await;
    assert!(matches!(&state, FoldState::Stalled(why) if why.contains("store failed")), "{state:?}");
    let realtime = rig.read("total", &cut(&[])).await;
    assert_eq!(realtime.head.get(0), 50, "readers are answered");
    let asked = rig.asked();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(rig.asked() - asked < 10, "it asks ever less often");
    rig.log.faults.heal();
    rig.check_all(&cut(&[])).await;
    assert_eq!(rig.status(0).state, FoldState::Folding);
}

#[tokio::test]
async fn a_log_that_is_back_is_well_also_when_it_has_nothing_new() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 30).await;
    rig.read_all("total", &cut(&[])).await;
    rig.log_breaks_off();
    rig.state(0, |state| matches!(state, FoldState::Stalled(_))).await;
    // The log is away for longer than the first look at it.
    let asked = rig.asked();
    eventually("the log to be asked again", async || (rig.asked() > asked + 2).then_some(())).await;
    rig.log.faults.heal();
    rig.state(0, |state| *state == FoldState::Folding).await;
}

#[tokio::test]
async fn it_starts_while_the_log_is_away() {
    let mut rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 0, 50).await;
    rig.log_goes_away();
    rig.start(config()).await;
    rig.state(1, |state| matches!(state, FoldState::Stalled(_))).await;
    // Reading all the time does not keep it from trying again.
    let reading = async {
        for _ in 0..200 {
            rig.try_read("total", &cut(&[])).await.ok();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    reading.await;
    rig.log.faults.heal();
    rig.check_all(&cut(&[])).await;
    for partition in [0, 1] {
        rig.state(partition, |state| *state == FoldState::Folding).await;
    }
}

#[tokio::test]
async fn a_log_that_does_not_reach_the_cut_stops_until_a_generation_that_does() {
    let mut rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 0, 400).await;
    rig.publish(&[("total", &cut(&[10, 0])), ("slow", &cut(&[390, 0]))]).await;
    rig.log.trim(&rig.stream.topic, 0, 300).await.unwrap();
    let first = rig.log.bounds(&rig.stream.topic, 0).await.unwrap().start;
    assert!(first > 10, "nothing was trimmed");
    rig.start(config()).await;
    let state = rig.state(0, stopped).await;
    let FoldState::Stopped { view: Some(view), why } = state else { panic!("{state:?}") };
    assert!(view == name("total") && why.contains("offset 10 is gone"), "{why}");
    // The other view is not stalled.
    let slow = rig.read_all("slow", &cut(&[390, 0])).await;
    assert_eq!(slow.head.get(0), 400);
    let at = cut(&[300, 0]);
    rig.publish(&[("total", &at), ("slow", &cut(&[390, 0]))]).await;
    let total = rig.read_all("total", &at).await;
    assert_eq!(total.head.get(0), 400);
    rig.state(0, |state| *state == FoldState::Folding).await;
}

#[tokio::test]
async fn a_slice_that_cannot_be_folded_again_is_given_up() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 400).await;
    rig.read_all("total", &cut(&[])).await;
    rig.log.trim(&rig.stream.topic, 0, 300).await.unwrap();
    let at = cut(&[350, 0]);
    rig.publish(&[("total", &at)]).await;
    let total = rig.read_all("total", &at).await;
    assert_eq!((total.slices[0].range.start, total.head.get(0)), (350, 400));
}

#[tokio::test]
async fn what_was_landed_and_trimmed_is_not_taken_for_the_beginning() {
    let mut rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 0, 400).await;
    rig.catalog.init_partition(&rig.stream.topic, 0, 0).await.unwrap();
    rig.log.trim(&rig.stream.topic, 0, 300).await.unwrap();
    rig.start(config()).await;
    let refused = eventually("the view to be refused", async || match rig.try_read("total", &cut(&[])).await {
        Err(error @ RealtimeError::Unfilled(_)) => Some(error),
        Ok(realtime) => panic!("it was answered, up to {}", realtime.head),
        Err(_) => None,
    });
    refused.await;
}

#[tokio::test]
async fn a_log_that_begins_late_is_read_from_there() {
    let mut rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 0, 400).await;
    rig.log.trim(&rig.stream.topic, 0, 300).await.unwrap();
    rig.start(config()).await;
    let first = rig.log.bounds(&rig.stream.topic, 0).await.unwrap().start;
    let realtime = rig.read_all("total", &cut(&[])).await;
    dovetail_core::meet::meet(&cut(&[]), &realtime, 2).unwrap();
    assert_eq!(realtime.slices[0].range.end, first);
    assert_eq!(realtime.head.get(0), 400);
    // A generation from there.
    let at = cut(&[360, 0]);
    rig.publish_all(&at).await;
    assert_eq!(rig.read_all("total", &at).await.slices[0].range.start, 360);
    assert_eq!(rig.read_all("total", &cut(&[])).await.head.get(0), 400, "for readers of generation 0");
}

#[tokio::test]
async fn another_log_under_the_same_name_is_noticed() {
    let mut rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 0, 20).await;
    rig.publish_all(&cut(&[500, 0])).await;
    rig.start(config()).await;
    let state = rig.state(0, stopped).await;
    assert!(
        matches!(&state, FoldState::Stopped { why, .. } if why.contains("ends at 20, before the cut 500")),
        "{state:?}"
    );
}

#[tokio::test]
async fn a_catalog_that_is_away_leaves_everything_as_it_is() {
    let rig = Rig::started(CLICKS).await;
    rig.append_clicks(0, 0, 50).await;
    rig.check_all(&cut(&[])).await;
    rig.catalog.close().await;
    rig.append_clicks(0, 50, 100).await;
    rig.check_all(&cut(&[])).await;
}

#[tokio::test]
async fn an_idle_layer_asks_for_nothing_and_stops_at_once() {
    let mut rig = Rig::new(CLICKS).await;
    rig.start(SpeedConfig { poll_interval: Duration::from_secs(3600), ..config() }).await;
    rig.append_clicks(0, 0, 50).await;
    rig.check_all(&cut(&[])).await;
    let asked = rig.asked();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(rig.asked(), asked);
    let layer = std::sync::Arc::clone(rig.layer());
    rig.stop().await;
    let ended = layer.read(&name("total"), &cut(&[])).await.unwrap().whole().unwrap_err();
    assert!(matches!(ended, RealtimeError::Stopped { .. }), "{ended}");
}
