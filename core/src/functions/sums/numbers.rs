//! The values of a column, whatever its type.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float64Type, Int32Type, Int64Type, TimeUnit, UInt32Type, UInt64Type, i256,
};
use datafusion::common::{Result, internal_err};

#[derive(Debug, Clone, Copy)]
pub(super) enum Numbers<'a> {
    Float(&'a [f64]),
    Int(&'a [i32]),
    Long(&'a [i64]),
    UnsignedInt(&'a [u32]),
    UnsignedLong(&'a [u64]),
    Decimal(&'a [i128]),
    LongDecimal(&'a [i256]),
}

impl<'a> Numbers<'a> {
    pub(super) fn of(array: &'a ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>().values()),
            DataType::Int32 => Self::Int(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Self::Long(array.as_primitive::<Int64Type>().values()),
            DataType::UInt32 => Self::UnsignedInt(array.as_primitive::<UInt32Type>().values()),
            DataType::UInt64 => Self::UnsignedLong(array.as_primitive::<UInt64Type>().values()),
            DataType::Decimal128(..) => Self::Decimal(array.as_primitive::<Decimal128Type>().values()),
            DataType::Decimal256(..) => Self::LongDecimal(array.as_primitive::<Decimal256Type>().values()),
            DataType::Duration(unit) => Self::Long(match unit {
                TimeUnit::Second => array.as_primitive::<DurationSecondType>().values(),
                TimeUnit::Millisecond => array.as_primitive::<DurationMillisecondType>().values(),
                TimeUnit::Microsecond => array.as_primitive::<DurationMicrosecondType>().values(),
                TimeUnit::Nanosecond => array.as_primitive::<DurationNanosecondType>().values(),
            }),
            other => return internal_err!("a column of {other} cannot be added up"),
        })
    }

    /// The values of a column of floats; other columns are cast before they get here.
    pub(super) fn floats(array: &'a ArrayRef) -> Result<&'a [f64]> {
        match Self::of(array)? {
            Self::Float(values) => Ok(values),
            _ => internal_err!("a column of {} where floats were expected", array.data_type()),
        }
    }
}
