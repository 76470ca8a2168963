//! `sys.dead_letters`: the records that do not decode, from their objects. Segments of an older schema are decoded
//! again, as views decode them: a record that is a dead letter now is one here.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use dovetail_core::catalog::Segment;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_core::stored::check_format;
use dovetail_ingestion::redecode::{Redecode, is_older};
use futures::future::ready;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::column::{self, Column, int32, text};
use crate::error::{QueryError, Reason};
use crate::snapshot::layers::Layers;

/// The start of `value` as text, for people.
const TEXT: &str = "text";
const TEXT_CHARS: usize = 1000;

/// The columns with the same value for all letters of a segment.
const PLACE: &[Column<Segment>] = &[
    text("topic", |segment: &Segment| Some(segment.topic.clone())).required(),
    int32("partition", |segment: &Segment| Some(segment.partition)).required(),
];

/// The dead letters of all streams.
#[derive(Debug)]
pub(super) struct DeadLetters {
    layers: Arc<Layers>,
    schema: SchemaRef,
}

impl DeadLetters {
    pub(super) fn new(layers: &Arc<Layers>) -> Self {
        let timestamp = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let fields = vec![
            Field::new("topic", DataType::Utf8, false),
            Field::new("partition", DataType::Int32, false),
            Field::new("offset", DataType::Int64, false),
            Field::new("timestamp", timestamp, true),
            Field::new("key", DataType::Binary, true),
            Field::new("headers", DataType::Utf8, true),
            Field::new("value", DataType::Binary, true),
            Field::new(TEXT, DataType::Utf8, true),
            Field::new("error", DataType::Utf8, true),
            Field::new("detail", DataType::Utf8, true),
        ];
        Self { layers: Arc::clone(layers), schema: Arc::new(Schema::new(fields)) }
    }

    /// The segments whose dead letters may pass `filters`, by topic and partition.
    fn wanted(&self, session: &dyn Session, filters: &[Expr], segments: Vec<Segment>) -> Result<Vec<Segment>> {
        let places = column::batch(PLACE, &segments)?;
        let names = DFSchema::try_from(places.schema())?;
        let mut pass = BooleanArray::from(vec![true; segments.len()]);
        for filter in filters.iter().filter(|filter| only_place(filter)) {
            let mask = session.create_physical_expr(filter.clone(), &names)?.evaluate(&places)?;
            let mask = mask.into_array(segments.len())?;
            pass = arrow::compute::and_kleene(&pass, mask.as_boolean())?;
        }
        let passes = |i: usize| arrow::array::Array::is_valid(&pass, i) && pass.value(i);
        Ok(segments.into_iter().enumerate().filter(|(i, _)| passes(*i)).map(|(_, segment)| segment).collect())
    }
}

fn only_place(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty() && columns.iter().all(|column| matches!(column.name.as_str(), "topic" | "partition"))
}

#[async_trait]
impl TableProvider for DeadLetters {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Objects of other topics and partitions are not read; the rows are filtered above.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushdown = |filter: &&Expr| match only_place(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(pushdown).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut segments = vec![];
        for stream in &self.layers.streams {
            let all = self.layers.catalog.segments(&stream.topic).await.map_err(QueryError::from)?;
            let may_have = |segment: &Segment| match is_older(segment, stream) {
                true => segment.rows + segment.dead > 0,
                false => segment.dead_path.is_some(),
            };
            segments.extend(all.into_iter().filter(may_have));
        }
        let segments = self.wanted(session, filters, segments)?;
        let streams = self.layers.streams.clone();
        let objects = DeadLetterObjects { schema: self.schema(), store: self.layers.store.clone(), streams, segments };
        let table = StreamingTable::try_new(self.schema(), vec![Arc::new(objects)])?;
        table.scan(session, projection, filters, limit).await
    }
}

/// Reads one object after the other, as rows are requested.
#[derive(Debug)]
struct DeadLetterObjects {
    schema: SchemaRef,
    store: Store,
    streams: Vec<Arc<Stream>>,
    segments: Vec<Segment>,
}

