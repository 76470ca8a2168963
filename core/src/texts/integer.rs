//! Integers from text: whole numbers in any notation.

use super::decimal::whole;

/// Number of digits that every `i64` has room for.
const SAFE_DIGITS: usize = 18;

/// The integer; `None` when `text` is no whole number or does not fit.
pub fn integer<N: TryFrom<i64> + TryFrom<i128>>(text: &str) -> Option<N> {
    match plain(text.as_bytes()) {
        Some(value) => value.try_into().ok(),
        None => whole(text)?.try_into().ok(),
    }
}

/// Reads few digits with an optional minus, which is nearly every text.
fn plain(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > SAFE_DIGITS {
        return None;
    }
    let mut value = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("007", Some(7)),
            ("+5", Some(5)),
            (" 5 ", Some(5)),
            ("5.", Some(5)),
            ("5.000", Some(5)),
            ("1e3", Some(1000)),
            ("12.5e1", Some(125)),
            ("370e-1", Some(37)),
            ("-2147483648", Some(i32::MIN)),
            ("2147483647.0", Some(i32::MAX)),
            ("2147483648", None),
            ("3.7", None),
            ("37e-1", None),
            ("0.5", None),
            ("-0.5", None),
            ("3.0000000000000000000000000000000000000000000000001", None),
            ("1e-400", None),
            ("", None),
            ("-", None),
            ("x", None),
            ("0x1F", None),
            ("NaN", None),
            ("true", None),
        ] {
            assert_eq!(integer::<i32>(text), expected, "{text}");
        }
        assert_eq!(integer::<i64>("9007199254740993.0"), Some(9_007_199_254_740_993));
        assert_eq!(integer::<i64>("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer::<i64>("9223372036854775808"), None);
        assert_eq!(integer::<u64>("18446744073709551615"), Some(u64::MAX));
        assert_eq!((integer::<u64>("-1"), integer::<u8>("255"), integer::<u8>("256")), (None, Some(255), None));
    }
}
