//! Appending to the embedded log: where values go, and what happens when a source is interrupted.

#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use arrow::array::Array;
use async_trait::async_trait;
use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::Pipeline;
use dovetail_core::record::Fetched;
use tempfile::TempDir;

use super::*;
use crate::log::SourcePosition;
use crate::log::embedded::{EmbeddedLog, EmbeddedLogConfig};

const PARTITIONS: i32 = 4;

/// A log whose appends to one partition fail, and that may not have heard of all partitions: it says so many, or, at 0,
/// as many as there are. It may hear of all of them when a source is taken up: another process had it so long.
#[derive(Debug)]
struct Failing(EmbeddedLog, AtomicI32, AtomicU32, AtomicBool);

#[async_trait]
impl Log for Failing {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        self.0.create_topic(topic, partitions).await
    }

    async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        match self.2.load(Ordering::Relaxed) {
            0 => self.0.partitions(topic).await,
            heard => Ok(heard),
        }
    }

    async fn append(&self, t: &str, p: i32, r: Records, mark: Option<SourceMark>) -> Result<OffsetRange, LogError> {
        if p == self.1.load(Ordering::Relaxed) {
            // The others get through meanwhile.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            return Err(LogError::Store("no space".into()));
        }
        self.0.append(t, p, r, mark).await
    }

    async fn take_up(&self, topic: &str, source: &str, partitions: Range<i32>) -> Result<TakenUp, LogError> {
        if self.3.swap(false, Ordering::Relaxed) {
            self.2.store(0, Ordering::Relaxed);
        }
        let positions = partitions.map(|partition| self.0.source_position(topic, partition, source));
        Ok(TakenUp { positions: try_join_all(positions).await?, hold: 0 })
    }

    async fn source_position(
        &self,
        topic: &str,
        partition: i32,
        source: &str,
    ) -> Result<Option<SourcePosition>, LogError> {
        self.0.source_position(topic, partition, source).await
    }

    async fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError> {
        self.0.bounds(topic, partition).await
    }

    async fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Fetched, LogError> {
        self.0.read(topic, partition, from, max_bytes).await
    }

    async fn wait_past(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        self.0.wait_past(topic, partition, offset).await
    }

    async fn trim(&self, topic: &str, partition: i32, before: i64) -> Result<(), LogError> {
        self.0.trim(topic, partition, before).await
    }

    async fn disk_bytes(&self) -> Result<u64, LogError> {
        self.0.disk_bytes().await
    }
}

struct Rig {
    _folder: TempDir,
    log: Arc<Failing>,
    appender: Appender,
}

impl Rig {
    async fn new(format: &str, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = EmbeddedLogConfig { queue_bytes: 8 << 20, tail_bytes: 1 << 20 };
        let log = EmbeddedLog::open(&folder.path().join("log"), &settings).unwrap();
        let log = Arc::new(Failing(log, AtomicI32::new(-1), AtomicU32::new(0), AtomicBool::new(false)));
        let sql = format!(
            "CREATE EXTERNAL TABLE s (n BIGINT, k VARCHAR) STORED AS {format} LOCATION 'kafka://S'
             OPTIONS ('partitions' '{PARTITIONS}'{options});"
        );
        let stream = Arc::new(Pipeline::parse(&sql, Path::new("p.sql")).unwrap().streams[0].clone());
        log.create_topic("S", PARTITIONS as u32).await.unwrap();
        let appender = Appender::open(Arc::<Failing>::clone(&log), stream, Clock::manual(7)).await.unwrap();
        Self { _folder: folder, log, appender }
    }

    /// The topic gets more partitions, and the process is started again.
    async fn grown_to(mut self, partitions: u32) -> Self {
        self.log.create_topic("S", partitions).await.unwrap();
        let stream = Arc::clone(self.appender.stream());
        self.appender = Appender::open(Arc::<Failing>::clone(&self.log), stream, Clock::manual(7)).await.unwrap();
        self
    }

    /// Fails in `partition`, which with keys may get nothing, while `values` are appended from `first` on.
    async fn interrupted(&self, partition: i32, values: &[String], first: u64) {
        self.log.1.store(partition, Ordering::Relaxed);
        let result = self.append(values, Some(("file", first))).await;
        assert!(result.is_err() || self.appender.key.is_some());
        self.log.1.store(-1, Ordering::Relaxed);
    }

