//! The decoded log on the embedded log: which reader decodes, the cache, and the cutting of batches.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{AsArray, BinaryArray, Int64Array};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::Pipeline;
use dovetail_core::record::{Fetched, Records, column};
use tempfile::TempDir;

use super::*;
use crate::formats::Decoder;
use crate::log::embedded::{EmbeddedLog, EmbeddedLogConfig};
use crate::log::{SourceMark, SourcePosition};

/// A log that counts its reads, since the decoded log decodes what it reads and nothing else, and that stalls at a
/// given offset.
#[derive(Debug)]
struct Counted {
    log: EmbeddedLog,
    reads: AtomicU64,
    /// Reads at this offset do not return until it is another.
    stall: watch::Sender<Option<i64>>,
}

#[async_trait]
impl Log for Counted {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        self.log.create_topic(topic, partitions).await
    }

    async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        self.log.partitions(topic).await
    }

    async fn append(&self, t: &str, p: i32, r: Records, mark: Option<SourceMark>) -> Result<OffsetRange, LogError> {
        self.log.append(t, p, r, mark).await
    }

    async fn source_position(
        &self,
        topic: &str,
        partition: i32,
        source: &str,
    ) -> Result<Option<SourcePosition>, LogError> {
        self.log.source_position(topic, partition, source).await
    }

    async fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError> {
        self.log.bounds(topic, partition).await
    }

    async fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Fetched, LogError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut stall = self.stall.subscribe();
        stall.wait_for(|stall| *stall != Some(from)).await.unwrap();
        self.log.read(topic, partition, from, max_bytes).await
    }

    async fn wait_past(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        self.log.wait_past(topic, partition, offset).await
    }

    async fn trim(&self, topic: &str, partition: i32, before: i64) -> Result<(), LogError> {
        self.log.trim(topic, partition, before).await
    }

    async fn disk_bytes(&self) -> Result<u64, LogError> {
        self.log.disk_bytes().await
    }
}

struct Rig {
    _folder: TempDir,
    log: Arc<Counted>,
    feed: Feed,
}

impl Rig {
    async fn new(config: FeedConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = EmbeddedLogConfig { queue_bytes: 1 << 20, tail_bytes: 1 << 20 };
        let log = EmbeddedLog::open(&folder.path().join("log"), &settings).unwrap();
        let log = Arc::new(Counted { log, reads: AtomicU64::new(0), stall: watch::Sender::new(None) });
        log.create_topic("S", 1).await.unwrap();
        let feed = Feed::open(Arc::<Counted>::clone(&log), stream(), config).await.unwrap();
        Self { _folder: folder, log, feed }
    }

    async fn append(&self, values: &[&str]) {
        let records = Records::from_values(1, values.iter().map(|value| value.as_bytes()));
        self.log.append("S", 0, records, None).await.unwrap();
    }

    /// `n` records in appends of one.
    async fn trickle(&self, n: usize) {
        for i in 0..n {
            self.append(&[&format!("{{\"n\": {i}}}")]).await;
        }
    }

    fn decoded(&self) -> u64 {
        self.log.reads.load(Ordering::Relaxed)
    }

    /// Reads from `from` to the log's end; returns the batches.
    async fn read_on(&self, from: i64) -> Vec<Arc<Decoded>> {
        let mut all = vec![];
        let mut at = from;
        while at < self.log.bounds("S", 0).await.unwrap().end {
            let decoded = self.feed.read(0, at).await.unwrap();
            assert_eq!(decoded.range.start, at);
            at = decoded.range.end;
            all.push(decoded);
        }
        all
    }

    fn kept(&self) -> (usize, usize) {
        self.feed.partition(0).unwrap().kept()
    }
}

fn stream() -> Arc<Stream> {
    let sql = "CREATE EXTERNAL TABLE s (n BIGINT) STORED AS JSON LOCATION 'kafka://S' OPTIONS ('partitions' '1');";
    Arc::new(Pipeline::parse(sql, Path::new("p.sql")).unwrap().streams[0].clone())
}

