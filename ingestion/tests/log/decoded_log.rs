//! The feed on the embedded log: who decodes, and who waits for whom.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::offsets::OffsetRange;
use dovetail_ingestion::decoded_log::{DecodedLog, DecodedLogConfig, DecodedLogError};
use dovetail_ingestion::formats::Decoded;
use dovetail_ingestion::log::{Log, LogError};
use dovetail_testkit::fixtures::{log_in, records, stream};
use dovetail_testkit::log::{FakeLog, LogCall, LogFault};
use tempfile::TempDir;

const STREAM: &str =
    "CREATE EXTERNAL TABLE s (n BIGINT) STORED AS JSON LOCATION 'kafka://S' OPTIONS ('partitions' '1');";

struct Rig {
    _folder: TempDir,
    log: Arc<FakeLog>,
    decoded_log: DecodedLog,
}

impl Rig {
    async fn new(config: DecodedLogConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = FakeLog::over(log_in(folder.path()));
        log.create_topic("S", 1).await.unwrap();
        let decoded_log = DecodedLog::open(Arc::<FakeLog>::clone(&log), stream(STREAM), config).await.unwrap();
        Self { _folder: folder, log, decoded_log }
    }

    async fn append(&self, values: &[&str]) {
        self.log.append("S", 0, records(values), None).await.unwrap();
    }

    /// `n` records in appends of one.
    async fn trickle(&self, n: usize) {
        for i in 0..n {
            self.append(&[&format!("{{\"n\": {i}}}")]).await;
        }
    }

    /// How often was read: the feed decodes what it reads and nothing else.
    fn decoded(&self) -> usize {
        self.log.faults.count(|call| matches!(call, LogCall::Read(..)))
    }

    /// Reads at `offset` do not return.
    fn stall_at(&self, offset: i64) {
        self.log.faults.set(LogFault::Holds, move |call| *call == LogCall::Read(0, offset));
    }

    /// Reads from `from` to the log's end; returns the batches.
    async fn read_on(&self, from: i64) -> Vec<Arc<Decoded>> {
        let mut all = vec![];
        let mut at = from;
        while at < self.log.bounds("S", 0).await.unwrap().end {
            let decoded = self.decoded_log.read(0, at).await.unwrap();
            assert_eq!(decoded.range.start, at);
            at = decoded.range.end;
            all.push(decoded);
        }
        all
    }
}

fn config(batch_bytes: usize, cache_bytes: usize) -> DecodedLogConfig {
    DecodedLogConfig { batch_bytes, cache_bytes }
}

#[tokio::test]
async fn at_the_logs_end_a_record_is_decoded_once_for_both_layers() {
    let rig = Rig::new(config(1000, 1 << 20)).await;
    for round in 1..=20 {
        rig.append(&["{\"n\": 1}", "{\"n\": 2}"]).await;
        let from = (round - 1) * 2;
        let (one, other) = tokio::join!(rig.decoded_log.read(0, from), rig.decoded_log.read(0, from));
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
        assert_eq!(rig.decoded(), round as usize);
    }
}

/// Polls until it is waited for something.
async fn begun<T>(reading: impl Future<Output = T>) -> Pin<Box<impl Future<Output = T>>> {
    let mut reading = Box::pin(reading);
    assert!(futures::poll!(reading.as_mut()).is_pending());
    reading
}

#[tokio::test]
async fn a_log_that_stalls_under_one_layer_delays_no_other() {
    let rig = Rig::new(config(90, 50_000)).await;
    rig.trickle(100).await;
    rig.stall_at(0);
    let stalled = begun(rig.decoded_log.read(0, 0)).await;
    // The other layer has been further already: it goes on, from the log and from what is kept.
    let there = tokio::time::timeout(Duration::from_secs(30), rig.read_on(40)).await.expect("the other layer waits");
    assert_eq!(there.last().unwrap().range.end, 100);
    let decoded = rig.decoded();
    rig.read_on(40).await;
    assert_eq!(rig.decoded(), decoded);
    rig.log.faults.heal();
    assert_eq!(stalled.await.unwrap().range.start, 0);
}

#[tokio::test]
async fn who_waits_with_another_goes_on_without_it() {
    let rig = Rig::new(config(1000, 1 << 20)).await;
    rig.trickle(3).await;
    rig.stall_at(0);
    // Both want the same stretch: it is read once. The first neither goes on nor gives up.
    let first = begun(rig.decoded_log.read(0, 0)).await;
    let second = begun(rig.decoded_log.read(0, 0)).await;
    let third = begun(rig.decoded_log.read(0, 0)).await;
    assert_eq!(rig.decoded(), 1);
    rig.log.faults.heal();
    let got = tokio::time::timeout(Duration::from_secs(30), second).await.expect("it waits for the first").unwrap();
    drop(third);
    assert!(Arc::ptr_eq(&got, &first.await.unwrap()));
    assert_eq!(rig.decoded(), 1);
    // The last one who gives up ends it, and the next begins anew.
    rig.stall_at(3);
    drop(begun(rig.decoded_log.read(0, 3)).await);
    rig.log.faults.heal();
    rig.trickle(1).await;
    assert_eq!(rig.decoded_log.read(0, 3).await.unwrap().range, OffsetRange::new(3, 4));
    assert_eq!(rig.decoded(), 3);
}

#[tokio::test]
async fn an_error_is_told_to_each_who_meets_it() {
    let rig = Rig::new(config(1000, 1 << 20)).await;
    rig.stall_at(7);
    let first = begun(rig.decoded_log.read(0, 7)).await;
    let second = begun(rig.decoded_log.read(0, 7)).await;
    rig.log.faults.heal();
    for read in [first, second] {
        assert!(matches!(read.await, Err(DecodedLogError::Log(LogError::PastEnd { .. }))));
    }
}

#[tokio::test]
async fn a_read_begins_in_the_middle_of_what_is_kept() {
    let rig = Rig::new(config(1 << 20, 1 << 20)).await;
    rig.append(&["{\"n\": 0}", "{", "{\"n\": 2}", "{", "{\"n\": 4}"]).await;
    rig.decoded_log.read(0, 0).await.unwrap();
    let rest = rig.decoded_log.read(0, 2).await.unwrap();
    assert_eq!((rest.range, rest.rows.num_rows()), (OffsetRange::new(2, 5), 2));
    assert_eq!(rest.dead.iter().map(|dead| dead.offset).collect::<Vec<_>>(), [3]);
    assert_eq!(rig.decoded(), 1);
    let at_end = rig.decoded_log.read(0, 5).await.unwrap();
    assert!(at_end.range.is_empty() && at_end.rows.num_rows() == 0);
    assert!(matches!(rig.decoded_log.read(0, 6).await, Err(DecodedLogError::Log(LogError::PastEnd { .. }))));
    assert!(matches!(rig.decoded_log.read(1, 0).await, Err(DecodedLogError::Log(LogError::NoSuchPartition { .. }))));
}

#[tokio::test]
async fn a_feed_that_is_gone_lets_go_of_the_log() {
    let rig = Rig::new(config(1000, 1 << 20)).await;
    rig.trickle(3).await;
    rig.read_on(0).await;
    rig.stall_at(3);
    drop(begun(rig.decoded_log.read(0, 3)).await);
    let Rig { decoded_log, log, .. } = rig;
    drop(decoded_log);
    assert_eq!(Arc::strong_count(&log), 1);
}
