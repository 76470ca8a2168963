//! Casts to and from decimals, with PostgreSQL's rounding.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Int64Array, PrimitiveArray};
use arrow::datatypes::{DataType, Decimal256Type, Float64Type, i256};
use datafusion::common::{Result, exec_err};

use super::strict;

pub(crate) fn whole_decimals<T: ArrowPrimitiveType<Native = i128>>(array: &ArrayRef, scale: i8) -> Result<Int64Array> {
    let decimals: &PrimitiveArray<T> = array.as_primitive();
    let whole = decimals.iter().map(|value| value.map(|value| rounded(value, scale)).transpose());
    whole.collect()
}

/// Rounds half away from zero.
fn rounded(value: i128, scale: i8) -> Result<i64> {
    let power = 10_i128.checked_pow(u32::from(scale.unsigned_abs()));
    let whole = match (scale, power) {
        (..=0, Some(power)) => value.checked_mul(power),
        (_, Some(power)) => {
            let (quotient, rest) = (value / power, value % power);
            let away = rest.unsigned_abs() >= power.unsigned_abs().div_ceil(2);
            Some(if away { quotient + value.signum() } else { quotient })
        }
        // No value of 38 digits reaches one half.
        (1.., None) => Some(0),
        _ => None,
    };
    match whole.and_then(|whole| i64::try_from(whole).ok()) {
        Some(whole) => Ok(whole),
        None => exec_err!("bigint out of range"),
    }
}

pub(crate) fn whole_floats(array: &ArrayRef) -> Result<Int64Array> {
    // A REAL converts to a DOUBLE without loss.
    let floats = strict(array, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    let whole = |number: f64| {
        let rounded = number.round_ties_even();
        // -2^63 is a float, 2^63 - 1 is not.
        match (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
            true => Ok(rounded as i64),
            false => exec_err!("bigint out of range"),
        }
    };
    floats.iter().map(|number| number.map(whole).transpose()).collect()
}

pub(crate) fn decimals(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let digits = if matches!(array.data_type(), DataType::Float64) { 15 } else { 6 };
    let floats = strict(array, &DataType::Float64)?;
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = to else {
        return exec_err!("`{to}` is no decimal");
    };
    let value = |number: f64| match decimal(number, digits, *precision, *scale) {
        Some(value) => Ok(value),
        None => exec_err!("numeric field overflow: {number} does not fit into DECIMAL({precision}, {scale})"),
    };
    let values = floats.as_primitive::<Float64Type>().iter().map(|number| number.map(value).transpose());
    let values: PrimitiveArray<Decimal256Type> = values.collect::<Result<_>>()?;
    let values: ArrayRef = Arc::new(values.with_precision_and_scale((*precision).max(1), *scale)?);
    strict(&values, to)
}

/// A float's leading digits as a decimal, rounded half away from zero.
fn decimal(number: f64, digits: usize, precision: u8, scale: i8) -> Option<i256> {
    if !number.is_finite() {
        return None;
    }
    let scientific = format!("{number:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e')?;
    let mantissa: i128 = mantissa.replace('.', "").parse().ok()?;
    let exponent = exponent.parse::<i32>().ok()? + 1 - digits as i32 + i32::from(scale);
    let value = match exponent {
        0.. => i256::from_i128(mantissa).checked_mul(i256::from_i128(10).checked_pow(exponent.unsigned_abs())?)?,
        _ => match 10_i128.checked_pow(exponent.unsigned_abs()) {
            Some(power) => {
                let (quotient, rest) = (mantissa / power, mantissa % power);
                let away = rest.unsigned_abs() >= power.unsigned_abs().div_ceil(2);
                i256::from_i128(if away { quotient + mantissa.signum() } else { quotient })
            }
            None => i256::ZERO,
        },
    };
    let limit = i256::from_i128(10).checked_pow(u32::from(precision))?;
    (value > -limit && value < limit).then_some(value)
}
