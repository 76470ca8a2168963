//! Values in both formats of the wire protocol.
//!
//! Columns can have every type of Arrow. [`canonical`] casts them to the few types of PostgreSQL, a column at a time,
//! so that the writers of single values ([`text`], [`binary`]) have to know only those.

mod binary;
mod numbers;
mod text;
mod times;
mod types;

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use bytes::BytesMut;
use datafusion_postgres::pgwire::api::results::{FieldFormat, FieldInfo};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::data::DataRow;

use super::wire_error::session_error;

pub(super) use self::binary::binary;
pub(super) use self::numbers::numeric_text;
pub(super) use self::text::text;
pub(super) use self::times::{EPOCH_DAYS, EPOCH_MICROS};
pub(super) use self::types::{canonical, fields, same_on_the_wire, wire_type};

/// The session's choices of output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// `extra_float_digits`: from 1 on a float is written so that it reads back as the same.
    pub(super) float_digits: i8,
    /// `bytea_output = escape`.
    pub(super) escape_bytes: bool,
    /// `intervalstyle = iso_8601`.
    pub(super) iso_intervals: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { float_digits: 1, escape_bytes: false, iso_intervals: false }
    }
}

impl Style {
    /// The style of a session's settings.
    pub(super) fn of(settings: &HashMap<String, String>) -> Self {
        let is = |name: &str, value: &str| settings.get(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
        Self {
            float_digits: settings.get("extra_float_digits").and_then(|digits| digits.parse().ok()).unwrap_or(1),
            escape_bytes: is("bytea_output", "escape"),
            iso_intervals: is("intervalstyle", "iso_8601"),
        }
    }
}

/// The columns of a batch in canonical types.
#[derive(Debug)]
pub(super) struct Columns {
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl Columns {
    pub(super) fn of(batch: &RecordBatch) -> PgWireResult<Self> {
        let columns = batch.columns().iter().map(brought).collect::<PgWireResult<_>>()?;
        Ok(Self { columns, rows: batch.num_rows() })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn all(&self) -> &[ArrayRef] {
        &self.columns
    }

    /// A row in the formats of `fields`.
    pub(super) fn row(&self, row: usize, fields: &[FieldInfo], style: Style) -> PgWireResult<DataRow> {
        let mut out = BytesMut::with_capacity(16 * self.columns.len());
        for (column, field) in self.columns.iter().zip(fields) {
            sized(&mut out, |out| match field.format() {
                FieldFormat::Text => text(column.as_ref(), row, style, out),
                FieldFormat::Binary => binary(column.as_ref(), row, out),
            })?;
        }
        let count = i16::try_from(self.columns.len());
        let count = count.map_err(|_| session_error("54011", "an answer has at most 32767 columns"))?;
        Ok(DataRow::new(out, count))
    }
}

fn brought(column: &ArrayRef) -> PgWireResult<ArrayRef> {
    let wanted = canonical(column.data_type())?;
    if wanted == *column.data_type() {
        return Ok(Arc::clone(column));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, &wanted, &options).map_err(|error| session_error("22003", error.to_string()))
}

/// Appends the output of `write` with its length in front, which is -1 for a null.
pub(super) fn sized(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> PgWireResult<bool>) -> PgWireResult<()> {
    let start = out.len();
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    if write(out)? {
        let length = i32::try_from(out.len() - start - 4);
        let length = length.map_err(|_| session_error("54000", "a value is longer than 2 GiB"))?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn unsupported(what: impl std::fmt::Display) -> datafusion_postgres::pgwire::error::PgWireError {
    session_error("0A000", format!("values of type `{what}` cannot be sent: cast them to VARCHAR"))
}

#[cfg(test)]
mod tests;

/// Appends the displayed form of a value.
fn put(out: &mut BytesMut, value: impl std::fmt::Display) {
    // Writing to memory does not fail.
    let _ = write!(out, "{value}");
}
