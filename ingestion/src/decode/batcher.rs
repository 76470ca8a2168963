//! arrow-json's decoder, with exactly as many rows as asked for or an error.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;

/// Makes batches of JSON objects that follow each other in one text.
pub(super) struct Batcher {
    schema: SchemaRef,
    /// Most rows of a batch; grows.
    capacity: usize,
    decoder: Decoder,
}

impl fmt::Debug for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("schema", &self.schema).field("capacity", &self.capacity).finish()
    }
}

impl Batcher {
    /// Fails when a type of `schema` cannot be decoded from JSON.
    pub(super) fn new(schema: SchemaRef, capacity: usize) -> Result<Self, ArrowError> {
        let decoder = build(&schema, capacity)?;
        Ok(Self { schema, capacity, decoder })
    }

    /// Decodes `text`, which has to hold `rows` objects, at least one.
    pub(super) fn decode(&mut self, text: &[u8], rows: usize) -> Result<RecordBatch, ArrowError> {
        if rows > self.capacity {
            self.capacity = rows.next_power_of_two();
            self.decoder = build(&self.schema, self.capacity)?;
        }
        let batch = self.try_decode(text, rows);
        if batch.is_err() {
            // What was parsed of the text is still in there and cannot be cleared.
            self.decoder = build(&self.schema, self.capacity)?;
        }
        batch
    }

    fn try_decode(&mut self, text: &[u8], rows: usize) -> Result<RecordBatch, ArrowError> {
        let read = self.decoder.decode(text)?;
        if read != text.len() || self.decoder.has_partial_record() || self.decoder.len() != rows {
            return Err(ArrowError::JsonError(format!("not {rows} whole objects")));
        }
        self.decoder.flush()?.ok_or_else(|| ArrowError::JsonError("nothing to decode".to_owned()))
    }
}

fn build(schema: &SchemaRef, capacity: usize) -> Result<Decoder, ArrowError> {
    ReaderBuilder::new(Arc::clone(schema)).with_batch_size(capacity).with_coerce_primitive(true).build_decoder()
}
