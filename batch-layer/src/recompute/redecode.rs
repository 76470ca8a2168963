//! Segments that were landed under an older schema: decoded again from the raw bytes, the master data set.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use dovetail_core::catalog::Segment;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_ingestion::decode::Decoder;
use tokio::sync::mpsc;

use super::progress::RowsRead;
use crate::encode;
use crate::landed::LandedRecords;

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
                let records = LandedRecords::open(&store, &segment).await?;
                let (stream, output, rows_read) = (Arc::clone(&stream), output.clone(), rows_read.clone());
                let decode = move || decode(&stream, segment.partition, records, &output, &rows_read);
                let decoded = tokio::task::spawn_blocking(decode).await;
                decoded.map_err(|error| DataFusionError::External(error.into()))??;
            }
            Ok(())
        });
        builder.build()
    }
}

fn decode(
    stream: &Arc<Stream>,
    partition: i32,
    records: LandedRecords,
    output: &mpsc::Sender<Result<RecordBatch>>,
    rows_read: &RowsRead,
) -> Result<()> {
    let mut decoder = Decoder::new(Arc::clone(stream)).map_err(|error| DataFusionError::External(error.into()))?;
    for fetched in records {
        let fetched = fetched?;
        let decoded = decoder.decode(partition, &fetched);
        let decoded = decoded.map_err(|error| DataFusionError::External(error.into()))?;
        rows_read.add_decoded(fetched.records.len());
        let batch = encode::relabelled(&decoded.rows, &stream.decoded_schema())?;
        if output.blocking_send(Ok(batch)).is_err() {
            // Nobody listens any more: the run was cancelled.
            return Ok(());
        }
    }
    Ok(())
}
