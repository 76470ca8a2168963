//! Appending to the embedded log: where values go, and what happens when a source is interrupted.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::Array;
use dovetail_core::clock::Clock;
use dovetail_core::record::Fetched;
use dovetail_ingestion::append::{Appender, MOST_PER_REQUEST, NumberedFrom};
use dovetail_ingestion::log::{Log, LogError, Prefix};
use dovetail_testkit::fixtures::{log_in, stream};
use dovetail_testkit::log::{FakeLog, LogCall, LogFault};
use tempfile::TempDir;

const PARTITIONS: i32 = 4;

struct Rig {
    _folder: TempDir,
    log: Arc<FakeLog>,
    appender: Appender,
    has_keys: bool,
}

impl Rig {
    async fn new(format: &str, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = FakeLog::over(log_in(folder.path()));
        let sql = format!(
            "CREATE EXTERNAL TABLE s (n BIGINT, k VARCHAR) STORED AS {format} LOCATION 'kafka://S'
             OPTIONS ('partitions' '{PARTITIONS}'{options});"
        );
        log.create_topic("S", PARTITIONS as u32).await.unwrap();
        let appender = Appender::open(Arc::<FakeLog>::clone(&log), stream(&sql), Clock::manual(7)).await.unwrap();
        Self { _folder: folder, log, appender, has_keys: options.contains("'key'") }
    }

    /// The topic gets more partitions, and the process is started again.
    async fn grown_to(mut self, partitions: u32) -> Self {
        self.log.create_topic("S", partitions).await.unwrap();
        let stream = Arc::clone(self.appender.stream());
        self.appender = Appender::open(Arc::<FakeLog>::clone(&self.log), stream, Clock::manual(7)).await.unwrap();
        self
    }

    /// From now on nothing is appended to `partition`.
    fn fail_in(&self, partition: i32) {
        let full = LogFault::fails(|| LogError::Store("no space".into()));
        self.log.faults.set(full, move |call| *call == LogCall::Append(partition));
    }

    /// Fails in `partition`, which with keys may get nothing, while `values` are appended from `first` on.
    async fn interrupted(&self, partition: i32, values: &[String], first: u64) {
        self.fail_in(partition);
        let result = self.append(values, Some(("file", first))).await;
        assert!(result.is_err() || self.has_keys);
        self.log.faults.heal();
    }

    async fn append(&self, values: &[String], from: Option<(&str, u64)>) -> Result<u64, LogError> {
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        let from = from.map(|(source, first)| NumberedFrom { source: source.to_owned(), first, prefix: None });
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
            rig.fail_in(failing);
            let interrupted = rig.append(&values(from, to), Some(("file", from as u64))).await;
            rig.log.faults.heal();
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
    rig.fail_in(2);
    rig.append(&all[most..], Some(("file", most as u64))).await.unwrap_err();
    rig.log.faults.heal();
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
        rig.appender
            .append(&values, Some(&NumberedFrom { source: "file".to_owned(), first: from as u64, prefix }))
            .await
    };
    send(0, 10, Some(1)).await.unwrap();
    let said = async || rig.appender.position("file").await.unwrap().prefix;
    assert_eq!(said().await, Some(Prefix { records: 10, digest: 1 }));
    // Of a request that was interrupted some are there: they are among those that it was about.
    rig.fail_in(0);
    send(10, 30, Some(2)).await.unwrap_err();
    rig.log.faults.heal();
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
async fn who_has_not_heard_of_the_partitions_of_a_source_refuses_it() {
    let rig = Rig::new("JSON", "").await.grown_to(6).await;
    rig.append(&values(0, 60), Some(("file", 0))).await.unwrap();
    rig.log.seems_to_have(4);
    let late = Appender::open(Arc::<FakeLog>::clone(&rig.log), Arc::clone(rig.appender.stream()), Clock::manual(7));
    let late = Rig { appender: late.await.unwrap(), ..rig };
    let refused = late.append(&values(0, 60), Some(("file", 0))).await;
    let told = matches!(refused, Err(LogError::PartitionsUnheard { existing: 4, spread: 6, .. }));
    assert!(told, "{refused:?}");
    late.log.knows_its_partitions();
    assert_eq!(late.append(&values(0, 90), Some(("file", 0))).await.unwrap(), 30);
    assert_eq!(late.values().await, values(0, 90));
}

#[tokio::test]
async fn the_partitions_are_asked_for_once_the_source_is_taken_up() {
    let rig = Rig::new("JSON", ", 'key' 'k'").await.grown_to(8).await;
    rig.append(&values(0, 60), Some(("file", 0))).await.unwrap();
    rig.log.seems_until_taken_up_to_have(4);
    let late = Appender::open(Arc::<FakeLog>::clone(&rig.log), Arc::clone(rig.appender.stream()), Clock::manual(7));
    let late = Rig { appender: late.await.unwrap(), ..rig };
    assert_eq!(late.append(&values(0, 70), Some(("file", 0))).await.unwrap(), 10);
    assert_eq!(late.values().await, values(0, 70));
}
