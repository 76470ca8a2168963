//! The contract of [`Log`] as checks for the tests of every implementation.
//!
//! A check panics with its observation when the log breaks the contract. It never takes an offset for an index, because
//! offsets may skip and a position may run ahead of the last record; it continues only where the log said to.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, StringArray, TimestampMillisecondArray};
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::Records;
use dovetail_ingestion::log::{Log, LogError, PartitionPosition, Prefix, SourceMark, Spread};
use futures::future::{join, join_all};

const PLENTY: usize = 1 << 20;

/// Runs every check on `log`; the topics it makes start with `prefix`, which must be new to the log.
///
/// # Panics
/// When the log does not keep its contract.
pub async fn run(log: &Arc<dyn Log>, prefix: &str) {
    let log = log.as_ref();
    let topic = |check: &str| format!("{prefix}_{check}");
    whatever_is_appended_comes_back(log, &topic("round_trip")).await;
    a_read_begins_anywhere(log, &topic("middle")).await;
    a_page_is_as_large_as_asked_for(log, &topic("pages")).await;
    partitions_are_apart(log, &topic("partitions")).await;
    the_end_is_empty_and_beyond_it_is_an_error(log, &topic("end")).await;
    waiting_ends_when_something_is_appended(log, &topic("waiting")).await;
    appenders_at_once_lose_nothing(log, &topic("appenders")).await;
    a_source_appends_nothing_twice(log, &topic("sources")).await;
    an_overlapping_source_is_refused(log, &topic("overlap")).await;
    trimming_moves_the_start(log, &topic("trim")).await;
    topics_are_made_once(log, &topic("topics")).await;
    what_does_not_exist_is_an_error(log, &topic("unknown")).await;
}

/// One record, comparable.
#[derive(Debug, Clone, PartialEq)]
struct RecordRow {
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Option<String>,
}

impl RecordRow {
    fn of(value: &str) -> Self {
        Self { timestamp_ms: 1, key: None, value: Some(value.into()), headers: None }
    }
}

fn records(rows: &[RecordRow]) -> Records {
    Records {
        timestamps: TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.timestamp_ms)),
        keys: BinaryArray::from_iter(rows.iter().map(|row| row.key.as_deref())),
        values: BinaryArray::from_iter(rows.iter().map(|row| row.value.as_deref())),
        headers: StringArray::from_iter(rows.iter().map(|row| row.headers.as_deref())),
    }
}

fn row(records: &Records, i: usize) -> RecordRow {
    let bytes = |column: &BinaryArray| column.is_valid(i).then(|| column.value(i).to_vec());
    RecordRow {
        timestamp_ms: records.timestamps.value(i),
        key: bytes(&records.keys),
        value: bytes(&records.values),
        headers: records.headers.is_valid(i).then(|| records.headers.value(i).to_owned()),
    }
}

fn numbered(from: usize, to: usize) -> Vec<RecordRow> {
    (from..to).map(|i| RecordRow::of(&format!("record {i}"))).collect()
}

async fn append(log: &dyn Log, topic: &str, partition: i32, rows: &[RecordRow]) -> OffsetRange {
    log.append(topic, partition, records(rows), None).await.expect("append")
}