    async fn append(&self, values: &[String], from: Option<(&str, u64)>) -> Result<u64, LogError> {
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        let from = from.map(|(source, first)| From { source: source.to_owned(), first, prefix: None });
        self.appender.append(&values, from.as_ref()).await
    }

    /// Key and value of all records, by partition.
    async fn records(&self) -> BTreeMap<i32, Vec<(Option<String>, String)>> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut all = BTreeMap::new();
        for partition in 0..self.log.partitions("S").await.unwrap() as i32 {
            let (mut found, mut at) = (vec![], 0);
            while at < self.log.bounds("S", partition).await.unwrap().end {
                let Fetched { records, range, .. } = self.log.read("S", partition, at, 1 << 20).await.unwrap();
                for i in 0..records.len() {
                    let key = records.keys.is_valid(i).then(|| text(records.keys.value(i)));
                    found.push((key, text(records.values.value(i))));
                }
                at = range.end;
            }
            all.insert(partition, found);
        }
        all
    }

    async fn values(&self) -> Vec<String> {
        let mut all: Vec<String> = self.records().await.into_values().flatten().map(|(_, value)| value).collect();
        all.sort();
        all
    }
}

fn values(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|i| format!("{{\"n\": {}, \"k\": \"key {}\"}}", 1_000_000 + i, i % 10)).collect()
}

#[tokio::test]
async fn values_of_one_key_are_in_one_partition_in_their_order() {
    let rig = Rig::new("JSON", ", 'key' 'k'").await;
    for request in values(0, 200).chunks(30) {
        assert_eq!(rig.append(request, None).await.unwrap(), request.len() as u64);
    }
    let mut keys: BTreeMap<String, (i32, String)> = BTreeMap::new();
    for (partition, records) in rig.records().await {
        for (key, value) in records {
            let key = key.unwrap();
            assert!(value.contains(&format!("\"{key}\"")));
            if let Some((before, last)) = keys.insert(key, (partition, value.clone())) {
                assert!(before == partition && last < value);
            }
        }
    }
    assert_eq!(keys.len(), 10);
    assert_eq!(rig.values().await, values(0, 200));
}

#[tokio::test]
async fn lines_have_keys_too() {
    let rig = Rig::new("CSV", ", 'key' 'k'").await;
    let lines = ["1,\"a, b\"", "2,\"a, b\"", "3,"].map(str::to_owned);
    rig.append(&lines, None).await.unwrap();
    let records = rig.records().await;
    let with_key = records.values().find(|records| records.len() >= 2).unwrap();
    assert_eq!(with_key[0].0.as_deref(), Some("a, b"));
    assert!(records.values().flatten().any(|(key, value)| key.is_none() && value == "3,"));
}

#[tokio::test]
async fn values_without_a_key_are_spread_evenly() {
    let rig = Rig::new("JSON", "").await;
    for request in values(0, 400).chunks(10) {
        rig.append(request, None).await.unwrap();
    }
    rig.append(&values(400, 800), Some(("file", 0))).await.unwrap();
    for (partition, records) in rig.records().await {
        assert_eq!(records.len(), 200, "partition {partition}");
    }
}

#[tokio::test]
async fn an_interrupted_request_is_completed_by_sending_it_again() {
    for options in ["", ", 'key' 'k'"] {
        let rig = Rig::new("JSON", options).await;
        rig.append(&values(0, 100), Some(("file", 0))).await.unwrap();
        for failing in 0..PARTITIONS {
            let (from, to) = (100 + failing as usize * 100, 200 + failing as usize * 100);
            rig.log.1.store(failing, Ordering::Relaxed);
            let interrupted = rig.append(&values(from, to), Some(("file", from as u64))).await;
            rig.log.1.store(-1, Ordering::Relaxed);
            // Cut otherwise, and from further back: the same records all the same.
            let back = from - 50;
            let again = rig.append(&values(back, to), Some(("file", back as u64))).await.unwrap();
            assert_eq!(again == 0, interrupted.is_ok(), "partition {failing}");
            assert_eq!(rig.append(&values(back, to), Some(("file", back as u64))).await.unwrap(), 0);
        }
        assert_eq!(rig.values().await, values(0, 500));
    }
}