fn config(batch_bytes: usize, cache_bytes: usize) -> FeedConfig {
    FeedConfig { batch_bytes, cache_bytes }
}

#[tokio::test]
async fn at_the_logs_end_a_record_is_decoded_once_for_both_layers() {
    let rig = Rig::new(config(1000, 1 << 20)).await;
    for round in 1..=20 {
        rig.append(&["{\"n\": 1}", "{\"n\": 2}"]).await;
        let from = (round - 1) * 2;
        let (one, other) = tokio::join!(rig.feed.read(0, from), rig.feed.read(0, from));
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
        assert_eq!(rig.decoded(), round as u64);
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
    rig.log.stall.send_replace(Some(0));
    let stalled = begun(rig.feed.read(0, 0)).await;
    // The other layer has been further already: it goes on, from the log and from what is kept.
    let there = tokio::time::timeout(Duration::from_secs(30), rig.read_on(40)).await.expect("the other layer waits");
    assert_eq!(there.last().unwrap().range.end, 100);
    let decoded = rig.decoded();
    rig.read_on(40).await;
    assert_eq!(rig.decoded(), decoded);
    rig.log.stall.send_replace(None);
    assert_eq!(stalled.await.unwrap().range.start, 0);
}

#[tokio::test]
async fn who_waits_with_another_goes_on_without_it() {
    let rig = Rig::new(config(1000, 1 << 20)).await;
    rig.trickle(3).await;
    rig.log.stall.send_replace(Some(0));
    // Both want the same batch: it is read once. The first neither goes on nor gives up.
    let first = begun(rig.feed.read(0, 0)).await;
    let second = begun(rig.feed.read(0, 0)).await;
    let third = begun(rig.feed.read(0, 0)).await;
    assert_eq!(rig.decoded(), 1);
    rig.log.stall.send_replace(None);
    let got = tokio::time::timeout(Duration::from_secs(30), second).await.expect("it waits for the first").unwrap();
    drop(third);
    assert!(Arc::ptr_eq(&got, &first.await.unwrap()));
    assert_eq!(rig.decoded(), 1);
    // The last one who gives up ends it, and the next begins anew.
    rig.log.stall.send_replace(Some(3));
    drop(begun(rig.feed.read(0, 3)).await);
    rig.log.stall.send_replace(None);
    rig.trickle(1).await;
    assert_eq!(rig.feed.read(0, 3).await.unwrap().range, OffsetRange::new(3, 4));
    assert_eq!(rig.decoded(), 3);
}

#[tokio::test]
async fn an_error_is_told_to_each_who_meets_it() {
    let rig = Rig::new(config(1000, 1 << 20)).await;
    rig.log.stall.send_replace(Some(7));
    let first = begun(rig.feed.read(0, 7)).await;
    let second = begun(rig.feed.read(0, 7)).await;
    rig.log.stall.send_replace(None);
    for read in [first, second] {
        assert!(matches!(read.await, Err(FeedError::Log(LogError::PastEnd { .. }))));
    }
}

#[tokio::test]
async fn what_is_kept_is_bounded_also_when_records_trickle() {
    let rig = Rig::new(config(1000, 100_000)).await;
    for n in 0..300 {
        rig.trickle(1).await;
        rig.feed.read(0, n).await.unwrap();
    }
    let (stretches, bytes) = rig.kept();
    assert!(stretches > 5 && stretches <= 100_000 / 4096 && bytes <= 100_000, "{stretches} stretches, {bytes} bytes");
}

#[tokio::test]
async fn a_laggard_decodes_again_and_pushes_nothing_out() {
    let rig = Rig::new(config(90, 50_000)).await;
    rig.trickle(300).await;
    rig.read_on(0).await;
    let (before, decoded) = (rig.kept(), rig.decoded());
    let lagging = rig.read_on(0).await;
    assert_eq!(rig.kept(), before);
    assert_eq!(rig.decoded() - decoded, (lagging.len() - before.0) as u64, "it finds what the leader left");
    // Once it is where the leader is, either may lead.
    rig.append(&["{\"n\": 1}"]).await;
    rig.feed.read(0, 300).await.unwrap();
    let decoded = rig.decoded();
    rig.feed.read(0, 300).await.unwrap();
    assert_eq!(rig.decoded(), decoded);
}

#[tokio::test]
async fn a_batch_larger_than_the_bound_is_not_kept() {
    let rig = Rig::new(config(1 << 20, 10_000)).await;
    let long = format!("{{\"n\": 1, \"filler\": \"{:020000}\"}}", 0);
    rig.append(&[&long]).await;
    rig.feed.read(0, 0).await.unwrap();
    assert_eq!(rig.kept(), (0, 0));
}

#[tokio::test]
async fn a_read_begins_in_the_middle_of_what_is_kept() {
    let rig = Rig::new(config(1 << 20, 1 << 20)).await;
    rig.append(&["{\"n\": 0}", "{", "{\"n\": 2}", "{", "{\"n\": 4}"]).await;
    rig.feed.read(0, 0).await.unwrap();
    let rest = rig.feed.read(0, 2).await.unwrap();
    assert_eq!((rest.range, rest.rows.num_rows()), (OffsetRange::new(2, 5), 2));
    assert_eq!(rest.dead.iter().map(|dead| dead.offset).collect::<Vec<_>>(), [3]);
    assert_eq!(rig.decoded(), 1);
    let at_end = rig.feed.read(0, 5).await.unwrap();
    assert!(at_end.range.is_empty() && at_end.rows.num_rows() == 0);
    assert!(matches!(rig.feed.read(0, 6).await, Err(FeedError::Log(LogError::PastEnd { .. }))));
    assert!(matches!(rig.feed.read(1, 0).await, Err(FeedError::Log(LogError::NoSuchPartition { .. }))));
}

/// Offsets that skip, a bad record among them, and an end past the last one.
fn skipping() -> Arc<Decoded> {
    let values: Vec<&[u8]> = vec![b"{\"n\": 10}", b"{", b"{\"n\": 14}", b"{\"n\": 20}"];
    let n = values.len();
    let records = Records {
        values: BinaryArray::from_iter_values(values),
        ..Records::from_values(1, std::iter::repeat_n(&b""[..], n))
    };
    let offsets = Int64Array::from(vec![10, 12, 14, 20]);
    let fetched = Fetched { offsets, records, range: OffsetRange::new(8, 25) };
    Arc::new(Decoder::new(stream()).unwrap().decode(0, &fetched).unwrap())
}

#[test]
fn stretches_are_cut_between_offsets_that_skip() {
    let whole = skipping();
    for (start, end, range, offsets, dead) in [
        (8, 25, (8, 25), vec![10, 14, 20], 1),
        (0, 99, (8, 25), vec![10, 14, 20], 1),
        (8, 10, (8, 10), vec![], 0),
        (11, 13, (11, 13), vec![], 1),
        (12, 14, (12, 14), vec![], 1),
        (13, 15, (13, 15), vec![14], 0),
        (20, 25, (20, 25), vec![20], 0),
        (21, 25, (21, 25), vec![], 0),
        (25, 30, (25, 25), vec![], 0),
        (14, 11, (14, 14), vec![], 0),
    ] {
        let part = whole.between(start, end);
        assert_eq!(part.range, OffsetRange::new(range.0, range.1), "[{start}, {end})");
        let found = part.rows.column_by_name(column::OFFSET).unwrap().as_primitive::<Int64Type>();
        assert_eq!(found.values().to_vec(), offsets, "[{start}, {end})");
        assert_eq!(part.dead.len(), dead, "[{start}, {end})");
    }
    assert!(Arc::ptr_eq(&whole, &whole.between(8, 25)), "no copy of all of it");
}

#[tokio::test]
async fn a_feed_that_is_gone_lets_go_of_the_log() {
    let rig = Rig::new(config(1000, 1 << 20)).await;
    rig.trickle(3).await;
    rig.read_on(0).await;
    rig.log.stall.send_replace(Some(3));
    drop(begun(rig.feed.read(0, 3)).await);
    let Rig { feed, log, .. } = rig;
    drop(feed);
    assert_eq!(Arc::strong_count(&log), 1);
}
