//! arrow-json's decoder, with exactly one row for each value or an error.
//!
//! The decoder reads one text of many objects and ignores where one value ends and the next begins. The three values
//! `{"a":1}{"b":2}`, `{"a":"}` and `{"}` would make three rows, but not one row each. So the batcher hands over one
//! value per call, and checks after each call that there is exactly one more row and no unfinished one. The checks cost
//! little, because the decoder builds the rows only at the end.

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
    /// Greatest number of rows in a batch; it grows.
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

    /// Decodes `values`, at least one, into a row each.
    pub(super) fn decode<'a>(
        &mut self,
        values: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<RecordBatch, ArrowError> {
        if values.len() > self.capacity {
            self.capacity = values.len().next_power_of_two();
            self.decoder = build(&self.schema, self.capacity)?;
        }
        let batch = self.try_decode(values);
        if batch.is_err() {
            // The parsed part is still in the decoder and cannot be cleared.
            self.decoder = build(&self.schema, self.capacity)?;
        }
        batch
    }

    fn try_decode<'a>(&mut self, values: impl Iterator<Item = &'a [u8]>) -> Result<RecordBatch, ArrowError> {
        for (row, value) in values.enumerate() {
            let read = self.decoder.decode(value)?;
            if read != value.len() || self.decoder.len() != row + 1 || self.decoder.has_partial_record() {
                return Err(ArrowError::JsonError(format!("value {row} is not one JSON object")));
            }
        }
        self.decoder.flush()?.ok_or_else(|| ArrowError::JsonError("there is no value".to_owned()))
    }
}

fn build(schema: &SchemaRef, capacity: usize) -> Result<Decoder, ArrowError> {
    ReaderBuilder::new(Arc::clone(schema)).with_batch_size(capacity).with_coerce_primitive(true).build_decoder()
}
