//! Memory: what asks for a batch run, what pauses, and what slices of rows hold.

use std::time::Duration;

use arrow::array::RecordBatch;
use dovetail_testkit::fixtures::cut;
use dovetail_testkit::waiting::eventually;

use super::rig::{CLICKS, Rig, config};
use crate::{FoldState, SpeedConfig};

const ROWS: &str = "
CREATE EXTERNAL TABLE clicks (user_id BIGINT NOT NULL, page VARCHAR, ms BIGINT)
STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '1', 'key' 'user_id');
CREATE VIEW everything AS SELECT _offset, _key, page, upper(page) AS big FROM clicks;
CREATE VIEW few AS SELECT _offset, page FROM clicks WHERE user_id = 13;
";

#[tokio::test]
async fn above_the_limit_a_run_is_asked_for_and_above_twice_of_it_folding_pauses() {
    let mut rig = Rig::new(CLICKS).await;
    rig.start(SpeedConfig { memory_limit: 0, ..config() }).await;
    rig.append_clicks(0, 0, 500).await;
    rig.layer().pressure().notified().await;
    rig.state(0, |state| *state == FoldState::Paused).await;
    // The folded part is still read, and the answer has its head.
    let realtime = rig.read("total", &cut(&[])).await;
    assert!(realtime.head.get(0) < 500);
    rig.check("total", &cut(&[]), &realtime).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_published_generation_lets_folding_go_on() {
    let mut rig = Rig::new(ROWS).await;
    let memory_limit = 20_000;
    rig.start(SpeedConfig { memory_limit, ..config() }).await;
    rig.append_clicks(0, 0, 3000).await;
    rig.state(0, |state| *state == FoldState::Paused).await;
    let head = rig.status(0).head;
    assert!(head < 3000);
    assert!(rig.layer().bytes() < 4 * memory_limit, "{} bytes", rig.layer().bytes());
    // Nothing happens while it is paused, to the processor neither.
    let asked = rig.asked();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((rig.asked(), rig.status(0).head), (asked, head));
    for at in [head, 2900] {
        rig.publish_all(&cut(&[at])).await;
        eventually("folding to go on", async || (rig.status(0).head > at.min(2890)).then_some(())).await;
    }
    rig.state(0, |state| *state == FoldState::Folding).await;
    rig.check_all(&cut(&[2900])).await;
}

#[tokio::test]
async fn slices_of_rows_hold_their_rows_only() {
    let rig = Rig::started(ROWS).await;
    rig.append_clicks(0, 0, 5000).await;
    for view in ["everything", "few"] {
        let realtime = rig.read_all(view, &cut(&[])).await;
        rig.check(view, &cut(&[]), &realtime).await;
        let batches: Vec<&RecordBatch> = realtime.slices.iter().flat_map(|slice| slice.state.iter()).collect();
        let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        let bytes: usize = batches.iter().map(|batch| batch.get_array_memory_size()).sum();
        assert!(bytes < rows * 100 + 20_000, "{view}: {rows} rows in {bytes} bytes");
        assert!(batches.len() < 20, "{view}: {} batches", batches.len());
    }
    assert!(rig.status(0).slices < 40);
}

#[tokio::test]
async fn rows_do_not_hold_decoded_batches_although_nobody_reads() {
    let rig = Rig::started(ROWS).await;
    let lines: Vec<String> =
        (0..400).map(|i| format!(r#"{{"user_id": {}, "page": "p", "filler": "{:03000}"}}"#, i, i)).collect();
    rig.append(0, &lines).await;
    eventually("all records to be folded", async || (rig.status(0).head == 400).then_some(())).await;
    assert!(rig.layer().bytes() < 200_000, "{} bytes", rig.layer().bytes());
}
