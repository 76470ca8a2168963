//! Text values: each is the text of the only column.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::json::utf8;
use super::{DeadRow, Parsed};

#[derive(Debug)]
pub(super) struct TextLines {
    raw: SchemaRef,
}

impl TextLines {
    pub(super) fn new(columns: &Schema) -> Self {
        let fields = columns.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
        Self { raw: Arc::new(Schema::new(fields.collect::<Vec<_>>())) }
    }

    pub(super) fn parse(&self, values: &BinaryArray) -> Result<Parsed, ArrowError> {
        let mut texts = StringBuilder::with_capacity(values.len(), values.values().len());
        let mut dead = Vec::new();
        for row in 0..values.len() {
            match values.is_valid(row).then(|| utf8(values.value(row))) {
                Some(Ok(text)) => texts.append_value(text),
                Some(Err(why)) => dead.push(DeadRow { row, why }),
                None => dead.push(DeadRow { row, why: "the record has no value".into() }),
            }
        }
        Ok(Parsed { batch: RecordBatch::try_new(Arc::clone(&self.raw), vec![Arc::new(texts.finish())])?, dead })
    }
}
