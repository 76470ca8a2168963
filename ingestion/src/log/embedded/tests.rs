use std::fs;
use std::path::PathBuf;

use futures::future::join_all;
use tempfile::TempDir;

use super::limits::RECORD_BYTES;
use super::*;
use crate::log::Spread;

mod killed;

/// The config of most tests; without a tail every read goes to the store.
fn config(tail_bytes: usize) -> EmbeddedLogConfig {
    EmbeddedLogConfig { queue_bytes: 8 << 20, tail_bytes }
}

fn open(folder: &TempDir, tail_bytes: usize) -> Arc<EmbeddedLog> {
    Arc::new(EmbeddedLog::open(folder.path(), &config(tail_bytes)).unwrap())
}

fn one(value: &str) -> Records {
    Records::from_values(5, [value.as_bytes()])
}

fn filler(records: usize, bytes: usize, fill: u8) -> Records {
    Records::from_values(5, vec![vec![fill; bytes].as_slice(); records])
}

async fn values(log: &EmbeddedLog, partition: i32) -> Vec<String> {
    let OffsetRange { start: mut next, end } = log.bounds("t", partition).await.unwrap();
    let mut values = Vec::new();
    while next < end {
        let page = log.read("t", partition, next, 1 << 20).await.unwrap();
        values.extend(page.records.values.iter().flatten().map(|value| String::from_utf8_lossy(value).into_owned()));
        next = page.range.end;
    }
    values
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 1 << 20);
    log.create_topic("t", 2).await.unwrap();
    for value in ["a", "b", "c"] {
        log.append("t", 0, one(value), None).await.unwrap();
    }
    let mark = SourceMark { source: "s".to_owned(), numbers: vec![1], spread: Spread::over(2) };
    log.append("t", 1, one("d"), Some(mark)).await.unwrap();
    log.trim("t", 0, 2).await.unwrap();
    drop(log);

    let log = open(&folder, 1 << 20);
    assert_eq!(log.partitions("t").await.unwrap(), 2);
    assert_eq!(log.bounds("t", 0).await.unwrap(), OffsetRange::new(2, 3));
    assert_eq!(values(&log, 0).await, ["c"]);
    assert_eq!(values(&log, 1).await, ["d"]);
    let position = log.source_position("t", 1, "s").await.unwrap();
    assert_eq!(position, Some(PartitionPosition { last: 1, spread: Spread::over(2) }));
    log.create_topic("u", 1).await.unwrap();
    assert_eq!(log.append("t", 0, one("e"), None).await.unwrap(), OffsetRange::new(3, 4));
    assert_eq!(log.bounds("u", 0).await.unwrap(), OffsetRange::new(0, 0));
    assert_eq!(values(&log, 0).await, ["c", "e"]);
}

#[tokio::test]
async fn appends_at_once_share_commits() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 1 << 20);
    log.create_topic("t", 1).await.unwrap();
    let appends = (0..64).map(|i| log.append("t", 0, Records::from_values(i, [b"x".as_slice()]), None));
    let mut offsets: Vec<i64> = join_all(appends).await.into_iter().map(|range| range.unwrap().start).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..64).collect::<Vec<i64>>());
    assert!(log.commits() <= 16, "64 appends took {} commits", log.commits());
}

#[tokio::test]
async fn a_full_queue_makes_appenders_wait() {
    let folder = TempDir::new().unwrap();
    let config = EmbeddedLogConfig { queue_bytes: 4096, tail_bytes: 0 };
    let log = EmbeddedLog::open(folder.path(), &config).unwrap();
    log.create_topic("t", 1).await.unwrap();
    // Larger than the whole queue, alone and many at once: each takes all of it and goes through.
    let appends = (0..20).map(|_| log.append("t", 0, filler(3, 5_000, b'x'), None));
    assert!(join_all(appends).await.iter().all(Result::is_ok));
    assert_eq!(log.bounds("t", 0).await.unwrap().end, 60);
    assert_eq!(log.commits(), 20, "no two of them fit the queue together");
}

#[tokio::test]
async fn a_folder_in_use_says_so() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 0);
    let error = EmbeddedLog::open(folder.path(), &config(0)).unwrap_err().to_string();
    let path = folder.path().display();
    assert_eq!(error, format!("the log in `{path}` is open in another process; stop that one, or use another folder"));
    drop(log);
    open(&folder, 0);
}

