//! Records that a view left out, as rows: in Parquet below the cut, in `sys.view_errors` for queries.

use std::sync::{Arc, LazyLock};

use arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use crate::stored::check_format;
use crate::view::RowError;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("expression", DataType::Utf8, false),
        Field::new("error", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, false),
    ]))
});

/// The columns `partition, offset, expression, error, value`, as in [`RowError`].
pub fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// A row for each of `errors`.
pub fn batch(errors: &[RowError]) -> Result<RecordBatch, ArrowError> {
    let text = |of: fn(&RowError) -> &str| Arc::new(StringArray::from_iter_values(errors.iter().map(of)));
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(Int32Array::from_iter_values(errors.iter().map(|error| error.partition))),
            Arc::new(Int64Array::from_iter_values(errors.iter().map(|error| error.offset))),
            text(|error| &error.expression),
            text(|error| &error.error),
            text(|error| &error.value),
        ],
    )
}

/// Reads the rows of an object, batch by batch.
///
/// # Errors
/// When it is no such object, or one of a later format.
pub fn read(content: Bytes) -> Result<ParquetRecordBatchReader, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(content)?;
    let about = builder.metadata().file_metadata().key_value_metadata();
    check_format(about).map_err(|newer| ParquetError::External(Box::new(newer)))?;
    builder.build()
}