impl PartitionStream for DeadLetterObjects {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (store, schema, streams) = (self.store.clone(), Arc::clone(&self.schema), self.streams.clone());
        // Memory of one object at a time.
        let room = Arc::new(MemoryConsumer::new("sys.dead_letters").register(context.memory_pool()));
        let objects = futures::stream::iter(self.segments.clone()).then(move |segment| {
            let (store, schema, context) = (store.clone(), Arc::clone(&schema), Arc::clone(&context));
            let older = streams.iter().find(|s| s.topic == segment.topic && is_older(&segment, s)).cloned();
            let room = Arc::clone(&room);
            async move {
                let Some(stream) = older else {
                    let batches = read(&store, &segment, schema).await?;
                    room.try_resize(batches.iter().map(RecordBatch::get_array_memory_size).sum())?;
                    return Ok::<_, DataFusionError>(futures::stream::iter(batches.into_iter().map(Ok)).boxed());
                };
                let (topic, partition) = (segment.topic.clone(), segment.partition);
                let again = Redecode::dead_letters(&stream, &store, vec![segment]).execute(context);
                Ok(again.and_then(move |dead| ready(letters(&dead, &topic, partition, &schema))).boxed())
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), objects.try_flatten()))
    }
}

async fn read(store: &Store, segment: &Segment, schema: SchemaRef) -> Result<Vec<RecordBatch>, QueryError> {
    let Some(path) = &segment.dead_path else { return Ok(vec![]) };
    let bytes = store.get(&Path::from(path.as_str())).await?;
    let (path, topic, partition) = (path.clone(), segment.topic.clone(), segment.partition);
    let decoded = SpawnedTask::spawn_blocking(move || {
        let damaged = |error: &dyn std::fmt::Display| {
            QueryError::new(Reason::Storage, format!("dead letters `{path}` cannot be read: {error}"))
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| damaged(&e))?;
        check_format(reader.metadata().file_metadata().key_value_metadata()).map_err(|e| damaged(&e))?;
        let mut batches = vec![];
        for batch in reader.build().map_err(|e| damaged(&e))? {
            let batch = batch.map_err(|e| damaged(&e))?;
            batches.push(letters(&batch, &topic, partition, &schema).map_err(|e| damaged(&e))?);
        }
        Ok(batches)
    });
    decoded.await.map_err(|_| QueryError::panicked())?
}

/// The object's columns under this table's names; their leading `_` is ignored. A column that the object lacks is NULL:
/// objects of earlier versions have no headers.
fn letters(batch: &RecordBatch, topic: &str, partition: i32, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let found = |name: &str| {
        let underscored = format!("_{name}");
        batch.column_by_name(name).or_else(|| batch.column_by_name(&underscored)).cloned()
    };
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(vec![topic; rows])), Arc::new(Int32Array::from(vec![partition; rows]))];
    for field in &schema.fields()[2..] {
        let column = match field.name().as_str() {
            TEXT => found("value").map(|values| texts(&values)).transpose()?,
            name => found(name).or_else(|| found(&format!("{name}_ms"))),
        };
        columns.push(match column {
            Some(column) => cast(&column, field.data_type())?,
            None => arrow::array::new_null_array(field.data_type(), rows),
        });
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn texts(values: &ArrayRef) -> Result<ArrayRef> {
    let values = cast(values, &DataType::Binary)?;
    Ok(Arc::new(StringArray::from_iter(values.as_binary::<i32>().iter().map(|value| value.map(as_text)))))
}

/// The value as text: bytes that are no UTF-8, and characters that PostgreSQL's texts cannot contain, become U+FFFD.
fn as_text(value: &[u8]) -> String {
    // No character is longer than four bytes.
    let start = &value[..value.len().min(4 * TEXT_CHARS)];
    let chars = String::from_utf8_lossy(start).replace('\0', "\u{fffd}");
    chars.chars().take(TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_have_a_text_that_is_not_long() {
        assert_eq!(as_text(b"{nope"), "{nope");
        assert_eq!(as_text(b"a\0b\xffc"), "a\u{fffd}b\u{fffd}c");
        let long = "\u{1f600}".repeat(2 * TEXT_CHARS);
        assert_eq!(as_text(long.as_bytes()), "\u{1f600}".repeat(TEXT_CHARS));
        assert_eq!(as_text(&[0xf0; 9000]).chars().count(), TEXT_CHARS);
    }
}
