//! Numbers: floats as text, decimals in binary.

use datafusion_postgres::pgwire::error::PgWireResult;

use crate::postgres::wire_error::session_error;

/// A REAL in PostgreSQL's form.
pub(super) fn float4_text(value: f32, extra_digits: i8) -> String {
    if !value.is_finite() {
        return special(f64::from(value)).to_owned();
    }
    match extra_digits {
        1.. => arranged(&format!("{value:e}"), 6),
        _ => rounded(6, extra_digits, |digits| format!("{value:.digits$e}")),
    }
}

/// A DOUBLE in PostgreSQL's form.
pub(super) fn float8_text(value: f64, extra_digits: i8) -> String {
    if !value.is_finite() {
        return special(value).to_owned();
    }
    match extra_digits {
        1.. => arranged(&format!("{value:e}"), 15),
        _ => rounded(15, extra_digits, |digits| format!("{value:.digits$e}")),
    }
}

fn special(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

/// The number with fewer digits than identify it, for `extra_float_digits` below 1.
fn rounded(most: i8, extra_digits: i8, scientific: impl Fn(usize) -> String) -> String {
    let digits = usize::try_from(most.saturating_add(extra_digits)).unwrap_or(0).max(1);
    let text = scientific(digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    arranged(&format!("{mantissa}e{exponent}"), i32::try_from(digits).unwrap_or(i32::MAX))
}

/// The printed form of `1.25e-7`: with an exponent of two digits below 0.0001 and from `10^most` on, else without one.
fn arranged(scientific: &str, most: i32) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    if !(-4..most).contains(&exponent) {
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.unsigned_abs());
    }
    let digits = mantissa.replace('.', "");
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    if whole == 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    }
    if digits.len() <= whole {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;

/// A decimal, written out, as NUMERIC in binary: groups of four digits, the place of the first, and the sign.
pub(super) fn numeric_binary(text: &str) -> Vec<u8> {
    let (sign, digits) = text.strip_prefix('-').map_or((0, text), |rest| (NEGATIVE, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    // Groups end at the point.
    let padded = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let before = padded.len() / 4;
    let all = format!("{padded}{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
    let groups: Vec<i16> = all.as_bytes().chunks(4).map(group).collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups.iter().rev().take_while(|group| **group == 0).count();
    let groups: &[i16] = match leading == groups.len() {
        true => &[],
        false => &groups[leading..groups.len() - trailing],
    };
    let weight = match groups.is_empty() {
        true => 0,
        false => before as i16 - 1 - leading as i16,
    };
    let sign = if groups.is_empty() { 0 } else { sign };
    let mut out = Vec::with_capacity(8 + 2 * groups.len());
    out.extend_from_slice(&(groups.len() as i16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(fraction.len() as i16).to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
    out
}

fn group(digits: &[u8]) -> i16 {
    digits.iter().fold(0, |number, digit| number * 10 + i16::from(digit - b'0'))
}

/// NUMERIC in binary, written out; `NaN`, `Infinity` and `-Infinity` as such.
pub(in crate::postgres) fn numeric_text(bytes: &[u8]) -> PgWireResult<String> {
    let wrong = || session_error("22P03", "incorrect binary data format of a NUMERIC");
    let word = |i: usize| match bytes.get(2 * i..2 * i + 2) {
        Some(word) => Ok(u16::from_be_bytes([word[0], word[1]])),
        None => Err(wrong()),
    };
    let (count, weight, sign, scale) = (usize::from(word(0)?), word(1)? as i16, word(2)?, usize::from(word(3)?));
    match sign {
        0 | NEGATIVE => {}
        NAN => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        _ => return Err(wrong()),
    }
    if bytes.len() != 8 + 2 * count || scale > 16_383 {
        return Err(wrong());
    }
    let mut groups = vec![];
    for i in 0..count {
        groups.push(match word(4 + i)? {
            group @ 0..=9999 => group,
            _ => return Err(wrong()),
        });
    }
    // The group at 10000^place.
    let at = |place: i32| usize::try_from(i32::from(weight) - place).ok().and_then(|i| groups.get(i)).copied();
    let mut text = String::new();
    if sign == NEGATIVE {
        text.push('-');
    }
    let mut whole = String::new();
    for place in (0..=i32::from(weight)).rev() {
        whole.push_str(&format!("{:04}", at(place).unwrap_or(0)));
    }
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let mut fraction = String::new();
        let mut place = -1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", at(place).unwrap_or(0)));
            place -= 1;
        }
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PostgreSQL 15's output of `SELECT x::float8`.
    #[test]
    fn floats_are_written_as_postgresql_does() {
        for (value, expected) in [
            (1.5, "1.5"),
            (0.0, "0"),
            (-0.0, "-0"),
            (100_000_000_000_000.0, "100000000000000"),
            (1e15, "1e+15"),
            (1e20, "1e+20"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (123_456.789, "123456.789"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(float8_text(value, 1), expected);
        }
        assert_eq!(float8_text(0.1 + 0.2, 0), "0.3");
        assert_eq!(float8_text(1e15, 0), "1e+15");
        assert_eq!((float4_text(1e6, 1), float4_text(0.1, 3)), ("1e+06".to_owned(), "0.1".to_owned()));
        assert_eq!(
            (float4_text(123_456.79, 1), float4_text(99_999.0, 1)),
            ("123456.79".to_owned(), "99999".to_owned())
        );
    }

    #[test]
    fn a_decimal_survives_its_binary_form() {
        for text in [
            "0",
            "1",
            "-1",
            "0.00",
            "1.50",
            "-0.0001",
            "10000",
            "99990000",
            "0.00000001",
            "123456789.987654321",
            "-12345678901234567890123456789012345678901234567890.0123456789",
            "10000.0001",
            "0.10",
            "1000000000000",
        ] {
            assert_eq!(numeric_text(&numeric_binary(text)).unwrap(), text);
        }
        // `SELECT numeric_send(12345.678)` of PostgreSQL.
        assert_eq!(numeric_binary("12345.678"), [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1A, 0x7C]);
    }

    #[test]
    fn damaged_decimals_are_errors() {
        for bytes in
            [&[][..], &[0, 1, 0, 0, 0, 0, 0, 0], &[0, 1, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], &[0, 0, 0, 0, 1, 0, 0, 0]]
        {
            assert!(numeric_text(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(numeric_text(&[0, 0, 0, 0, 0xC0, 0, 0, 0]).unwrap(), "NaN");
    }
}
