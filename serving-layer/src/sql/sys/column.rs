//! A `sys` table as a list of columns: their names, and how they read a row.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{QueryError, Reason};

/// One column of a table whose rows are `R`.
pub(super) struct Column<R> {
    name: &'static str,
    nullable: bool,
    get: Get<R>,
}

enum Get<R> {
    Text(fn(&R) -> Option<String>),
    Int32(fn(&R) -> Option<i32>),
    Int64(fn(&R) -> Option<i64>),
    Float(fn(&R) -> Option<f64>),
    Boolean(fn(&R) -> Option<bool>),
    /// Milliseconds since the epoch.
    Instant(fn(&R) -> Option<i64>),
}

pub(super) const fn text<R>(name: &'static str, get: fn(&R) -> Option<String>) -> Column<R> {
    Column { name, nullable: true, get: Get::Text(get) }
}

pub(super) const fn int32<R>(name: &'static str, get: fn(&R) -> Option<i32>) -> Column<R> {
    Column { name, nullable: true, get: Get::Int32(get) }
}

pub(super) const fn int64<R>(name: &'static str, get: fn(&R) -> Option<i64>) -> Column<R> {
    Column { name, nullable: true, get: Get::Int64(get) }
}

pub(super) const fn float<R>(name: &'static str, get: fn(&R) -> Option<f64>) -> Column<R> {
    Column { name, nullable: true, get: Get::Float(get) }
}

pub(super) const fn boolean<R>(name: &'static str, get: fn(&R) -> Option<bool>) -> Column<R> {
    Column { name, nullable: true, get: Get::Boolean(get) }
}

pub(super) const fn instant<R>(name: &'static str, get: fn(&R) -> Option<i64>) -> Column<R> {
    Column { name, nullable: true, get: Get::Instant(get) }
}

/// A count as SQL's integer.
pub(super) fn count(value: u64) -> Option<i64> {
    Some(i64::try_from(value).unwrap_or(i64::MAX))
}

impl<R> Column<R> {
    /// The same, without nulls.
    pub(super) const fn required(mut self) -> Self {
        self.nullable = false;
        self
    }

    fn field(&self) -> Field {
        let data_type = match self.get {
            Get::Text(_) => DataType::Utf8,
            Get::Int32(_) => DataType::Int32,
            Get::Int64(_) => DataType::Int64,
            Get::Float(_) => DataType::Float64,
            Get::Boolean(_) => DataType::Boolean,
            Get::Instant(_) => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        };
        Field::new(self.name, data_type, self.nullable)
    }

    fn array(&self, rows: &[R]) -> ArrayRef {
        match self.get {
            Get::Text(get) => Arc::new(StringArray::from_iter(rows.iter().map(get))),
            Get::Int32(get) => Arc::new(Int32Array::from_iter(rows.iter().map(get))),
            Get::Int64(get) => Arc::new(Int64Array::from_iter(rows.iter().map(get))),
            Get::Float(get) => Arc::new(Float64Array::from_iter(rows.iter().map(get))),
            Get::Boolean(get) => Arc::new(BooleanArray::from_iter(rows.iter().map(get))),
            Get::Instant(get) => {
                Arc::new(TimestampMillisecondArray::from_iter(rows.iter().map(get)).with_timezone("UTC"))
            }
        }
    }
}

pub(super) fn schema<R>(columns: &[Column<R>]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()))
}

pub(super) fn batch<R>(columns: &[Column<R>], rows: &[R]) -> Result<RecordBatch, QueryError> {
    let arrays = columns.iter().map(|column| column.array(rows)).collect();
    RecordBatch::try_new(schema(columns), arrays).map_err(|error| QueryError::new(Reason::Internal, error.to_string()))
}
