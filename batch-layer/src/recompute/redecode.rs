//! Segments that were landed under an older schema: decoded again from the raw bytes, the master data set.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMillisecondType};
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use dovetail_core::catalog::Segment;
use dovetail_core::pipeline::Stream;
use dovetail_core::record::{Fetched, Records, column};
use dovetail_core::store::Store;
use dovetail_ingestion::decode::Decoder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::sync::mpsc;

use super::progress::RowsRead;
use crate::{dead, encode};

const BATCH_ROWS: usize = 8192;
/// Batches that wait for who folds them.
const AHEAD: usize = 2;

/// Decodes some segments again, one after the other.
#[derive(Debug)]
pub(super) struct Redecode {
    schema: SchemaRef,
    stream: Arc<Stream>,
    store: Store,
    segments: Vec<Segment>,
    rows_read: RowsRead,
}

impl Redecode {
    pub(super) fn new(stream: Arc<Stream>, store: Store, segments: Vec<Segment>, rows_read: RowsRead) -> Self {
        Self { schema: stream.decoded_schema(), stream, store, segments, rows_read }
    }
}

impl PartitionStream for Redecode {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(SchemaRef::clone(&self.schema), AHEAD);
        let output = builder.tx();
        let (stream, store, rows_read) = (Arc::clone(&self.stream), self.store.clone(), self.rows_read.clone());
        let segments = self.segments.clone();
        builder.spawn(async move {
            for segment in segments {
                let rows = fetch(&store, &segment.path).await?;
                let dead = match &segment.dead_path {
                    Some(path) => Some(fetch(&store, path).await?),
                    None => None,
                };
                let (stream, output, rows_read) = (Arc::clone(&stream), output.clone(), rows_read.clone());
                let decode = move || decode(&stream, &segment, rows, dead, &output, &rows_read);
                let decoded = tokio::task::spawn_blocking(decode).await;
                decoded.map_err(|error| DataFusionError::External(error.into()))??;
            }
            Ok(())
        });
        builder.build()
    }
}

async fn fetch(store: &Store, path: &str) -> Result<Bytes> {
    store.get(&path.into()).await.map_err(|error| DataFusionError::External(error.into()))
}

fn decode(
    stream: &Arc<Stream>,
    segment: &Segment,
    rows: Bytes,
    dead: Option<Bytes>,
    output: &mpsc::Sender<Result<RecordBatch>>,
    rows_read: &RowsRead,
) -> Result<()> {
    let mut decoder = Decoder::new(Arc::clone(stream)).map_err(|error| DataFusionError::External(error.into()))?;
    let mut pass_on = |fetched: Fetched| {
        let read = fetched.records.len();
        let decoded = decoder.decode(segment.partition, &fetched);
        let decoded = decoded.map_err(|error| DataFusionError::External(error.into()))?;
        rows_read.add_decoded(read);
        let batch = encode::relabelled(&decoded.rows, &stream.decoded_schema())?;
        // Nobody listens any more when the run was cancelled.
        Ok::<bool, DataFusionError>(output.blocking_send(Ok(batch)).is_ok())
    };
    for batch in own_columns(rows)? {
        if !pass_on(to_fetched(&batch?)?)? {
            return Ok(());
        }
    }
    let Some(dead) = dead else { return Ok(()) };
    for batch in read_all(dead)? {
        if !pass_on(dead::to_records(&batch?))? {
            return Ok(());
        }
    }
    Ok(())
}

type Batches = parquet::arrow::arrow_reader::ParquetRecordBatchReader;

/// The columns that every segment has, whatever was declared when it was landed.
fn own_columns(segment: Bytes) -> Result<Batches> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(segment)?;
    let names = [column::OFFSET, column::TIMESTAMP, column::KEY, column::HEADERS, column::VALUE];
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    Ok(builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?)
}

fn read_all(object: Bytes) -> Result<Batches> {
    Ok(ParquetRecordBatchReaderBuilder::try_new(object)?.with_batch_size(BATCH_ROWS).build()?)
}

/// Landed records as they were read from the log.
fn to_fetched(batch: &RecordBatch) -> Result<Fetched> {
    let column =
        |name: &str| batch.column_by_name(name).ok_or_else(|| exec_datafusion_err!("column `{name}` is missing"));
    let offsets = column(column::OFFSET)?.as_primitive::<Int64Type>().clone();
    let timestamps = column(column::TIMESTAMP)?.as_primitive::<TimestampMillisecondType>();
    let records = Records {
        timestamps: timestamps.clone().with_timezone_opt(None::<Arc<str>>),
        keys: column(column::KEY)?.as_binary().clone(),
        values: column(column::VALUE)?.as_binary().clone(),
        headers: column(column::HEADERS)?.as_string().clone(),
    };
    Ok(Fetched { range: dead::span(&offsets), offsets, records })
}
