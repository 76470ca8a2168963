//! Segments landed under an older schema, decoded again from the raw bytes, which are the master data set. Views and
//! queries see the same rows of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use dovetail_core::catalog::Segment;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;

use crate::dead_letters;
use crate::formats::{Decoded, Decoder};
use crate::landed_records::LandedRecords;

/// Number of batches that wait for their reader.
const AHEAD: usize = 2;

/// Whether the segment was landed under another schema, so that its records may decode into other rows now.
pub fn is_older(segment: &Segment, stream: &Stream) -> bool {
    segment.schema != stream.fingerprint()
}

/// Decodes some segments again, one after the other.
#[derive(Debug)]
pub struct Redecode {
    what: What,
    schema: SchemaRef,
    stream: Arc<Stream>,
    store: Store,
    segments: Vec<Segment>,
    decoded: Arc<AtomicU64>,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Rows,
    DeadLetters,
}

impl Redecode {
    /// Decodes the rows: columns of [`Stream::decoded_schema`].
    pub fn new(stream: &Arc<Stream>, store: &Store, segments: Vec<Segment>) -> Self {
        Self::of(What::Rows, stream.decoded_schema(), stream, store, segments)
    }

    /// Decodes the records that do not decode now, whatever the segment's dead letters were: columns of
    /// [`dead_letters::dead_letter_schema`].
    pub fn dead_letters(stream: &Arc<Stream>, store: &Store, segments: Vec<Segment>) -> Self {
        Self::of(What::DeadLetters, dead_letters::dead_letter_schema(), stream, store, segments)
    }

    fn of(what: What, schema: SchemaRef, stream: &Arc<Stream>, store: &Store, segments: Vec<Segment>) -> Self {
        let (stream, store) = (Arc::clone(stream), store.clone());
        Self { what, schema, stream, store, segments, decoded: Arc::default() }
    }

    /// Adds the number of decoded records to `decoded`.
    pub fn counted(self, decoded: Arc<AtomicU64>) -> Self {
        Self { decoded, ..self }
    }
}

impl PartitionStream for Redecode {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(SchemaRef::clone(&self.schema), AHEAD);
        let output = builder.tx();
        let (what, schema, stream) = (self.what, SchemaRef::clone(&self.schema), Arc::clone(&self.stream));
        let (store, segments, count) = (self.store.clone(), self.segments.clone(), Arc::clone(&self.decoded));
        let consumer = MemoryConsumer::new(format!("segments of `{}` decoded again", stream.name));
        let room = consumer.register(context.memory_pool());
        builder.spawn(async move {
            for segment in segments {
                // The segment is read as a whole.
                room.try_resize(usize::try_from(segment.bytes).unwrap_or(usize::MAX))?;
                let named = format!("segment `{}` cannot be decoded again", segment.path);
                let records =
                    LandedRecords::open(&store, &segment).await.map_err(|error| error.context(named.clone()))?;
                let mut decoder = Decoder::new(Arc::clone(&stream)).map_err(external)?;
                let (schema, output, count) = (SchemaRef::clone(&schema), output.clone(), Arc::clone(&count));
                let decode = move || {
                    for fetched in records {
                        let fetched = fetched?;
                        let decoded = decoder.decode(segment.partition, &fetched).map_err(external)?;
                        count.fetch_add(fetched.records.len() as u64, Ordering::Relaxed);
                        if output.blocking_send(Ok(wanted(what, &decoded, &schema)?)).is_err() {
                            // The reader is gone.
                            return Ok(false);
                        }
                    }
                    Ok::<_, DataFusionError>(true)
                };
                let decoded = tokio::task::spawn_blocking(decode).await;
                let goes_on = decoded.map_err(external)?.map_err(|error: DataFusionError| error.context(named))?;
                if !goes_on {
                    return Ok(());
                }
            }
            Ok(())
        });
        builder.build()
    }
}

fn wanted(what: What, decoded: &Decoded, schema: &SchemaRef) -> Result<RecordBatch> {
    Ok(match what {
        // The columns are renamed and made nullable; their types are the same.
        What::Rows => RecordBatch::try_new(SchemaRef::clone(schema), decoded.rows.columns().to_vec())?,
        What::DeadLetters => dead_letters::to_batch(decoded.partition, &decoded.dead)?,
    })
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(error.into())
}