#[tokio::test]
async fn a_folder_names_its_format() {
    let folder = TempDir::new().unwrap();
    // The form of folders before they had one.
    let store = LogStore::open(folder.path()).unwrap();
    store.data.remove(keys::FORMAT).unwrap();
    drop(store);
    let store = LogStore::open(folder.path()).unwrap();
    assert_eq!(store.number(keys::FORMAT).unwrap(), Some(1));
    store.name_format(2).unwrap();
    drop(store);
    let error = EmbeddedLog::open(folder.path(), &config(0)).unwrap_err().to_string();
    let wanted = "has format 2, this program reads format 1: use the version that wrote it, or a newer one";
    assert!(error.contains(wanted), "{error}");
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 0);
    assert!(matches!(log.create_topic("t", 0).await, Err(LogError::NoPartitions { .. })));
    assert!(matches!(log.create_topic(&"t".repeat(5000), 1).await, Err(LogError::NameTooLong { .. })));
    log.create_topic("t", 1).await.unwrap();
    let large = log.append("t", 0, filler(1, RECORD_BYTES + 1, b'x'), None).await;
    assert!(matches!(large, Err(LogError::RecordTooLarge { .. })), "{large:?}");
}

#[tokio::test]
async fn closing_wakes_who_waits_and_keeps_what_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 0);
    log.create_topic("t", 1).await.unwrap();
    log.append("t", 0, one("a"), None).await.unwrap();
    let waiting = log.wait_past("t", 0, 7);
    let closing = async { log.close() };
    let (waited, ()) = futures::join!(waiting, closing);
    assert!(matches!(waited, Err(LogError::Closed)), "{waited:?}");
    assert!(matches!(log.append("t", 0, one("b"), None).await, Err(LogError::Closed)));
    assert_eq!(values(&log, 0).await, ["a"]);
}

/// The files that hold batches.
fn batch_files(log: &EmbeddedLog) -> Vec<PathBuf> {
    let files = fs::read_dir(log.store.data.path().join("blobs")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[tokio::test]
async fn a_damaged_batch_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 0);
    log.create_topic("t", 1).await.unwrap();
    for fill in [b'a', b'b', b'c'] {
        log.append("t", 0, filler(10, 1000, fill), None).await.unwrap();
    }
    log.store.data.rotate_memtable_and_wait().unwrap();
    for file in batch_files(&log) {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.windows(50).position(|window| window == [b'b'; 50]).unwrap();
        bytes[middle] = b'X';
        fs::write(file, bytes).unwrap();
    }
    let page = log.read("t", 0, 0, 1 << 20).await.unwrap();
    assert_eq!(page.range, OffsetRange::new(0, 10), "what lies before it is still read");
    let error = log.read("t", 0, 12, 1 << 20).await.unwrap_err();
    assert!(matches!(error, LogError::Damaged { offset: 10, .. }), "{error:?}");
    assert_eq!(log.read("t", 0, 20, 1 << 20).await.unwrap().range, OffsetRange::new(20, 30));
}

#[tokio::test]
async fn a_damaged_journal_is_not_opened_as_if_nothing_were_missing() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 0);
    log.create_topic("t", 1).await.unwrap();
    for fill in [b'a', b'b', b'c'] {
        log.append("t", 0, filler(10, 1000, fill), None).await.unwrap();
    }
    drop(log);
    let journal = folder.path().join("0.jnl");
    let mut bytes = fs::read(&journal).unwrap();
    let middle = bytes.windows(50).position(|window| window == [b'b'; 50]).unwrap();
    bytes[middle] = b'X';
    fs::write(journal, bytes).unwrap();
    let error = EmbeddedLog::open(folder.path(), &config(0)).unwrap_err();
    assert!(matches!(error, LogError::DamagedJournal { .. }), "{error:?}");
    assert!(error.to_string().contains("move it away and ingest again"), "{error}");
}

