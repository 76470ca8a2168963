//! Values from text, by PostgreSQL's rules.

use arrow::datatypes::{DataType, i256};
use datafusion::common::ScalarValue;

use super::interval::interval;
use super::moment::Moment;
use super::wrong;
use crate::error::{QueryError, Reason};

/// The value of a text in a type; a decimal keeps its written digits.
///
/// # Errors
/// When it is no value of the type.
pub(crate) fn literal(text: &str, wanted: &DataType) -> Result<ScalarValue, QueryError> {
    let trimmed = text.trim();
    let wrong = || wrong(text, wanted);
    let own = match wanted {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            return Ok(ScalarValue::Utf8(Some(text.to_owned())));
        }
        DataType::Boolean => ScalarValue::Boolean(Some(boolean(trimmed).ok_or_else(wrong)?)),
        integer if integer.is_integer() => {
            // Wide enough for all of them; too large for the wanted one is an error of the cast below.
            ScalarValue::Decimal128(Some(trimmed.parse::<i128>().map_err(|_| wrong())?), 38, 0)
        }
        float if float.is_floating() => ScalarValue::Float64(Some(float8(trimmed).ok_or_else(wrong)?)),
        wanted if wanted.is_decimal() => {
            return match trimmed.to_ascii_lowercase().as_str() {
                "nan" => Ok(ScalarValue::Float64(Some(f64::NAN))),
                _ => decimal(trimmed).ok_or_else(wrong),
            };
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            ScalarValue::Binary(Some(bytes(text).ok_or_else(wrong)?))
        }
        DataType::Date32 | DataType::Date64 => Moment::read(trimmed).and_then(|m| m.date()).ok_or_else(wrong)?,
        DataType::Time32(_) | DataType::Time64(_) => Moment::time(trimmed).ok_or_else(wrong)?,
        DataType::Timestamp(_, zone) => {
            let moment = Moment::read(trimmed).ok_or_else(wrong)?;
            moment.timestamp(zone.as_ref()).ok_or_else(wrong)?
        }
        DataType::Interval(_) | DataType::Duration(_) => interval(trimmed).ok_or_else(wrong)?,
        DataType::List(item) => {
            let elements = elements(text).ok_or_else(wrong)?;
            let value = |element: Option<String>| match element {
                Some(element) => literal(&element, item.data_type())?.cast_to(item.data_type()).map_err(|_| wrong()),
                None => Ok(ScalarValue::try_from(item.data_type())?),
            };
            let values = elements.into_iter().map(value).collect::<Result<Vec<_>, QueryError>>()?;
            return Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, item.data_type())));
        }
        other => {
            let message = format!("a parameter cannot be a {}", super::name(other));
            return Err(QueryError::new(Reason::Unsupported, message));
        }
    };
    own.cast_to(wanted).map_err(|_| wrong())
}

/// Any unambiguous prefix, as in PostgreSQL.
fn boolean(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(text.as_str());
    if begins("true", 1) || begins("yes", 1) || text == "on" || text == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || text == "0" {
        Some(false)
    } else {
        None
    }
}

fn float8(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    // Digits too large for a float are no infinity.
    let is_infinite = text.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("inf");
    (value.is_finite() || value.is_nan() || is_infinite).then_some(value)
}

/// A number with its written precision and scale, exponents included; `None` beyond 76 digits.
pub(crate) fn decimal(text: &str) -> Option<ScalarValue> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
        None => (text, 0),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut scale = i32::try_from(fraction.len()).ok()? - i32::from(exponent);
    if scale < 0 {
        digits.push_str(&"0".repeat(usize::try_from(-scale).ok()?.min(80)));
        scale = 0;
    }
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let precision = u8::try_from(digits.len()).ok()?.max(u8::try_from(scale).ok()?).max(1);
    let scale = i8::try_from(scale).ok()?;
    let number = format!("{sign}{digits}");
    match precision {
        0..=38 => Some(ScalarValue::Decimal128(Some(number.parse().ok()?), precision, scale)),
        39..=76 => Some(ScalarValue::Decimal256(Some(i256::from_string(&number)?), precision, scale)),
        _ => None,
    }
}

/// Reads `\x0102ff`, or text with `\\` and octal `\ooo`.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x").or_else(|| text.strip_prefix("\\X")) {
        let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        return digits.chunks(2).map(pair).collect();
    }
    let mut rest = text.as_bytes();
    let mut bytes = vec![];
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        match after {
            [b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

/// The elements of `{a,"b,c",NULL}`; `None` when it is no array of one dimension.
pub(super) fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.trim().is_empty() {
        return Some(vec![]);
    }
    let mut elements = vec![];
    let mut rest = inner.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        let mut element = String::new();
        let is_quoted = rest.next_if_eq(&'"').is_some();
        if is_quoted {
            loop {
                match rest.next()? {
                    '"' => break,
                    '\\' => element.push(rest.next()?),
                    c => element.push(c),
                }
            }
            while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        } else {
            // Blanks at the end do not count, unless they were escaped.
            let mut kept = 0;
            while let Some(c) = rest.next_if(|c| *c != ',') {
                match c {
                    '{' | '}' | '"' => return None,
                    '\\' => {
                        element.push(rest.next()?);
                        kept = element.len();
                    }
                    c => {
                        element.push(c);
                        if !c.is_ascii_whitespace() {
                            kept = element.len();
                        }
                    }
                }
            }
            element.truncate(kept);
        }
        elements.push(match is_quoted {
            false if element.is_empty() => return None,
            false if element.eq_ignore_ascii_case("null") => None,
            _ => Some(element),
        });
        match rest.next() {
            None => return Some(elements),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}
