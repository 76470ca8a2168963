//! Whole numbers: sums and averages in units of a decimal's last digit.

use arrow::datatypes::{DataType, DecimalType, i256};
use num_bigint::{BigInt, Sign};

use super::window::Window;

pub(super) fn scale(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    }
}

/// `window * 2^exponent` where it is an integer of 128 bits.
pub(super) fn shifted(window: i128, exponent: i32) -> Option<i128> {
    let bits = u32::try_from(exponent).ok()?;
    (window == 0 || window.width() + bits < i128::BITS - 1).then(|| window.checked_shl(bits).unwrap_or(0))
}

/// [`rounded`] in 128 bits.
pub(super) fn divided(sum: i128, more_digits: u8, count: u64) -> Option<i128> {
    let scaled = sum.checked_mul(10i128.checked_pow(more_digits.into())?)?;
    if count == 1 {
        return Some(scaled);
    }
    let twice = scaled.unsigned_abs().checked_mul(2)?.checked_add(count.into())?;
    let magnitude = i128::try_from(twice / (2 * u128::from(count))).ok()?;
    Some(if scaled < 0 { -magnitude } else { magnitude })
}

/// `dividend / count` to the nearest integer, halves away from zero, as PostgreSQL rounds decimals.
pub(super) fn rounded(dividend: &BigInt, count: u64) -> BigInt {
    let twice = (dividend.magnitude() << 1u8) + count;
    let magnitude = twice / (u128::from(count) * 2);
    BigInt::from_biguint(if dividend.sign() == Sign::Minus { Sign::Minus } else { Sign::Plus }, magnitude)
}

pub(super) fn within<T: DecimalType>(value: T::Native, precision: u8, scale: i8) -> Option<T::Native> {
    T::validate_decimal_precision(value, precision, scale).is_ok().then_some(value)
}

pub(super) fn long(whole: &BigInt) -> Option<i256> {
    let mut bytes = [if whole.sign() == Sign::Minus { 0xff } else { 0 }; 32];
    let digits = whole.to_signed_bytes_le();
    bytes.get_mut(..digits.len())?.copy_from_slice(&digits);
    Some(i256::from_le_bytes(bytes))
}
