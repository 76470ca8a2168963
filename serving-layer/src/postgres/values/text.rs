//! Values as text, letter by letter in PostgreSQL's form.

mod arrays;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, DecimalType, DurationMicrosecondType, Float32Type,
    Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use bytes::BytesMut;
use datafusion_postgres::pgwire::error::PgWireResult;

use self::arrays::{list_text, struct_text};
use super::numbers::{float4_text, float8_text};
use super::times::{self, Interval};
use super::{Style, put, unsupported};

/// Appends a value of a column in a canonical type. A null appends nothing and returns `false`.
pub(in crate::postgres) fn text(
    column: &dyn Array,
    row: usize,
    style: Style,
    out: &mut BytesMut,
) -> PgWireResult<bool> {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return Ok(false);
    }
    match column.data_type() {
        DataType::Boolean => put(out, if column.as_boolean().value(row) { "t" } else { "f" }),
        DataType::Int16 => put(out, column.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => put(out, column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => put(out, column.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => put(out, float4_text(column.as_primitive::<Float32Type>().value(row), style.float_digits)),
        DataType::Float64 => put(out, float8_text(column.as_primitive::<Float64Type>().value(row), style.float_digits)),
        DataType::Decimal128(..) | DataType::Decimal256(..) => put(out, decimal_text(column, row)?),
        DataType::Utf8 => out.extend_from_slice(column.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => bytes_text(column.as_binary::<i32>().value(row), style, out),
        DataType::Date32 => times::date_text(column.as_primitive::<Date32Type>().value(row), out),
        DataType::Time64(_) => times::time_text(column.as_primitive::<Time64MicrosecondType>().value(row), out),
        DataType::Timestamp(_, zone) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            times::timestamp_text(micros, zone.as_deref(), out)?;
        }
        DataType::Duration(_) => {
            let micros = column.as_primitive::<DurationMicrosecondType>().value(row);
            put(out, Interval { months: 0, days: 0, micros }.text(style.iso_intervals));
        }
        DataType::Interval(_) => {
            let interval = Interval::of(column.as_primitive::<IntervalMonthDayNanoType>().value(row));
            put(out, interval.text(style.iso_intervals));
        }
        DataType::List(_) => list_text(&column.as_list::<i32>().value(row), style, out)?,
        DataType::Struct(_) => struct_text(column.as_struct(), row, style, out)?,
        other => return Err(unsupported(other)),
    }
    Ok(true)
}

/// A decimal's digits.
pub(super) fn decimal_text(column: &dyn Array, row: usize) -> PgWireResult<String> {
    Ok(match column.data_type() {
        DataType::Decimal128(precision, scale) => {
            Decimal128Type::format_decimal(column.as_primitive::<Decimal128Type>().value(row), *precision, *scale)
        }
        DataType::Decimal256(precision, scale) => {
            Decimal256Type::format_decimal(column.as_primitive::<Decimal256Type>().value(row), *precision, *scale)
        }
        other => return Err(unsupported(other)),
    })
}

fn bytes_text(bytes: &[u8], style: Style, out: &mut BytesMut) {
    if !style.escape_bytes {
        out.extend_from_slice(b"\\x");
    }
    for byte in bytes {
        match (style.escape_bytes, *byte) {
            (false, byte) => put(out, format_args!("{byte:02x}")),
            (true, b'\\') => out.extend_from_slice(b"\\\\"),
            (true, byte @ 32..=126) => out.extend_from_slice(&[byte]),
            (true, byte) => put(out, format_args!("\\{byte:03o}")),
        }
    }
}
