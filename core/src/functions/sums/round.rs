//! Rounding of an exact value to the nearest float, ties to even.

const DIGITS: i32 = f64::MANTISSA_DIGITS as i32;
/// Exponents of the least subnormal and the greatest float's leading bit.
const LEAST: i32 = f64::MIN_EXP - DIGITS;
const GREATEST: i32 = f64::MAX_EXP - 1;

/// The float nearest to `±(magnitude + rest) * 2^exponent`, where `0 <= rest < 1` and `rest > 0` if `inexact`;
/// infinity where it is too large. With a rest, `magnitude` has to have more bits than a float.
pub(super) fn round(negative: bool, magnitude: u128, inexact: bool, exponent: i32) -> f64 {
    if magnitude == 0 {
        return 0.0;
    }
    let leading = exponent + (u128::BITS - 1 - magnitude.leading_zeros()) as i32;
    if leading > GREATEST {
        return signed(negative, f64::INFINITY);
    }
    let least = (leading - DIGITS + 1).max(LEAST);
    let dropped = least - exponent;
    if dropped <= 0 {
        return signed(negative, (magnitude << -dropped) as f64 * power_of_two(least));
    }
    if dropped > u128::BITS as i32 {
        return 0.0;
    }
    let half = 1u128 << (dropped - 1);
    let (kept, rest) = match magnitude.checked_shr(dropped.unsigned_abs()) {
        Some(kept) => (kept, magnitude - (kept << dropped)),
        None => (0, magnitude),
    };
    let up = rest > half || (rest == half && (inexact || kept % 2 == 1));
    // At most 2^53: exact, and so is its product with the power of two, which may be infinite.
    signed(negative, (kept + u128::from(up)) as f64 * power_of_two(least))
}

fn signed(negative: bool, value: f64) -> f64 {
    // There is one zero.
    if negative && value != 0.0 { -value } else { value }
}

fn power_of_two(exponent: i32) -> f64 {
    let subnormal = exponent < f64::MIN_EXP - 1;
    f64::from_bits(if subnormal { 1 << (exponent - LEAST) } else { ((exponent + GREATEST) as u64) << (DIGITS - 1) })
}
