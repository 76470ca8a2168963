//! What only the appender itself shows. How it fares on a log that fails and grows is in `tests/log/append.rs`.

use std::path::Path;

use dovetail_core::clock;
use dovetail_core::pipeline::Pipeline;

use super::*;
use crate::log::embedded::{EmbeddedLog, EmbeddedLogConfig};

async fn values_in(log: &EmbeddedLog, partition: i32) -> Vec<String> {
    let read = log.read("S", partition, 0, 1 << 20).await.unwrap();
    assert_eq!(read.range.end, log.bounds("S", partition).await.unwrap().end, "one read gets them all");
    read.records.values.iter().flatten().map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn new_partitions_are_used_once_every_process_knows_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = EmbeddedLogConfig { queue_bytes: 8 << 20, tail_bytes: 1 << 20 };
    let log = Arc::new(EmbeddedLog::open(folder.path(), &settings).unwrap());
    let sql = "CREATE EXTERNAL TABLE s (n BIGINT) STORED AS JSON LOCATION 'kafka://S' OPTIONS ('partitions' '4');";
    let stream = Arc::new(Pipeline::parse(sql, Path::new("p.sql")).unwrap().streams[0].clone());
    log.create_topic("S", 4).await.unwrap();
    let appender = Appender::open(Arc::<EmbeddedLog>::clone(&log), stream, Clock::manual(7)).await.unwrap();
    let all: Vec<String> = (0..160).map(|i| format!("{{\"n\": {}}}", 1_000_000 + i)).collect();
    let append = async |from: usize, to: usize| {
        let values: Vec<&[u8]> = all[from..to].iter().map(String::as_bytes).collect();
        let from = NumberedFrom { source: "file".to_owned(), first: from as u64, prefix: None };
        appender.append(&values, Some(&from)).await.unwrap()
    };
    append(0, 40).await;
    log.create_topic("S", 8).await.unwrap();
    append(40, 80).await;
    assert!(values_in(&log, 4).await.is_empty(), "it may be that others have not heard of it");
    appender.count.heard(8, clock::now_monotonic() + PARTITIONS_SETTLE_AFTER);
    append(0, 160).await;
    assert_eq!(values_in(&log, 4).await.len(), 10);
    assert_eq!(append(0, 160).await, 0);
    let mut there = vec![];
    for partition in 0..8 {
        there.extend(values_in(&log, partition).await);
    }
    there.sort();
    assert_eq!(there, all);
}

#[test]
fn large_parts_are_cut() {
    let value = vec![0; PIECE_BYTES / 2];
    let large = vec![0; PIECE_BYTES + 1];
    let part: Vec<KeyedValue<'_>> = [&value, &value, &value, &large, &value]
        .map(|value| KeyedValue { number: 0, key: None, value: value.as_slice() })
        .to_vec();
    assert_eq!(pieces(&part).map(<[_]>::len).collect::<Vec<_>>(), [2, 1, 1, 1]);
    assert_eq!(pieces(&[]).count(), 0);
}
