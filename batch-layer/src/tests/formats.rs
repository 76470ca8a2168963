//! Objects read by other engines and written by other versions.

use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use bytes::Bytes;
use dovetail_core::catalog::{ObjectState, RunKind, Segment};
use dovetail_core::offsets::OffsetRange;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{LogicalType, TimeUnit as ParquetUnit, Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::Rig;
use crate::put::put_segment;

/// The pipeline of `format_1`, and views whose states have every type of time.
const ORDERS: &str = "
CREATE EXTERNAL TABLE orders (
  id BIGINT NOT NULL, at TIMESTAMP NOT NULL, opens TIME, plain TIMESTAMP(0), shop VARCHAR, times TIMESTAMP[]
) STORED AS JSON LOCATION 'kafka://Orders'
OPTIONS ('event_time' 'at', 'timezone' 'America/New_York', 'partitions' '1');
CREATE VIEW by_time AS
SELECT at, opens, plain, count(*) AS n, min(at) AS first, max(opens) AS last, array_agg(at ORDER BY id) AS all_at
FROM orders GROUP BY at, opens, plain;
CREATE VIEW made AS
SELECT to_timestamp_nanos(id) AS nanos, arrow_cast(plain, 'Timestamp(Nanosecond, None)') AS cast, avg(at) AS mean,
       first_value(to_timestamp(id) ORDER BY id) AS of_id, max(at::time) AS clock, min(100 / (id - 1)) AS fails
FROM orders GROUP BY 1, 2;
CREATE VIEW rows AS SELECT id, at, at AT TIME ZONE 'Asia/Tokyo' AS in_tokyo, opens, times FROM orders;
";

/// The records of `format_1`, written by a version whose timestamps counted nanoseconds.
const RECORDS: [&str; 5] = [
    r#"{"id": 1, "at": "2026-03-01T09:12:00.123456789", "opens": "08:00:00.1234567", "plain": "2026-03-01T09:12:00", "shop": "Lisbon", "times": ["2026-03-01"]}"#,
    r#"{"id": 2, "at": "1969-12-31T23:59:59.9999999Z", "opens": "23:59:59.999999999", "plain": "2026-03-01T09:12:00.6", "shop": "Porto", "times": []}"#,
    r#"{"id": 3, "at": "2261-03-01", "shop": "Porto"}"#,
    r#"{"id": 4, "at": "9999-12-31", "shop": "Porto"}"#,
    r#"{"id": 5, "at": "no time", "shop": "Porto"}"#,
];

async fn rig() -> Rig {
    let rig = Rig::new(ORDERS).await;
    rig.append(0, &RECORDS.map(str::to_owned)).await;
    rig
}

/// Spark and pyiceberg refuse nanoseconds, pyiceberg also zones that are not UTC.
#[tokio::test(flavor = "multi_thread")]
async fn objects_have_types_that_other_engines_read() {
    let rig = rig().await;
    rig.land().await;
    rig.run(RunKind::Full).await.unwrap();
    let paths = rig.objects(ObjectState::Live).await;
    let parquet: Vec<&String> = paths.iter().filter(|path| path.ends_with(".parquet")).collect();
    for kind in ["segments/", "dead/", "by_time-0", "made-0", "made-errors-0", "rows-0"] {
        assert!(parquet.iter().any(|path| path.contains(kind)), "no {kind} in {parquet:?}");
    }
    for path in parquet {
        let object = rig.store.get(&path.as_str().into()).await.unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(object).unwrap();
        builder.schema().fields().iter().for_each(|field| check_type(path, field));
        for column in builder.parquet_schema().columns() {
            let nanos = match column.logical_type_ref() {
                Some(LogicalType::Timestamp(time)) => time.unit == ParquetUnit::NANOS,
                Some(LogicalType::Time(time)) => time.unit == ParquetUnit::NANOS,
                _ => false,
            };
            assert!(!nanos && column.physical_type() != Type::INT96, "{path}: {column:?}");
        }
        let about = builder.metadata().file_metadata().key_value_metadata().unwrap();
        let said = |key: &str| about.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_deref());
        assert_eq!(said("dovetail.format"), Some("2"), "{path}");
        let zones = said("dovetail.zones");
        assert_eq!(zones.is_some_and(|zones| zones.contains("America/New_York")), zones.is_some(), "{path}: {zones:?}");
        assert!(!path.starts_with("segments/") || zones.is_some(), "{path}");
    }
}

