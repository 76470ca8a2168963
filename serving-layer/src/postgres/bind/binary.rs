//! Values of parameters from the binary format.

pub(super) mod arrays;

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::ScalarValue;
use datafusion_postgres::pgwire::error::PgWireError;

use super::utf8;
use crate::error::{QueryError, Reason};
use crate::postgres::values::{EPOCH_DAYS, EPOCH_MICROS, numeric_text};
use crate::sql::parameters::{decimal, name};

/// The value of a parameter sent in binary.
pub(super) fn value(bytes: &[u8], own: &DataType) -> Result<ScalarValue, QueryError> {
    let wrong = || QueryError::new(Reason::Data, format!("incorrect binary data format of a {}", name(own)));
    Ok(match own {
        DataType::Boolean => match bytes {
            [byte] => ScalarValue::Boolean(Some(*byte != 0)),
            _ => return Err(wrong()),
        },
        DataType::Int16 => ScalarValue::Int16(Some(i16::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
        DataType::Int32 => ScalarValue::Int32(Some(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
        DataType::Int64 => ScalarValue::Int64(Some(i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
        DataType::UInt32 => ScalarValue::UInt32(Some(u32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
        DataType::Float32 => ScalarValue::Float32(Some(f32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
        DataType::Float64 => ScalarValue::Float64(Some(f64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
        DataType::Decimal128(..) => {
            let text = numeric_text(bytes).map_err(|_: PgWireError| wrong())?;
            match text.as_str() {
                "NaN" => ScalarValue::Float64(Some(f64::NAN)),
                "Infinity" => ScalarValue::Float64(Some(f64::INFINITY)),
                "-Infinity" => ScalarValue::Float64(Some(f64::NEG_INFINITY)),
                text => decimal(text).ok_or_else(|| {
                    QueryError::new(Reason::Data, format!("`{text}` has more than the 76 digits of a DECIMAL"))
                })?,
            }
        }
        DataType::Binary => ScalarValue::Binary(Some(bytes.to_vec())),
        DataType::Date32 => {
            let days = i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
            ScalarValue::Date32(Some(days.checked_add(EPOCH_DAYS).ok_or_else(out_of_range)?))
        }
        DataType::Time64(_) => {
            let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
            ScalarValue::Time64Microsecond(Some(micros))
        }
        DataType::Timestamp(_, zone) => {
            let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
            // The greatest and the least are `infinity` and `-infinity`.
            let micros = micros.checked_add(EPOCH_MICROS).filter(|_| micros != i64::MIN).ok_or_else(out_of_range)?;
            ScalarValue::TimestampMicrosecond(Some(micros), zone.as_ref().map(Arc::clone))
        }
        DataType::Interval(_) => {
            let (micros, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
            let (days, months) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano {
                months: i32::from_be_bytes(months.try_into().map_err(|_| wrong())?),
                days: i32::from_be_bytes(*days),
                nanoseconds: i64::from_be_bytes(*micros).checked_mul(1000).ok_or_else(out_of_range)?,
            }))
        }
        DataType::List(item) => arrays::value(bytes, item.data_type())?,
        _ => ScalarValue::Utf8(Some(utf8(bytes)?.to_owned())),
    })
}

fn out_of_range() -> QueryError {
    QueryError::new(Reason::Data, "a date, time or interval is out of range")
}
