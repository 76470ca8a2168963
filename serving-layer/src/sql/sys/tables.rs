//! `sys.streams`, `sys.segments`, `sys.gaps` and `sys.sources`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::FieldRef;
use datafusion::execution::TaskContext;
use dovetail_core::catalog::{Gap, LandedTotals, Segment};
use dovetail_core::pipeline::Stream;

use super::column::{self, Column, boolean, count, instant, int32, int64, text};
use crate::error::QueryError;
use crate::snapshot::layers::Layers;
use crate::sql::tables::Tables;

/// A stream with the totals of its landing.
pub(super) struct Landed {
    stream: Arc<Stream>,
    partitions: i32,
    totals: LandedTotals,
}

pub(super) const STREAMS: &[Column<Landed>] = &[
    text("name", |of: &Landed| Some(of.stream.name.to_string())).required(),
    text("topic", |of: &Landed| Some(of.stream.topic.clone())).required(),
    text("format", |of: &Landed| Some(format!("{:?}", of.stream.format).to_uppercase())).required(),
    int32("partitions", |of: &Landed| Some(of.partitions)).required(),
    int64("columns", |of: &Landed| count(of.stream.columns.fields().len() as u64)).required(),
    text("fingerprint", |of: &Landed| Some(of.stream.fingerprint())).required(),
    int64("landed_rows", |of: &Landed| count(of.totals.rows)).required(),
    int64("dead_letters", |of: &Landed| count(of.totals.dead)).required(),
    int64("segments", |of: &Landed| count(of.totals.segments)).required(),
    int64("bytes", |of: &Landed| count(of.totals.bytes)).required(),
];

/// The columns that count decoded records.
pub(super) const COUNTS: [&str; 3] = ["landed_rows", "rows", "dead_letters"];

pub(super) async fn streams(tables: &Tables, recount: Option<&Arc<TaskContext>>) -> Result<RecordBatch, QueryError> {
    let mut rows = vec![];
    for stream in &tables.layers.streams {
        let partitions = tables.layers.partitions_at_once(stream).await.cast_signed();
        let mut totals = tables.layers.catalog.landed_totals(&stream.topic).await?;
        if recount.is_some() {
            let segments = segments_of(tables, stream, recount).await?;
            totals.rows = segments.iter().map(|segment| segment.rows).sum();
            totals.dead = segments.iter().map(|segment| segment.dead).sum();
        }
        rows.push(Landed { stream: Arc::clone(stream), partitions, totals });
    }
    column::batch(STREAMS, &rows)
}

pub(super) const SEGMENTS: &[Column<Segment>] = &[
    text("topic", |of: &Segment| Some(of.topic.clone())).required(),
    int32("partition", |of: &Segment| Some(of.partition)).required(),
    int64("start_offset", |of: &Segment| Some(of.range.start)).required(),
    int64("end_offset", |of: &Segment| Some(of.range.end)).required(),
    int64("rows", |of: &Segment| count(of.rows)).required(),
    int64("dead_letters", |of: &Segment| count(of.dead)).required(),
    int64("bytes", |of: &Segment| count(of.bytes)).required(),
    text("path", |of: &Segment| Some(of.path.clone())).required(),
    text("dead_path", |of: &Segment| of.dead_path.clone()),
    text("fingerprint", |of: &Segment| Some(of.schema.clone())).required(),
    instant("first_timestamp", |of: &Segment| of.first_timestamp_ms),
    instant("last_timestamp", |of: &Segment| of.last_timestamp_ms),
    instant("created", |of: &Segment| Some(of.created_ms)).required(),
];

pub(super) async fn segments(tables: &Tables, recount: Option<&Arc<TaskContext>>) -> Result<RecordBatch, QueryError> {
    let mut segments = vec![];
    for stream in &tables.layers.streams {
        segments.extend(segments_of(tables, stream, recount).await?);
    }
    column::batch(SEGMENTS, &segments)
}

async fn segments_of(
    tables: &Tables,
    stream: &Arc<Stream>,
    recount: Option<&Arc<TaskContext>>,
) -> Result<Vec<Segment>, QueryError> {
    let mut segments = tables.layers.catalog.segments(&stream.topic).await?;
    if let Some(context) = recount {
        tables.recounted.recount(stream, &tables.layers.store, &mut segments, context).await?;
    }
    Ok(segments)
}

pub(super) const GAPS: &[Column<Gap>] = &[
    text("topic", |of: &Gap| Some(of.topic.clone())).required(),
    int32("partition", |of: &Gap| Some(of.partition)).required(),
    int64("start_offset", |of: &Gap| Some(of.range.start)).required(),
    int64("end_offset", |of: &Gap| Some(of.range.end)).required(),
    text("why", |of: &Gap| Some(of.why.clone())).required(),
    instant("noted", |of: &Gap| Some(of.noted_ms)).required(),
];

pub(super) async fn gaps(layers: &Layers) -> Result<RecordBatch, QueryError> {
    let mut gaps = layers.catalog.gaps().await?;
    gaps.retain(|gap| layers.streams.iter().any(|stream| stream.topic == gap.topic));
    column::batch(GAPS, &gaps)
}

/// A column of a stream's decoded records.
pub(super) struct Source {
    stream: Arc<Stream>,
    field: FieldRef,
}

pub(super) const SOURCES: &[Column<Source>] = &[
    text("stream", |of: &Source| Some(of.stream.name.to_string())).required(),
    text("column_name", |of: &Source| Some(of.field.name().clone())).required(),
    text("data_type", |of: &Source| Some(of.field.data_type().to_string())).required(),
    boolean("event_time", |of: &Source| Some(of.stream.options.event_time.as_ref() == Some(of.field.name())))
        .required(),
];

pub(super) fn sources(layers: &Layers) -> Result<RecordBatch, QueryError> {
    let source =
        |stream: &Arc<Stream>, field: &FieldRef| Source { stream: Arc::clone(stream), field: Arc::clone(field) };
    let columns = layers.streams.iter().flat_map(|s| s.columns.fields().iter().map(move |field| source(s, field)));
    column::batch(SOURCES, &columns.collect::<Vec<_>>())
}