#[tokio::test]
async fn trimming_gives_the_disk_back() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 0);
    log.create_topic("t", 2).await.unwrap();
    for fill in 0..100 {
        log.append("t", 0, filler(1000, 1000, fill), None).await.unwrap();
    }
    log.append("t", 1, filler(20, 1000, 7), None).await.unwrap();
    log.store.data.rotate_memtable_and_wait().unwrap();
    let files = |log: &EmbeddedLog| -> u64 {
        batch_files(log).iter().map(|file| fs::metadata(file).map_or(0, |file| file.len())).sum()
    };
    let before = files(&log);
    assert!(before > 100_000_000, "{before}");
    log.trim("t", 0, 95_000).await.unwrap();
    let after = files(&log);
    assert!(after < before / 2, "{before} bytes before, {after} after");
    assert!(log.disk_bytes().await.unwrap() > after);
    assert_eq!(log.bounds("t", 0).await.unwrap(), OffsetRange::new(95_000, 100_000));
    assert_eq!(values(&log, 0).await.len(), 5_000);
    assert_eq!(values(&log, 1).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trimming_disturbs_neither_appends_nor_reads() {
    const ROUNDS: i64 = 120;
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 0);
    log.create_topic("t", 1).await.unwrap();
    let appending = async {
        for round in 0..ROUNDS {
            log.append("t", 0, filler(1000, 1000, round as u8), None).await.unwrap();
        }
    };
    let trimming = async {
        for before in (5_000..ROUNDS * 1000).step_by(20_000) {
            log.wait_past("t", 0, before + 10_000).await.unwrap();
            log.trim("t", 0, before).await.unwrap();
        }
    };
    let reading = async {
        let (mut next, mut read) = (0, 0);
        while next < ROUNDS * 1000 {
            log.wait_past("t", 0, next).await.unwrap();
            match log.read("t", 0, next, 300_000).await {
                Ok(page) => {
                    for (offset, value) in page.offsets.values().iter().zip(page.records.values.iter().flatten()) {
                        assert_eq!(value, [(offset / 1000) as u8; 1000], "at offset {offset}");
                    }
                    (next, read) = (page.range.end, read + page.records.len());
                }
                Err(LogError::Trimmed { first, .. }) => next = first,
                Err(error) => panic!("{error}"),
            }
        }
        read
    };
    let ((), (), read) = futures::join!(appending, trimming, reading);
    assert!(read > 10_000, "only {read} records were read");
    let start = log.bounds("t", 0).await.unwrap().start;
    assert_eq!(values(&log, 0).await.len() as i64, ROUNDS * 1000 - start);
    drop(log);
    let log = open(&folder, 0);
    assert_eq!(values(&log, 0).await.len() as i64, ROUNDS * 1000 - start);
}

#[tokio::test]
async fn a_topic_grows_and_stays_so() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder, 0);
    log.create_topic("t", 2).await.unwrap();
    log.append("t", 1, one("a"), None).await.unwrap();
    log.create_topic("t", 5).await.unwrap();
    log.create_topic("t", 3).await.unwrap();
    log.append("t", 4, one("b"), None).await.unwrap();
    let identity = log.identity("t").await.unwrap();
    drop(log);

    let log = open(&folder, 0);
    assert_eq!(log.partitions("t").await.unwrap(), 5);
    assert_eq!((values(&log, 1).await, values(&log, 4).await), (strings(&["a"]), strings(&["b"])));
    assert_eq!(log.append("t", 1, one("c"), None).await.unwrap(), OffsetRange::new(1, 2));
    assert_eq!(log.identity("t").await.unwrap(), identity);
    let other = open(&TempDir::new().unwrap(), 0);
    other.create_topic("t", 5).await.unwrap();
    assert!(identity.is_some() && other.identity("t").await.unwrap() != identity);
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

#[tokio::test]
async fn so_many_positions_are_kept_and_that_others_are_not_is_known() {
    let folder = TempDir::new().unwrap();
    let most = 10;
    let send = async |log: &EmbeddedLog, source: &str, number: u64| {
        let mark = SourceMark { source: source.to_owned(), numbers: vec![number], spread: Spread::over(2) };
        for partition in 0..2 {
            log.append("t", partition, one("x"), Some(mark.clone())).await.unwrap();
        }
    };
    for round in 0..3 {
        let log = EmbeddedLog::open_with(folder.path(), &config(0), most).unwrap();
        log.create_topic("t", 2).await.unwrap();
        assert_eq!(log.forgets_sources("t").await.unwrap().is_some(), round > 0);
        for i in 0..most + 5 {
            send(&log, &format!("{round} {i}"), 0).await;
            // A source that goes on is not forgotten.
            send(&log, "long", (round * 100 + i) as u64).await;
        }
        assert!(log.forgets_sources("t").await.unwrap().is_some());
        let mut kept = 0;
        for row in log.store.data.prefix([keys::SOURCE]) {
            row.into_inner().unwrap();
            kept += 1;
        }
        assert_eq!(kept, 2 * most, "in both partitions");
        for partition in 0..2 {
            let last = log.source_position("t", partition, "long").await.unwrap().map(|position| position.last);
            assert_eq!(last, Some((round * 100 + most + 4) as u64));
            assert_eq!(log.source_position("t", partition, &format!("{round} 0")).await.unwrap(), None);
        }
    }
}
