//! Landed segments and dead letters as tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use dovetail_core::catalog::Segment;
use dovetail_core::offsets::OffsetRange;
use futures::StreamExt;
use object_store::path::Path;

use super::world::{PIPELINE, World, config, parquet};
use crate::{Reason, ServingConfig};

impl World {
    /// Lands the rows `[start, end)` of a partition, with one dead letter.
    async fn land(&self, partition: i32, start: i64, end: i64) {
        let rows = self.rows.partitions.lock().unwrap()[&partition][start as usize..end as usize].to_vec();
        let path = format!("segments/Clicks/{partition}/{start}-{end}.parquet");
        let bytes = parquet(&rows[0].schema(), &rows, vec![]);
        let dead_path = format!("dead/Clicks/{partition}/{start}-{end}.parquet");
        let segment = Segment {
            topic: "Clicks".to_owned(),
            partition,
            range: OffsetRange::new(start, end),
            path: path.clone(),
            rows: rows.len() as u64,
            dead: 1,
            dead_path: Some(dead_path.clone()),
            bytes: bytes.len() as u64,
            schema: self.serving.layers.streams[0].fingerprint(),
            first_timestamp_ms: None,
            last_timestamp_ms: None,
            created_ms: 5,
        };
        self.catalog.stage(&[(&path, segment.bytes), (&dead_path, 1)], None).await.unwrap();
        self.store.put_new(&Path::from(path.as_str()), bytes.into()).await.unwrap();
        let letter = dead_letter(partition, start);
        let dead = parquet(&letter.schema(), &[letter], vec![]);
        self.store.put_new(&Path::from(dead_path), dead.into()).await.unwrap();
        self.catalog.record_segment(&segment).await.unwrap();
    }
}

/// As the batch layer writes them.
fn dead_letter(partition: i32, offset: i64) -> RecordBatch {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("partition", DataType::Int32, true),
        Field::new("offset", DataType::Int64, true),
        Field::new("timestamp_ms", DataType::Int64, true),
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, true),
        Field::new("error", DataType::Utf8, true),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![partition])),
        Arc::new(Int64Array::from(vec![offset])),
        Arc::new(Int64Array::from(vec![1_700_000_000_000])),
        Arc::new(BinaryArray::from(vec![None])),
        Arc::new(BinaryArray::from(vec![Some("{nope".as_bytes())])),
        Arc::new(StringArray::from(vec!["it is no JSON"])),
    ];
    RecordBatch::try_new(schema, columns).unwrap()
}

async fn landed() -> World {
    let world = World::new().await;
    world.append_all(&[("ann", "/a", 10), ("bob", "/b", 20), ("cid", "/c", 30), ("dan", "/d", 40)]);
    world.land(0, 0, 1).await;
    world.land(0, 1, 2).await;
    world.land(1, 0, 2).await;
    world
}

#[tokio::test]
async fn segments_are_one_table() {
    let world = landed().await;
    assert_eq!(world.rows("SELECT count(*), sum(ms) FROM raw.clicks").await, ["4|100"]);
    let sql = "SELECT user_id, _partition, _offset FROM raw.clicks WHERE ms > 15 ORDER BY ms LIMIT 2";
    assert_eq!(world.rows(sql).await, ["bob|1|0", "cid|0|1"]);
    let sql = "SELECT partition, start_offset, rows FROM sys.segments ORDER BY 1, 2";
    assert_eq!(world.rows(sql).await, ["0|0|1", "0|1|1", "1|0|2"]);
    assert_eq!(world.rows("SELECT partition, landed FROM sys.partitions ORDER BY 1").await, ["0|2", "1|2"]);
    // The next query sees changes by compaction or landing.
    world.append(0, ("eve", "/e", 50));
    world.land(0, 2, 3).await;
    assert_eq!(world.rows("SELECT count(*) FROM raw.clicks").await, ["5"]);
}

#[tokio::test]
async fn a_segment_that_is_gone_or_short_is_named() {
    let world = landed().await;
    let gone = "segments/Clicks/0/1-2.parquet";
    std::fs::remove_file(world.folder.path().join(gone)).unwrap();
    let error = world.error("SELECT sum(ms) FROM raw.clicks").await;
    assert_eq!(error.reason, Reason::Storage, "{error:?}");
    assert!(error.message.contains(gone), "{error}");
    let short = "segments/Clicks/1/0-2.parquet";
    let bytes = std::fs::read(world.folder.path().join(short)).unwrap();
    std::fs::write(world.folder.path().join(gone), &bytes).unwrap();
    std::fs::write(world.folder.path().join(short), &bytes[..bytes.len() / 2]).unwrap();
    let error = world.error("SELECT sum(ms) FROM raw.clicks").await;
    assert!(error.message.contains(short), "{error}");
    assert_eq!(world.rows("SELECT clicks FROM everything").await, ["4"]);
}

#[tokio::test]
async fn dead_letters_can_be_asked_for() {
    let world = landed().await;
    let sql = "SELECT topic, partition, \"offset\", timestamp, key, CAST(value AS VARCHAR), text, error FROM sys.dead_letters";
    let found = world.rows(&format!("{sql} WHERE partition = 1")).await;
    assert_eq!(found, ["Clicks|1|0|2023-11-14T22:13:20Z||{nope|{nope|it is no JSON"]);
    assert_eq!(world.rows("SELECT count(*) FROM sys.dead_letters WHERE error LIKE '%JSON'").await, ["3"]);
    // The objects of other partitions are not even read.
    std::fs::remove_file(world.folder.path().join("dead/Clicks/0/0-1.parquet")).unwrap();
    assert_eq!(world.rows("SELECT count(*) FROM sys.dead_letters WHERE partition = 1").await, ["1"]);
    let error = world.error("SELECT count(*) FROM sys.dead_letters").await;
    assert!(error.message.contains("dead/Clicks/0/0-1.parquet"), "{error}");
}

#[tokio::test]
async fn a_scan_keeps_its_turn_until_its_last_row() {
    let world = World::with(PIPELINE, ServingConfig { max_queries: 1, ..config() }).await;
    for segment in 0..12 {
        world.append(0, ("ann", "/a", segment));
        world.land(0, segment, segment + 1).await;
    }
    let turns = &world.serving.turns;
    let mut answer = world.ask("SELECT ms FROM raw.clicks").await.unwrap();
    let first = answer.batches.next().await.unwrap().unwrap();
    assert!(first.num_rows() < 6, "{}", first.num_rows());
    assert_eq!(turns.available_permits(), 0, "it goes on reading segments");
    let rest: usize = answer.collect().await.unwrap().iter().map(RecordBatch::num_rows).sum();
    assert_eq!((first.num_rows() + rest, turns.available_permits()), (12, 1));
}
