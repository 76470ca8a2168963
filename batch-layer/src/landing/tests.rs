#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use dovetail_core::assignment::Assignment;
use dovetail_core::catalog::{Segment, Trigger};
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::column;
use dovetail_core::store::path::{self, Unique};
use dovetail_testkit::store::{StoreFault, puts};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{LandingParts, LandingState, SegmentEnd};
use crate::config::LandingConfig;
use crate::tests::{CLICKS, Rig, small_segments};

async fn parquet(rig: &Rig, path: &str) -> Vec<RecordBatch> {
    let content = rig.store.get(&path.into()).await.unwrap();
    let rows = ParquetRecordBatchReaderBuilder::try_new(content).unwrap().build().unwrap();
    rows.map(Result::unwrap).collect()
}

async fn segments(rig: &Rig, partition: i32) -> Vec<Segment> {
    let all = rig.catalog.segments(rig.topic()).await.unwrap();
    all.into_iter().filter(|segment| segment.partition == partition).collect()
}

/// Segments lie end to end and hold every record of the log: its row as decoded, or its dead letter.
async fn check_exact(rig: &Rig) {
    let mut landed = vec![];
    for partition in 0..rig.decoded_log.partitions().cast_signed() {
        let mut at = 0;
        let mut offsets: Vec<i64> = vec![];
        for segment in segments(rig, partition).await {
            assert_eq!(segment.range.start, at);
            at = segment.range.end;
            let rows = parquet(rig, &segment.path).await;
            assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, segment.rows);
            landed.extend(rows.clone());
            for batch in &rows {
                offsets.extend(batch[column::OFFSET].as_primitive::<Int64Type>().values());
            }
            let Some(dead) = &segment.dead_path else { continue };
            for batch in parquet(rig, dead).await {
                offsets.extend(batch["offset"].as_primitive::<Int64Type>().values());
                assert!(batch["error"].as_string::<i32>().iter().all(|error| error.is_some_and(|e| !e.is_empty())));
            }
        }
        offsets.sort_unstable();
        let end = rig.log.bounds(rig.topic(), partition).await.unwrap().end;
        assert_eq!(offsets, (0..end).collect::<Vec<_>>(), "partition {partition}");
    }
    let schema = rig.streams[0].decoded_schema();
    let expected = concat_batches(&schema, &rig.log_rows().await).unwrap();
    assert_eq!(concat_batches(&schema, &landed).unwrap(), expected);
}