#[tokio::test]
async fn a_source_continues_where_nothing_can_be_missing() {
    let rig = Rig::new("JSON", "").await;
    assert_eq!(rig.appender.position("file").await.unwrap().resume, 0);
    let most = MOST_PER_REQUEST as usize;
    let all = values(0, 3 * most + 17);
    rig.append(&all[..most], Some(("file", 0))).await.unwrap();
    assert_eq!(rig.appender.position("file").await.unwrap().resume, 0);
    // A request that is too long is several: it is interrupted in one of them only.
    rig.log.1.store(2, Ordering::Relaxed);
    rig.append(&all[most..], Some(("file", most as u64))).await.unwrap_err();
    rig.log.1.store(-1, Ordering::Relaxed);
    let position = rig.appender.position("file").await.unwrap().resume;
    assert!(position <= most as u64, "partition 2 misses what follows {most}, not {position}");
    rig.append(&all[position as usize..], Some(("file", position))).await.unwrap();
    assert_eq!(rig.appender.position("file").await.unwrap().resume, all.len() as u64 - MOST_PER_REQUEST);
    assert_eq!(rig.values().await, all);
}

#[tokio::test]
async fn what_the_sender_says_of_its_records_is_as_durable_as_they_are() {
    let rig = Rig::new("JSON", "").await;
    let send = async |from: usize, to: usize, digest: Option<u64>| {
        let values = values(from, to);
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        let prefix = digest.map(|digest| Prefix { records: to as u64, digest });
        rig.appender.append(&values, Some(&From { source: "file".to_owned(), first: from as u64, prefix })).await
    };
    send(0, 10, Some(1)).await.unwrap();
    let said = async || rig.appender.position("file").await.unwrap().prefix;
    assert_eq!(said().await, Some(Prefix { records: 10, digest: 1 }));
    // Of a request that was interrupted some are there: they are among those that it was about.
    rig.log.1.store(0, Ordering::Relaxed);
    send(10, 30, Some(2)).await.unwrap_err();
    rig.log.1.store(-1, Ordering::Relaxed);
    assert_eq!(said().await, Some(Prefix { records: 30, digest: 2 }));
    send(0, 31, None).await.unwrap();
    assert_eq!(said().await, None, "nothing is said of what came since");
    assert_eq!(rig.values().await, values(0, 31));
}

#[tokio::test]
async fn two_sources_do_not_disturb_each_other() {
    let rig = Rig::new("JSON", ", 'key' 'k'").await;
    let send = async |source, values: Vec<String>| {
        for (i, request) in values.chunks(23).enumerate() {
            rig.append(request, Some((source, i as u64 * 23))).await.unwrap();
            rig.append(request, Some((source, i as u64 * 23))).await.unwrap();
        }
    };
    tokio::join!(send("one", values(0, 500)), send("other", values(500, 1000)));
    assert_eq!(rig.values().await, values(0, 1000));
}

#[test]
fn large_parts_are_cut() {
    let value = vec![0; PIECE_BYTES / 2];
    let large = vec![0; PIECE_BYTES + 1];
    let part: Vec<Value<'_>> = [&value, &value, &value, &large, &value]
        .map(|value| Value { number: 0, key: None, value: value.as_slice() })
        .to_vec();
    assert_eq!(pieces(&part).map(<[_]>::len).collect::<Vec<_>>(), [2, 1, 1, 1]);
    assert_eq!(pieces(&[]).count(), 0);
}

#[tokio::test]
async fn a_finished_source_again_appends_nothing_however_often_the_topic_grows() {
    for options in ["", ", 'key' 'k'"] {
        let mut rig = Rig::new("JSON", options).await;
        let all = values(0, MOST_PER_REQUEST as usize + 700);
        rig.append(&all, Some(("file", 0))).await.unwrap();
        for partitions in [5, 6, 11] {
            rig = rig.grown_to(partitions).await;
            let resume = rig.appender.position("file").await.unwrap().resume;
            assert_eq!(resume, 700);
            assert_eq!(rig.append(&all[700..], Some(("file", 700))).await.unwrap(), 0, "{partitions} partitions");
            assert_eq!(rig.append(&all, Some(("file", 0))).await.unwrap(), 0, "{partitions} partitions");
        }
        assert_eq!(rig.values().await, all);
    }
}