/// Everything from `from` on to where the log ends now, read in pages, with the offsets.
async fn read_from(log: &dyn Log, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Vec<(i64, RecordRow)> {
    let end = log.bounds(topic, partition).await.expect("bounds").end;
    let (mut next, mut rows) = (from, Vec::new());
    while next < end {
        let page = log.read(topic, partition, next, max_bytes).await.expect("read");
        assert_eq!(page.range.start, next, "a page begins where it was asked for");
        assert!(page.range.end > next, "a read below the log's end makes progress");
        assert_eq!(page.offsets.len(), page.records.len());
        for (i, &offset) in page.offsets.values().iter().enumerate() {
            assert!(page.range.contains(offset), "offset {offset} lies outside of {}", page.range);
            assert!(rows.last().is_none_or(|(last, _)| *last < offset), "offsets ascend");
            rows.push((offset, row(&page.records, i)));
        }
        next = page.range.end;
    }
    rows
}

async fn read_all(log: &dyn Log, topic: &str, partition: i32) -> Vec<(i64, RecordRow)> {
    let start = log.bounds(topic, partition).await.expect("bounds").start;
    read_from(log, topic, partition, start, PLENTY).await
}

fn without_offsets(rows: Vec<(i64, RecordRow)>) -> Vec<RecordRow> {
    rows.into_iter().map(|(_, row)| row).collect()
}

async fn create(log: &dyn Log, topic: &str, partitions: u32) {
    log.create_topic(topic, partitions).await.expect("create topic");
}

async fn whatever_is_appended_comes_back(log: &dyn Log, topic: &str) {
    create(log, topic, 1).await;
    let plain = RecordRow::of("plain");
    let rows = vec![
        plain.clone(),
        RecordRow { key: Some(b"key".to_vec()), timestamp_ms: 1_700_000_000_123, ..plain.clone() },
        RecordRow { value: None, key: Some(b"tombstone".to_vec()), ..plain.clone() },
        RecordRow { value: Some(Vec::new()), key: Some(Vec::new()), timestamp_ms: 0, ..plain.clone() },
        RecordRow { value: Some(vec![0, 159, 146, 150, 255]), key: Some(vec![255, 0]), ..plain.clone() },
        RecordRow { headers: Some(r#"{"trace":"größe"}"#.to_owned()), ..plain.clone() },
        RecordRow { value: Some(vec![b'x'; 100_000]), ..plain.clone() },
    ];
    let first = append(log, topic, 0, &rows).await;
    let second = append(log, topic, 0, &rows[2..4]).await;
    assert!(first.end <= second.start, "ranges ascend");
    let none = append(log, topic, 0, &[]).await;
    assert!(none.is_empty(), "no records need no offsets");

    let read = read_all(log, topic, 0).await;
    assert!(read[..rows.len()].iter().all(|(offset, _)| first.contains(*offset)));
    assert!(read[rows.len()..].iter().all(|(offset, _)| second.contains(*offset)));
    let expected: Vec<RecordRow> = rows.iter().chain(&rows[2..4]).cloned().collect();
    assert_eq!(without_offsets(read), expected);
}

async fn a_read_begins_anywhere(log: &dyn Log, topic: &str) {
    create(log, topic, 1).await;
    append(log, topic, 0, &numbered(0, 30)).await;
    append(log, topic, 0, &numbered(30, 31)).await;
    append(log, topic, 0, &numbered(31, 50)).await;
    let all = read_all(log, topic, 0).await;
    assert_eq!(all.len(), 50);
    for (i, (offset, _)) in all.iter().enumerate() {
        assert_eq!(read_from(log, topic, 0, *offset, PLENTY).await, all[i..], "from offset {offset}");
    }
}

async fn a_page_is_as_large_as_asked_for(log: &dyn Log, topic: &str) {
    create(log, topic, 1).await;
    for from in (0..60).step_by(20) {
        append(log, topic, 0, &numbered(from, from + 20)).await;
    }
    append(log, topic, 0, &[RecordRow::of(&"large ".repeat(1000))]).await;
    let all = read_all(log, topic, 0).await;
    let start = log.bounds(topic, 0).await.expect("bounds").start;
    for max_bytes in [1, 50, 333] {
        let page = log.read(topic, 0, start, max_bytes).await.expect("read");
        assert!(page.records.len() == 1 || page.records.payload_bytes() <= max_bytes, "at most {max_bytes} bytes");
        assert_eq!(read_from(log, topic, 0, start, max_bytes).await, all, "in pages of {max_bytes} bytes");
    }
}

async fn partitions_are_apart(log: &dyn Log, topic: &str) {
    create(log, topic, 12).await;
    let rows = |partition: i32| numbered(partition as usize * 10, partition as usize * 11);
    for partition in 0..12 {
        append(log, topic, partition, &rows(partition)).await;
    }
    for partition in 0..12 {
        assert_eq!(without_offsets(read_all(log, topic, partition).await), rows(partition));
    }
}

async fn the_end_is_empty_and_beyond_it_is_an_error(log: &dyn Log, topic: &str) {
    create(log, topic, 1).await;
    for rows in [numbered(0, 0), numbered(0, 3)] {
        append(log, topic, 0, &rows).await;
        let end = log.bounds(topic, 0).await.expect("bounds").end;
        let page = log.read(topic, 0, end, PLENTY).await.expect("read at the end");
        assert!(page.records.is_empty() && page.range.start == end);
        let beyond = log.read(topic, 0, end + 1, PLENTY).await;
        assert!(matches!(beyond, Err(LogError::PastEnd { .. })), "{beyond:?}");
    }
}

async fn waiting_ends_when_something_is_appended(log: &dyn Log, topic: &str) {
    create(log, topic, 2).await;
    append(log, topic, 0, &numbered(0, 1)).await;
    let end = log.bounds(topic, 0).await.expect("bounds").end;
    log.wait_past(topic, 0, end - 1).await.expect("what is there needs no waiting");
    append(log, topic, 1, &numbered(0, 1)).await;

    let waiting = log.wait_past(topic, 0, end);
    let (waited, _) = join(waiting, append(log, topic, 0, &numbered(1, 2))).await;
    waited.expect("waiting ends");
    let page = log.read(topic, 0, end, PLENTY).await.expect("read");
    assert_eq!(row(&page.records, 0), numbered(1, 2)[0]);
}

async fn appenders_at_once_lose_nothing(log: &dyn Log, topic: &str) {
    const APPENDERS: usize = 16;
    const EACH: usize = 25;
    create(log, topic, 3).await;
    let appender = async |number: usize| {
        for i in 0..EACH {
            let row = RecordRow { key: Some(vec![number as u8]), ..RecordRow::of(&i.to_string()) };
            append(log, topic, (number % 3) as i32, &[row]).await;
        }
    };
    join_all((0..APPENDERS).map(appender)).await;
    let mut seen = 0;
    for partition in 0..3 {
        let rows = without_offsets(read_all(log, topic, partition).await);
        seen += rows.len();
        let keys: HashSet<_> = rows.iter().filter_map(|row| row.key.clone()).collect();
        for key in keys {
            let own = rows.iter().filter(|row| row.key.as_ref() == Some(&key));
            let values: Vec<_> = own.map(|row| row.value.clone()).collect();
            let expected: Vec<_> = (0..EACH).map(|i| Some(i.to_string().into_bytes())).collect();
            assert_eq!(values, expected, "the order of one appender");
        }
    }
    assert_eq!(seen, APPENDERS * EACH);
}

fn mark(source: &str, numbers: impl IntoIterator<Item = u64>) -> Option<SourceMark> {
    Some(SourceMark { source: source.to_owned(), numbers: numbers.into_iter().collect(), spread: spread() })
}

/// All that a mark can say.
fn spread() -> Spread {
    Spread::over(2).then(0, 7, 3).with_prefix(Some(Prefix { records: 99, digest: u64::MAX - 1 }))
}

async fn a_source_appends_nothing_twice(log: &dyn Log, topic: &str) {
    create(log, topic, 2).await;
    assert_eq!(log.source_position(topic, 0, "file").await.expect("position"), None);
    let send = async |rows: &[RecordRow], mark| log.append(topic, 0, records(rows), mark).await.expect("append");
    send(&numbered(0, 3), mark("file", 0..3)).await;
    let again = send(&numbered(0, 3), mark("file", 0..3)).await;
    let end = log.bounds(topic, 0).await.expect("bounds").end;
    assert_eq!(again, OffsetRange::new(end, end), "what came again is not appended");
    send(&numbered(1, 2), mark("file", [1])).await;
    // Numbers may skip: the others went to another partition. Another source counts for itself.
    send(&numbered(3, 5), mark("file", [10, 15])).await;
    send(&numbered(5, 6), mark("other", [0])).await;

    let position = async |partition, source| log.source_position(topic, partition, source).await.expect("position");
    assert_eq!(position(0, "file").await, Some(PartitionPosition { last: 15, spread: spread() }));
    assert_eq!(position(0, "other").await.map(|position| position.last), Some(0));
    assert_eq!(position(1, "file").await, None, "a position belongs to a partition");
    assert_eq!(without_offsets(read_all(log, topic, 0).await), numbered(0, 6));
}

async fn an_overlapping_source_is_refused(log: &dyn Log, topic: &str) {
    create(log, topic, 1).await;
    let send = |from, to| log.append(topic, 0, records(&numbered(from, to)), mark("s", from as u64..to as u64));
    // One after the other or all at once, it comes to the same.
    send(0, 5).await.expect("append");
    let overlap = send(3, 8).await;
    assert!(matches!(overlap, Err(LogError::SourceOverlap { first: 3, appended: 4, .. })), "{overlap:?}");
    let (next, same, overlap) = futures::join!(send(5, 9), send(5, 9), send(7, 12));
    next.expect("append");
    same.expect("the same again");
    assert!(matches!(overlap, Err(LogError::SourceOverlap { first: 7, appended: 8, .. })), "{overlap:?}");
    assert_eq!(without_offsets(read_all(log, topic, 0).await), numbered(0, 9));
}

async fn trimming_moves_the_start(log: &dyn Log, topic: &str) {
    create(log, topic, 2).await;
    for partition in 0..2 {
        for from in (0..40).step_by(10) {
            append(log, topic, partition, &numbered(from, from + 10)).await;
        }
    }
    let all = read_all(log, topic, 0).await;
    let (before, _) = all[25];
    log.trim(topic, 0, before).await.expect("trim");
    let bounds = log.bounds(topic, 0).await.expect("bounds");
    assert!(bounds.start <= before, "no more than asked for is trimmed");
    let left: Vec<_> = all.iter().filter(|(offset, _)| *offset >= bounds.start).cloned().collect();
    assert_eq!(read_all(log, topic, 0).await, left);
    if bounds.start > all[0].0 {
        let gone = log.read(topic, 0, all[0].0, PLENTY).await;
        assert!(matches!(gone, Err(LogError::Trimmed { .. })), "{gone:?}");
    }
    log.trim(topic, 0, all[0].0).await.expect("what is gone is trimmed already");
    log.trim(topic, 0, bounds.end).await.expect("trim");
    let empty = log.bounds(topic, 0).await.expect("bounds");
    assert!(empty.start >= bounds.start && empty.end == bounds.end, "the end stays: {empty}");

    append(log, topic, 0, &numbered(40, 41)).await;
    let last = read_all(log, topic, 0).await.pop().expect("the record just appended");
    assert_eq!(last.1, numbered(40, 41)[0]);
    assert!(last.0 >= bounds.end, "offsets are not used again");
    assert_eq!(without_offsets(read_all(log, topic, 1).await), numbered(0, 40), "the other partition is untouched");
}

async fn topics_are_made_once(log: &dyn Log, topic: &str) {
    create(log, topic, 3).await;
    append(log, topic, 2, &numbered(0, 1)).await;
    create(log, topic, 3).await;
    assert_eq!(log.partitions(topic).await.expect("partitions"), 3);
    assert_eq!(read_all(log, topic, 2).await.len(), 1, "making a topic again keeps what it holds");
    create(log, topic, 2).await;
    assert_eq!(log.partitions(topic).await.expect("partitions"), 3, "more than are asked for will do");
    match log.create_topic(topic, 4).await {
        Ok(()) => assert_eq!(log.partitions(topic).await.expect("partitions"), 4),
        Err(LogError::PartitionsDiffer { existing: 3, wanted: 4, .. }) => {}
        Err(error) => panic!("{error}"),
    }
    assert_eq!(read_all(log, topic, 2).await.len(), 1);
    let identity = log.identity(topic).await.expect("identity");
    assert_eq!(log.identity(topic).await.expect("identity"), identity);
}

async fn what_does_not_exist_is_an_error(log: &dyn Log, topic: &str) {
    create(log, topic, 2).await;
    let unknown = format!("{topic}_unknown");
    assert!(matches!(log.partitions(&unknown).await, Err(LogError::NoSuchTopic { .. })));
    assert!(matches!(log.bounds(&unknown, 0).await, Err(LogError::NoSuchTopic { .. })));
    let appended = log.append(&unknown, 0, records(&numbered(0, 1)), None).await;
    assert!(matches!(appended, Err(LogError::NoSuchTopic { .. })));
    for partition in [-1, 2] {
        assert!(matches!(log.bounds(topic, partition).await, Err(LogError::NoSuchPartition { partitions: 2, .. })));
        let read = log.read(topic, partition, 0, PLENTY).await;
        assert!(matches!(read, Err(LogError::NoSuchPartition { .. })));
        let appended = log.append(topic, partition, records(&numbered(0, 1)), None).await;
        assert!(matches!(appended, Err(LogError::NoSuchPartition { .. })));
        assert!(matches!(log.wait_past(topic, partition, 0).await, Err(LogError::NoSuchPartition { .. })));
    }
}