fn spawn(rig: &Rig, landing: &Arc<LandingParts>) -> TaskTracker {
    let tracker = TaskTracker::new();
    landing
        .segment_writers(&rig.decoded_log, 0..rig.decoded_log.partitions(), None)
        .into_iter()
        .for_each(|segment_writer| drop(tracker.spawn(segment_writer.run())));
    tracker.close();
    tracker
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_landed_once() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 700).await;
    let landing = rig.landing(small_segments());
    let mut announced = landing.ends.subscribe();
    let tracker = spawn(&rig, &landing);
    rig.landed().await;
    rig.append_clicks(700, 30).await;
    rig.landed().await;
    landing.shutdown.cancel();
    tracker.wait().await;
    check_exact(&rig).await;
    for partition in 0..2 {
        assert!(segments(&rig, partition).await.len() > 5, "segments are closed by size");
    }
    let mut ends = vec![];
    while let Ok(SegmentEnd { partition, end, .. }) = announced.try_recv() {
        ends.push((partition, end));
    }
    ends.sort_unstable();
    let recorded = rig.catalog.segments(rig.topic()).await.unwrap();
    assert_eq!(ends, recorded.iter().map(|s| (s.partition, s.range.end)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_landers_of_one_partition_fence_each_other() {
    let rig = Rig::new(CLICKS).await;
    let landings = [rig.landing(small_segments()), rig.landing(small_segments())];
    let trackers = landings.each_ref().map(|landing| spawn(&rig, landing));
    for from in 0..8 {
        rig.append_clicks(from * 100, 100).await;
    }
    rig.landed().await;
    for (landing, tracker) in landings.iter().zip(&trackers) {
        landing.shutdown.cancel();
        tracker.wait().await;
    }
    check_exact(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_writer_left_is_ignored() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 50).await;
    let unique = Unique { writer: 999, sequence: 0 };
    let left = path::segment(rig.topic(), 0, OffsetRange::new(0, 37), unique);
    rig.store.put_new(&left, bytes::Bytes::from_static(b"half a segment")).await.unwrap();
    rig.land().await;
    check_exact(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_stalls_the_landing_and_loses_nothing() {
    let rig = Rig::new(CLICKS).await;
    rig.fake.faults.set(StoreFault::FULL, puts(""));
    rig.append_clicks(0, 300).await;
    let landing = rig.landing(small_segments());
    let mut status = landing.board.subscribe();
    let tracker = spawn(&rig, &landing);
    let is_stalled =
        |state: &LandingState| matches!(state, LandingState::Stalled { reason } if reason.contains("no space left"));
    status.wait_for(|status| status.values().all(|landing| is_stalled(&landing.state))).await.unwrap();
    assert!(rig.catalog.segments(rig.topic()).await.unwrap().is_empty());
    rig.fake.faults.heal();
    rig.landed().await;
    status.wait_for(|status| status.values().all(|landing| landing.state == LandingState::Landing)).await.unwrap();
    landing.shutdown.cancel();
    tracker.wait().await;
    check_exact(&rig).await;
    let sizes = rig.fake.arrived().len();
    let recorded = rig.catalog.segments(rig.topic()).await.unwrap();
    let objects: usize = recorded.iter().map(|s| 1 + usize::from(s.dead_path.is_some())).sum();
    assert_eq!(sizes, objects, "an attempt that failed is repeated under the same path");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_back_is_well_also_when_it_has_nothing_new() {
    let (rig, log) = Rig::new(CLICKS).await.on_fake_log().await;
    rig.append_clicks(0, 30).await;
    let landing = rig.landing(small_segments());
    let mut status = landing.board.subscribe();
    let tracker = spawn(&rig, &landing);
    rig.landed().await;
    log.faults.set(dovetail_testkit::log::LogFault::unreachable("away"), |_| true);
    let is_stalled =
        |state: &LandingState| matches!(state, LandingState::Stalled { reason } if reason.contains("away"));
    status.wait_for(|status| status.values().all(|landing| is_stalled(&landing.state))).await.unwrap();
    log.faults.heal();
    let well = status.wait_for(|status| status.values().all(|landing| landing.state == LandingState::Landing));
    tokio::time::timeout(Duration::from_secs(60), well).await.unwrap().unwrap();
    landing.shutdown.cancel();
    tracker.wait().await;
    check_exact(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_does_not_keep_the_process() {
    let rig = Rig::new(CLICKS).await;
    rig.fake.faults.set(StoreFault::HoldsBefore, puts("segments/"));
    rig.append_clicks(0, 300).await;
    let landing = rig.landing(small_segments());
    let tracker = spawn(&rig, &landing);
    rig.fake.faults.until_met().await;
    landing.shutdown.cancel();
    tracker.wait().await;
    rig.fake.faults.heal();
    rig.land().await;
    check_exact(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_comes_back_while_its_lander_ends_is_landed() {
    let rig = Rig::new(CLICKS).await;
    rig.fake.faults.set(StoreFault::HoldsBefore, puts("segments/"));
    rig.append_clicks(0, 300).await;
    let landing = rig.landing(LandingConfig { stop_grace: Duration::from_secs(1), ..small_segments() });
    let all =
        || Assignment::from([(rig.streams[0].name.clone(), (0..rig.decoded_log.partitions().cast_signed()).collect())]);
    let assignment = watch::Sender::new(all());
    let tracker = TaskTracker::new();
    for segment_writer in
        landing.segment_writers(&rig.decoded_log, 0..rig.decoded_log.partitions(), Some(&assignment.subscribe()))
    {
        drop(tracker.spawn(segment_writer.run()));
    }
    tracker.close();
    rig.fake.faults.until_met().await;
    assignment.send_replace(Assignment::new());
    // It waits for its store for as long as the grace, and then it has the partition again.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assignment.send_replace(all());
    rig.fake.faults.heal();
    rig.landed().await;
    landing.shutdown.cancel();
    tracker.wait().await;
    check_exact(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_process_lands_what_it_holds() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 20).await;
    let patient = LandingConfig {
        segment_bytes: 1 << 20,
        segment_age: Duration::from_secs(3600),
        stop_grace: Duration::from_secs(60),
        ..small_segments()
    };
    let landing = rig.landing(patient);
    let tracker = spawn(&rig, &landing);
    let mut status = landing.board.subscribe();
    status.wait_for(|status| status.values().all(|landing| landing.state == LandingState::Landing)).await.unwrap();
    landing.shutdown.cancel();
    tracker.wait().await;
    rig.land().await;
    check_exact(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_stops_its_partition_where_the_stream_says_so() {
    let rig = Rig::new(&CLICKS.replace("'partitions' '2'", "'partitions' '2', 'on_bad_record' 'stop'")).await;
    let good = r#"{"user_id": 1}"#.to_owned();
    rig.append(0, &[good.clone(), good.clone(), "oops".to_owned(), good.clone()]).await;
    rig.append(1, &[good.clone(), good]).await;
    let landing = rig.landing(small_segments());
    let mut status = landing.board.subscribe();
    let tracker = spawn(&rig, &landing);
    let stopped =
        |state: &LandingState| matches!(state, LandingState::Stopped { offset: 2, error } if !error.is_empty());
    status.wait_for(|status| status.values().any(|landing| stopped(&landing.state))).await.unwrap();
    let mut changes = rig.catalog.changes();
    while rig.catalog.next_offsets(rig.topic()).await.unwrap().total() < 4 {
        changes.changed().await.unwrap();
    }
    landing.shutdown.cancel();
    tracker.wait().await;
    let next = rig.catalog.next_offsets(rig.topic()).await.unwrap();
    assert_eq!((next.get(0), next.get(1)), (2, 2));
    let status = status.borrow();
    let stopped = status.values().find(|landing| stopped(&landing.state)).unwrap();
    assert_eq!(stopped.next_offset, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_nothing_but_dead_letters_is_covered() {
    let rig = Rig::new(CLICKS).await;
    rig.append(0, &["x".to_owned(), "y".to_owned()]).await;
    rig.land().await;
    let segments = segments(&rig, 0).await;
    assert_eq!(segments.iter().map(|s| (s.rows, s.dead)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)), (0, 2));
    check_exact(&rig).await;
}

/// 100 records of each partition are landed and 100 more are there, when the log loses what is below offset 200 or so.
async fn with_a_hole(pipeline: &str) -> (Rig, Vec<OffsetRange>) {
    let rig = Rig::new(pipeline).await;
    rig.append_clicks(0, 100).await;
    rig.land().await;
    rig.append_clicks(100, 100).await;
    let mut holes = vec![];
    for partition in 0..2 {
        rig.log.trim(rig.topic(), partition, 190).await.unwrap();
        let first = rig.log.bounds(rig.topic(), partition).await.unwrap().start;
        assert!(first > 100 && first < 200, "{first}");
        holes.push(OffsetRange::new(100, first));
    }
    (rig, holes)
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_gone_are_not_skipped_in_silence() {
    let (rig, holes) = with_a_hole(CLICKS).await;
    let landing = rig.landing(small_segments());
    spawn(&rig, &landing).wait().await;
    let status = landing.board.subscribe().borrow().clone();
    for (landing, hole) in status.values().zip(&holes) {
        let missing = format!("the log starts at {}: {} offsets are missing", hole.end, hole.end - hole.start);
        let stopped =
            matches!(&landing.state, LandingState::Stopped { offset: 100, error } if error.contains(&missing));
        assert!(stopped, "{landing:?}, not {missing}");
    }
    assert!(rig.catalog.gaps().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_can_go_on_without_what_is_gone() {
    let lossy = CLICKS.replace("'partitions' '2'", "'partitions' '2', 'on_data_loss' 'continue'");
    let (rig, holes) = with_a_hole(&lossy).await;
    let landing = rig.landing(small_segments());
    let tracker = spawn(&rig, &landing);
    rig.landed().await;
    let requested = rig.catalog.requested_runs().await.unwrap();
    assert_eq!(requested.iter().map(|run| run.trigger).collect::<Vec<_>>(), [Trigger::Gap], "a run is requested");
    landing.shutdown.cancel();
    tracker.wait().await;
    let gaps = rig.catalog.gaps().await.unwrap();
    let places: Vec<_> = gaps.iter().map(|gap| (gap.partition, gap.range)).collect();
    assert_eq!(places, [(0, holes[0]), (1, holes[1])]);
    for (partition, hole) in (0..).zip(&holes) {
        let after: Vec<Segment> =
            segments(&rig, partition).await.into_iter().filter(|segment| segment.range.start >= 100).collect();
        let lost: i64 = after.iter().map(|segment| segment.range.end - segment.range.start).sum();
        assert_eq!((after[0].range.start, lost), (hole.end, 200 - hole.end));
    }
    // Another start finds nothing to do.
    rig.land().await;
    assert_eq!(rig.catalog.gaps().await.unwrap(), gaps);
}