#[tokio::test]
async fn a_source_goes_on_over_the_partitions_that_are_added_in_its_middle() {
    for options in ["", ", 'key' 'k'"] {
        let mut rig = Rig::new("JSON", options).await;
        let mut to = 0;
        for partitions in [4, 6, 7, 12] {
            rig = rig.grown_to(partitions).await;
            // Cut otherwise each time, and from further back: only what is new is appended.
            let back = to.max(130) - 130;
            to += 100;
            let appended = rig.append(&values(back, to), Some(("file", back as u64))).await.unwrap();
            assert_eq!(appended, 100, "{partitions} partitions");
            assert_eq!(rig.append(&values(0, to), Some(("file", 0))).await.unwrap(), 0);
        }
        assert_eq!(rig.values().await, values(0, 400));
        let records = rig.records().await;
        assert_eq!(records.len(), 12);
        assert!(!records[&6].is_empty() || !options.is_empty(), "new partitions are used");
    }
}

#[tokio::test]
async fn an_interrupted_request_is_completed_after_the_topic_has_grown() {
    for options in ["", ", 'key' 'k'"] {
        for failing in 0..PARTITIONS {
            let rig = Rig::new("JSON", options).await;
            rig.append(&values(0, 100), Some(("file", 0))).await.unwrap();
            rig.interrupted(failing, &values(100, 200), 100).await;
            let before = rig.values().await.len() as u64;
            let rig = rig.grown_to(7).await;
            let again = rig.append(&values(100, 200), Some(("file", 100))).await.unwrap();
            assert_eq!(again, 200 - before, "partition {failing}");
            // And interrupted once more, over a change that is not complete yet.
            rig.interrupted(5, &values(150, 400), 150).await;
            let before = rig.values().await.len() as u64;
            let rig = rig.grown_to(9).await;
            assert_eq!(rig.append(&values(150, 400), Some(("file", 150))).await.unwrap(), 400 - before);
            assert_eq!(rig.append(&values(0, 400), Some(("file", 0))).await.unwrap(), 0);
            assert_eq!(rig.values().await, values(0, 400));
        }
    }
}

#[tokio::test]
async fn new_partitions_are_used_once_every_process_knows_them() {
    let rig = Rig::new("JSON", "").await;
    rig.append(&values(0, 40), Some(("file", 0))).await.unwrap();
    rig.log.create_topic("S", 8).await.unwrap();
    rig.append(&values(40, 80), Some(("file", 40))).await.unwrap();
    assert!(rig.records().await[&4].is_empty(), "it may be that others have not heard of it");
    rig.appender.count.heard(8, clock::now_monotonic() + PARTITIONS_SETTLE_AFTER);
    rig.append(&values(0, 160), Some(("file", 0))).await.unwrap();
    assert_eq!(rig.records().await[&4].len(), 10);
    assert_eq!(rig.append(&values(0, 160), Some(("file", 0))).await.unwrap(), 0);
    assert_eq!(rig.values().await, values(0, 160));
}

#[tokio::test]
async fn who_has_not_heard_of_the_partitions_of_a_source_refuses_it() {
    let rig = Rig::new("JSON", "").await.grown_to(6).await;
    rig.append(&values(0, 60), Some(("file", 0))).await.unwrap();
    rig.log.2.store(4, Ordering::Relaxed);
    let late = Appender::open(Arc::<Failing>::clone(&rig.log), Arc::clone(rig.appender.stream()), Clock::manual(7));
    let late = Rig { appender: late.await.unwrap(), ..rig };
    let refused = late.append(&values(0, 60), Some(("file", 0))).await;
    let told = matches!(refused, Err(LogError::PartitionsUnheard { existing: 4, spread: 6, .. }));
    assert!(told, "{refused:?}");
    late.log.2.store(0, Ordering::Relaxed);
    assert_eq!(late.append(&values(0, 90), Some(("file", 0))).await.unwrap(), 30);
    assert_eq!(late.values().await, values(0, 90));
}

#[tokio::test]
async fn the_partitions_are_asked_for_once_the_source_is_taken_up() {
    let rig = Rig::new("JSON", ", 'key' 'k'").await.grown_to(8).await;
    rig.append(&values(0, 60), Some(("file", 0))).await.unwrap();
    rig.log.2.store(4, Ordering::Relaxed);
    let late = Appender::open(Arc::<Failing>::clone(&rig.log), Arc::clone(rig.appender.stream()), Clock::manual(7));
    let late = Rig { appender: late.await.unwrap(), ..rig };
    late.log.3.store(true, Ordering::Relaxed);
    assert_eq!(late.append(&values(0, 70), Some(("file", 0))).await.unwrap(), 10);
    assert_eq!(late.values().await, values(0, 70));
}