fn check_type(path: &str, field: &FieldRef) {
    match field.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, zone) => {
            assert!(zone.as_deref().is_none_or(|zone| zone == "UTC"), "{path}: {field}");
        }
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(TimeUnit::Nanosecond) => {
            panic!("{path}: {field}")
        }
        DataType::List(item) | DataType::LargeList(item) => check_type(path, item),
        DataType::Struct(fields) => fields.iter().for_each(|field| check_type(path, field)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_folded_of_objects_is_what_was_decoded() {
    let rig = rig().await;
    rig.land().await;
    rig.run(RunKind::Full).await.unwrap();
    let rows = [
        "1 | 2026-03-01T09:12:00.123457-05:00 | 2026-03-01T23:12:00.123457 | 08:00:00.123457 | [2026-03-01T00:00:00-05:00]",
        "2 | 1969-12-31T19:00:00-05:00 | 1970-01-01T09:00:00 | 23:59:59.999999 | []",
        "3 | 2261-03-01T00:00:00-05:00 | 2261-03-01T14:00:00 |  | ",
        "4 | 9999-12-31T00:00:00-05:00 | 9999-12-31T14:00:00 |  | ",
    ];
    assert_eq!(rig.batch_answer("rows").await, rows);
    assert_eq!(rig.batch_answer("by_time").await, rig.one_shot_answer("by_time").await);
}

/// The segment and the dead letters of a version without named formats.
async fn first_format(rig: &Rig) -> Segment {
    let (rows, dead) = (include_bytes!("format_1/segment.parquet"), include_bytes!("format_1/dead.parquet"));
    let segment = segment(rig, rows.len());
    record(rig, &segment, rows.as_slice().into(), dead.as_slice().into()).await;
    segment
}

fn segment(rig: &Rig, bytes: usize) -> Segment {
    Segment {
        topic: rig.topic().to_owned(),
        partition: 0,
        range: OffsetRange::new(0, 5),
        path: "segments/Orders/0/old.parquet".to_owned(),
        rows: 3,
        dead: 2,
        dead_path: Some("dead/Orders/0/old.parquet".to_owned()),
        bytes: bytes as u64,
        schema: "8187a57d6010a02ac8462586a73c90e6a6bb4a916a46bce03d16bceed223eb96".to_owned(),
        first_timestamp_ms: None,
        last_timestamp_ms: None,
        created_ms: 0,
    }
}

async fn record(rig: &Rig, segment: &Segment, rows: Bytes, dead: Bytes) {
    rig.catalog.init_partition(rig.topic(), 0, 0).await.unwrap();
    put_segment(&rig.catalog, &rig.store, segment, &rows, Some(&dead)).await.unwrap();
    rig.catalog.record_segment(segment).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_the_first_format_are_decoded_again() {
    let rig = rig().await;
    let old = first_format(&rig).await;
    rig.run(RunKind::Full).await.unwrap();
    let from_old = rig.batch_answer("rows").await;
    assert_ne!(old.schema, rig.streams[0].fingerprint());
    let other = self::rig().await;
    other.land().await;
    other.run(RunKind::Full).await.unwrap();
    // The year 9999 was a dead letter then.
    assert_eq!((from_old.len(), from_old), (4, other.batch_answer("rows").await));
    for view in ["by_time", "made"] {
        assert_eq!(rig.batch_answer(view).await, other.batch_answer(view).await, "{view}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_of_a_later_format_is_refused() {
    let rig = rig().await;
    let later = vec![KeyValue::new("dovetail.format".to_owned(), "3".to_owned())];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(later)).build();
    let mut rows = vec![];
    ArrowWriter::try_new(&mut rows, rig.streams[0].decoded_schema(), Some(properties)).unwrap().close().unwrap();
    let dead = include_bytes!("format_1/dead.parquet");
    record(&rig, &segment(&rig, rows.len()), rows.into(), dead.as_slice().into()).await;
    let error = rig.run(RunKind::Full).await.unwrap_err();
    let error = dovetail_core::error_chain::in_one_line(&error);
    let wanted = "it has format 3, this program reads formats up to 2: use the version that wrote it, or a newer one";
    assert!(error.contains(wanted) && error.contains("segments/Orders/0/old.parquet"), "{error}");
}
