//! The same quotients as [`super::statistic`], where the integers fit into 256 bits: most do, and need no memory then.

use arrow::datatypes::i256;

use super::round::round;
use super::statistic::Divisor;
use super::window::Window;

/// Above this, `n * n` leaves a quotient of 128 bits fewer than a float needs.
const ROWS: u64 = 1 << 36;

/// The float nearest to the sum divided by `count`: `window * 2^exponent / count`.
pub(super) fn average(window: i128, exponent: i32, count: u64) -> f64 {
    let (magnitude, negative) = (window.unsigned_abs(), window < 0);
    if count == 1 {
        return round(negative, magnitude, false, exponent);
    }
    divided(negative, magnitude, false, exponent, count.into())
}

/// The variance of `n` rows whose sum and sum of squares are the windows times powers of two.
pub(super) fn variance(sum: (i128, i32), squares: (i256, i32), n: u64, divisor: Divisor) -> Option<f64> {
    if n >= ROWS {
        return None;
    }
    let root = i256::from_i128(sum.0);
    let (square, square_exponent) = (root.checked_mul(root)?, 2 * sum.1);
    let scaled = squares.0.checked_mul(i256::from_i128(n.into()))?;
    let exponent = if square.is_zero() { squares.1 } else { square_exponent.min(squares.1) };
    let difference = up(scaled, squares.1 - exponent)?.checked_sub(up(square, square_exponent - exponent)?)?;
    let dropped = difference.width().saturating_sub(u128::BITS);
    let (magnitude, _) = difference.down(dropped).to_parts();
    let rest = difference.trailing_zeros() < dropped;
    let rows = match divisor {
        Divisor::Population => n,
        Divisor::Sample => n - 1,
    };
    Some(divided(false, magnitude, rest, exponent + dropped as i32, u128::from(n) * u128::from(rows)))
}

/// Shifted, if nothing is lost by it. Zero may be anywhere.
fn up(window: i256, bits: i32) -> Option<i256> {
    if window.is_zero() {
        return Some(window);
    }
    let bits = u32::try_from(bits).ok()?;
    (bits < i256::BITS && window.width() + bits < i256::BITS - 1).then(|| window.up(bits))
}

fn divided(negative: bool, magnitude: u128, rest: bool, exponent: i32, divisor: u128) -> f64 {
    if magnitude == 0 {
        return 0.0;
    }
    // With its leading bit at the top, the quotient keeps enough.
    let up = magnitude.leading_zeros();
    let dividend = magnitude << up;
    let (quotient, left) = (dividend / divisor, dividend % divisor);
    round(negative, quotient, rest || left != 0, exponent - up as i32)
}
