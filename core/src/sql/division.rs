//! Division of decimals with PostgreSQL's number of digits, up to twenty behind the point.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, i256};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::function::{ColumnNaming, Function};

/// Digits behind the point of every quotient.
const SCALE: i8 = 20;
/// PostgreSQL's `NUMERIC_MIN_SIG_DIGITS`, and the number of digits in one of its places.
const SIGNIFICANT: i32 = 16;
const PLACE: i32 = 4;

pub(super) fn divide() -> Arc<ScalarUDF> {
    Function::named("numeric_divide", ColumnNaming::Infix("/"), types, |arguments, _| quotients(arguments)).udf()
}

fn types(types: &[DataType]) -> Result<(Vec<DataType>, DataType)> {
    let exact = types.iter().map(|data_type| match data_type {
        DataType::Null => Ok(DataType::Decimal128(1, 0)),
        DataType::Decimal128(precision, scale) if *scale >= 0 => Ok(DataType::Decimal128(*precision, *scale)),
        DataType::Decimal128(..) => Ok(DataType::Decimal128(38, 0)),
        DataType::Decimal256(_, scale) => Ok(DataType::Decimal128(38, (*scale).clamp(0, 38))),
        integer if integer.is_integer() => Ok(DataType::Decimal128(20, 0)),
        other => plan_err!("`{other}` is no decimal"),
    });
    Ok((exact.collect::<Result<_>>()?, DataType::Decimal128(38, SCALE)))
}

fn quotients(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let [left, right] = [&arguments[0], &arguments[1]].map(|array| array.as_primitive::<Decimal128Type>());
    let (left_scale, right_scale) = (left.scale(), right.scale());
    let each = left.iter().zip(right).map(|pair| match pair {
        (Some(dividend), Some(divisor)) => quotient(
            NumberType { value: dividend, scale: left_scale },
            NumberType { value: divisor, scale: right_scale },
        )
        .map(Some),
        _ => Ok(None),
    });
    let quotients: Decimal128Array = each.collect::<Result<_>>()?;
    Ok(Arc::new(quotients.with_precision_and_scale(38, SCALE)?))
}

#[derive(Debug, Clone, Copy)]
struct NumberType {
    value: i128,
    scale: i8,
}

impl NumberType {
    /// The place of the first digit in groups of four, and that group: 12345.6 is `(1, 1)`, 0.05 is `(-1, 500)`.
    fn leading(self) -> (i32, i128) {
        if self.value == 0 {
            return (0, 0);
        }
        let value = self.value.unsigned_abs();
        let digits = value.ilog10() as i32 + 1 - i32::from(self.scale);
        let weight = (digits - 1).div_euclid(PLACE);
        // Powers of ten of the first group above the last digit.
        let shift = weight * PLACE + i32::from(self.scale);
        let group = match shift {
            0.. => value / 10_u128.pow(shift.unsigned_abs().min(38)),
            _ => value * 10_u128.pow(shift.unsigned_abs()),
        };
        (weight, group as i128)
    }
}

fn quotient(dividend: NumberType, divisor: NumberType) -> Result<i128> {
    if divisor.value == 0 {
        return exec_err!("division by zero");
    }
    // PostgreSQL's `select_div_scale`.
    let ((left, first), (right, second)) = (dividend.leading(), divisor.leading());
    let weight = left - right - i32::from(first <= second);
    let scale = (SIGNIFICANT - weight * PLACE).max(dividend.scale.into()).max(divisor.scale.into()).max(0);
    let scale = scale.min(i32::from(SCALE));
    let wide = |value: i128, power: i32| {
        let power = i256::from_i128(10).checked_pow(power.unsigned_abs())?;
        i256::from_i128(value).checked_mul(power)
    };
    // dividend / 10^a / (divisor / 10^b) * 10^scale
    let shift = scale + i32::from(divisor.scale) - i32::from(dividend.scale);
    let pair = match shift {
        0.. => wide(dividend.value, shift).map(|dividend| (dividend, i256::from_i128(divisor.value))),
        _ => wide(divisor.value, -shift).map(|divisor| (i256::from_i128(dividend.value), divisor)),
    };
    let rounded = pair.and_then(|(dividend, divisor)| half_away(dividend, divisor));
    let scaled =
        rounded.and_then(|value| value.checked_mul(i256::from_i128(10_i128.pow((i32::from(SCALE) - scale) as u32))));
    let limit = 10_i128.pow(38);
    match scaled.and_then(i256::to_i128).filter(|value| value.abs() < limit) {
        Some(value) => Ok(value),
        None => exec_err!("the quotient has more than 18 digits before the point: cast one side to DOUBLE"),
    }
}

fn half_away(dividend: i256, divisor: i256) -> Option<i256> {
    let quotient = dividend.checked_div(divisor)?;
    let rest = dividend.checked_rem(divisor)?.wrapping_abs();
    let is_half = rest >= divisor.wrapping_abs().wrapping_sub(rest);
    let negative = (dividend < i256::ZERO) != (divisor < i256::ZERO);
    match (is_half, negative) {
        (false, _) => Some(quotient),
        (true, false) => quotient.checked_add(i256::ONE),
        (true, true) => quotient.checked_sub(i256::ONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quotients are PostgreSQL 15's answers.
    #[test]
    fn quotients_have_the_digits_of_postgresql() {
        let cases = [
            ((1050, 2), (3, 0), "3.5000000000000000"),
            ((-325, 2), (3, 0), "-1.08333333333333333333"),
            ((5, 2), (3, 0), "0.01666666666666666667"),
            ((9_999_999, 2), (3, 0), "33333.330000000000"),
            ((2675, 3), (3, 0), "0.89166666666666666667"),
            ((100_000, 0), (30, 1), "33333.333333333333"),
        ];
        for ((left, left_scale), (right, right_scale), expected) in cases {
            let found = quotient(
                NumberType { value: left, scale: left_scale },
                NumberType { value: right, scale: right_scale },
            );
            let digits = expected.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            let expected: i128 = expected.replace('.', "").parse().unwrap();
            assert_eq!(found.unwrap(), expected * 10_i128.pow(20 - digits as u32));
        }
    }
}
