//! `sys.streams`, `sys.segments` and `sys.sources`.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};

use super::column;
use crate::error::QueryError;
use crate::raw::{instant, schema};
use crate::serving::Inner;

pub(super) fn streams_schema() -> SchemaRef {
    schema(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("topic", DataType::Utf8, false),
        Field::new("format", DataType::Utf8, false),
        Field::new("partitions", DataType::Int32, false),
        Field::new("columns", DataType::Int64, false),
        Field::new("fingerprint", DataType::Utf8, false),
        Field::new("landed_rows", DataType::Int64, false),
        Field::new("dead_letters", DataType::Int64, false),
        Field::new("segments", DataType::Int64, false),
        Field::new("bytes", DataType::Int64, false),
    ])
}

pub(super) async fn streams(inner: &Inner) -> Result<RecordBatch, QueryError> {
    let (mut partitions, mut landed) = (vec![], vec![]);
    for stream in &inner.streams {
        partitions.push(inner.partitions_of(stream).await.map_or(stream.options.partitions, |n| n).cast_signed());
        landed.push(inner.catalog.landed_totals(&stream.topic).await?);
    }
    let streams = &inner.streams;
    column::batch(
        streams_schema(),
        vec![
            column::text(streams.iter().map(|s| Some(s.name.as_str()))),
            column::text(streams.iter().map(|s| Some(&s.topic))),
            column::text(streams.iter().map(|s| Some(format!("{:?}", s.format).to_uppercase()))),
            column::int32(partitions),
            column::count(streams.iter().map(|s| s.columns.fields().len() as u64)),
            column::text(streams.iter().map(|s| Some(s.fingerprint()))),
            column::count(landed.iter().map(|l| l.rows)),
            column::count(landed.iter().map(|l| l.dead)),
            column::count(landed.iter().map(|l| l.segments)),
            column::count(landed.iter().map(|l| l.bytes)),
        ],
    )
}

pub(super) fn segments_schema() -> SchemaRef {
    schema(vec![
        Field::new("topic", DataType::Utf8, false),
        Field::new("partition", DataType::Int32, false),
        Field::new("start_offset", DataType::Int64, false),
        Field::new("end_offset", DataType::Int64, false),
        Field::new("rows", DataType::Int64, false),
        Field::new("dead_letters", DataType::Int64, false),
        Field::new("bytes", DataType::Int64, false),
        Field::new("path", DataType::Utf8, false),
        Field::new("dead_path", DataType::Utf8, true),
        Field::new("fingerprint", DataType::Utf8, false),
        instant("first_timestamp", true),
        instant("last_timestamp", true),
        instant("created", false),
    ])
}

pub(super) async fn segments(inner: &Inner) -> Result<RecordBatch, QueryError> {
    let mut segments = vec![];
    for stream in &inner.streams {
        segments.extend(inner.catalog.segments(&stream.topic).await?);
    }
    column::batch(
        segments_schema(),
        vec![
            column::text(segments.iter().map(|s| Some(&s.topic))),
            column::int32(segments.iter().map(|s| s.partition)),
            column::int64(segments.iter().map(|s| Some(s.range.start))),
            column::int64(segments.iter().map(|s| Some(s.range.end))),
            column::count(segments.iter().map(|s| s.rows)),
            column::count(segments.iter().map(|s| s.dead)),
            column::count(segments.iter().map(|s| s.bytes)),
            column::text(segments.iter().map(|s| Some(&s.path))),
            column::text(segments.iter().map(|s| s.dead_path.as_ref())),
            column::text(segments.iter().map(|s| Some(&s.schema))),
            column::instant(segments.iter().map(|s| s.first_timestamp_ms)),
            column::instant(segments.iter().map(|s| s.last_timestamp_ms)),
            column::instant(segments.iter().map(|s| Some(s.created_ms))),
        ],
    )
}

pub(super) fn sources_schema() -> SchemaRef {
    schema(vec![
        Field::new("stream", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("data_type", DataType::Utf8, false),
        Field::new("event_time", DataType::Boolean, false),
    ])
}

/// What each stream's records are decoded into.
pub(super) fn sources(inner: &Inner) -> Result<RecordBatch, QueryError> {
    let columns: Vec<_> =
        inner.streams.iter().flat_map(|s| s.columns.fields().iter().map(move |field| (s, field))).collect();
    column::batch(
        sources_schema(),
        vec![
            column::text(columns.iter().map(|(stream, _)| Some(stream.name.as_str()))),
            column::text(columns.iter().map(|(_, field)| Some(field.name()))),
            column::text(columns.iter().map(|(_, field)| Some(field.data_type().to_string()))),
            column::boolean(columns.iter().map(|(s, field)| s.options.event_time.as_deref() == Some(field.name()))),
        ],
    )
}
