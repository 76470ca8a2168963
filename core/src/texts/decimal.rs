//! Decimals from text, exactly: with exponents, rounded half away from zero where the scale is too small.

use arrow::array::ArrowNativeTypeOp;
use arrow::datatypes::{ArrowNativeType, Decimal128Type, DecimalType};

/// The decimal's unscaled value; `None` when `text` is no number or does not fit into `precision` digits.
pub fn decimal<D: DecimalType>(text: &str, precision: u8, scale: i8) -> Option<D::Native> {
    let number = WrittenNumber::parse(text)?;
    let value = digits::<D>(number.digits(), number.point + i64::from(scale))?;
    let value = if number.negative { value.neg_checked().ok()? } else { value };
    D::is_valid_decimal_precision(value, precision).then_some(value)
}

/// The whole number; `None` when `text` is none or has more than 38 digits.
pub(super) fn whole(text: &str) -> Option<i128> {
    let number = WrittenNumber::parse(text)?;
    let point = usize::try_from(number.point).unwrap_or(0);
    if number.digits().skip(point).any(|digit| digit != b'0') {
        return None;
    }
    decimal::<Decimal128Type>(text, 38, 0)
}

/// A number's text in its parts.
struct WrittenNumber<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    /// Number of digits before the decimal point, after the exponent has moved it.
    point: i64,
}

impl<'t> WrittenNumber<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let text = text.trim_ascii();
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let number = Self { negative, whole, fraction, point: whole.len() as i64 + i64::from(exponent) };
        let is_number = whole.len() + fraction.len() > 0 && number.digits().all(|b| b.is_ascii_digit());
        is_number.then_some(number)
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'t> {
        self.whole.bytes().chain(self.fraction.bytes())
    }
}

/// The number of the first `kept` digits, padded with zeros and rounded by the digit after them.
fn digits<D: DecimalType>(digits: impl Iterator<Item = u8>, kept: i64) -> Option<D::Native> {
    let ten = D::Native::usize_as(10);
    let mut value = D::Native::usize_as(0);
    let mut seen = 0;
    for digit in digits.map(|b| usize::from(b - b'0')) {
        seen += 1;
        if seen <= kept {
            value = value.mul_checked(ten).ok()?.add_checked(D::Native::usize_as(digit)).ok()?;
        } else {
            let up = seen == kept + 1 && digit >= 5;
            return if up { value.add_checked(D::Native::usize_as(1)).ok() } else { Some(value) };
        }
    }
    while seen < kept && !value.is_zero() {
        seen += 1;
        value = value.mul_checked(ten).ok()?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_or_none() {
        let cases = [
            ("0", Some(0)),
            ("12.34", Some(1234)),
            ("-12.345", Some(-1235)),
            (" +.5 ", Some(50)),
            ("7.", Some(700)),
            ("0.004999", Some(0)),
            ("0.005", Some(1)),
            ("1.5e2", Some(15_000)),
            ("1.5e3", None),
            ("12345E-4", Some(123)),
            ("0e30000", Some(0)),
            ("999.994", Some(99_999)),
            ("999.995", None),
            ("9999", None),
            ("1e30000", None),
            ("1e99999", None),
            ("1e-30000", Some(0)),
            ("", None),
            (".", None),
            ("-", None),
            ("1,5", None),
            ("1.2.3", None),
            ("٣", None),
            ("NaN", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decimal::<Decimal128Type>(text, 5, 2), expected, "{text}");
        }
        let long = format!("0.{}", "3".repeat(10_000));
        assert_eq!(decimal::<Decimal128Type>(&long, 5, 2), Some(33));
    }
}
