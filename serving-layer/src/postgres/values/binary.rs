//! Values in the binary format: numbers big-endian, times since 2000-01-01.

mod arrays;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use bytes::BytesMut;
use datafusion_postgres::pgwire::error::PgWireResult;

use self::arrays::{list_binary, struct_binary};
use super::numbers::numeric_binary;
use super::text::decimal_text;
use super::times::{EPOCH_DAYS, EPOCH_MICROS, Interval, out_of_range};
use super::unsupported;

/// Appends a value of a column in a canonical type. A null appends nothing and returns `false`.
pub(in crate::postgres) fn binary(column: &dyn Array, row: usize, out: &mut BytesMut) -> PgWireResult<bool> {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return Ok(false);
    }
    match column.data_type() {
        DataType::Boolean => out.extend_from_slice(&[u8::from(column.as_boolean().value(row))]),
        DataType::Int16 => out.extend_from_slice(&column.as_primitive::<Int16Type>().value(row).to_be_bytes()),
        DataType::Int32 => out.extend_from_slice(&column.as_primitive::<Int32Type>().value(row).to_be_bytes()),
        DataType::Int64 => out.extend_from_slice(&column.as_primitive::<Int64Type>().value(row).to_be_bytes()),
        DataType::Float32 => out.extend_from_slice(&column.as_primitive::<Float32Type>().value(row).to_be_bytes()),
        DataType::Float64 => out.extend_from_slice(&column.as_primitive::<Float64Type>().value(row).to_be_bytes()),
        DataType::Decimal128(..) | DataType::Decimal256(..) => {
            out.extend_from_slice(&numeric_binary(&decimal_text(column, row)?));
        }
        DataType::Utf8 => out.extend_from_slice(column.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => out.extend_from_slice(column.as_binary::<i32>().value(row)),
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().value(row);
            out.extend_from_slice(&days.checked_sub(EPOCH_DAYS).ok_or_else(out_of_range)?.to_be_bytes());
        }
        DataType::Time64(_) => {
            out.extend_from_slice(&column.as_primitive::<Time64MicrosecondType>().value(row).to_be_bytes());
        }
        DataType::Timestamp(..) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            out.extend_from_slice(&micros.checked_sub(EPOCH_MICROS).ok_or_else(out_of_range)?.to_be_bytes());
        }
        DataType::Duration(_) => {
            let micros = column.as_primitive::<DurationMicrosecondType>().value(row);
            interval(Interval { months: 0, days: 0, micros }, out);
        }
        DataType::Interval(_) => {
            interval(Interval::of(column.as_primitive::<IntervalMonthDayNanoType>().value(row)), out);
        }
        DataType::List(_) => list_binary(&column.as_list::<i32>().value(row), out)?,
        DataType::Struct(_) => struct_binary(column.as_struct(), row, out)?,
        other => return Err(unsupported(other)),
    }
    Ok(true)
}

fn interval(interval: Interval, out: &mut BytesMut) {
    out.extend_from_slice(&interval.micros.to_be_bytes());
    out.extend_from_slice(&interval.days.to_be_bytes());
    out.extend_from_slice(&interval.months.to_be_bytes());
}
