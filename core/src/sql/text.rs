//! Values cast to text in PostgreSQL's form.

use super::digits::{fraction, offset};
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, Time64NanosecondType, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use datafusion::common::{DataFusionError, Result};

use super::interval;
use super::zone::SqlZone;

/// Whether the text of this type differs from `arrow`'s.
pub(super) fn differs(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..) => true,
        DataType::Dictionary(_, values) => differs(values),
        _ => false,
    }
}

/// The values of `array` as text.
pub(super) fn text(array: &ArrayRef) -> Result<StringArray> {
    Ok(match array.data_type() {
        DataType::Float16 | DataType::Float32 => {
            let floats = cast(array, &DataType::Float32)?;
            floats.as_primitive::<Float32Type>().iter().map(|x| x.map(float4)).collect()
        }
        DataType::Float64 => array.as_primitive::<Float64Type>().iter().map(|x| x.map(float8)).collect(),
        DataType::Timestamp(unit, zone) => return timestamps(array, *unit, zone.as_deref()),
        DataType::Date32 | DataType::Date64 => {
            let days = cast(&cast(array, &DataType::Date32)?, &DataType::Int32)?;
            let days = cast(&days, &DataType::Int64)?;
            let text = |day: i64| time_at(day * 86_400, 0).map(|time| date(&time));
            days.as_primitive::<Int64Type>().iter().map(|day| day.map(text).transpose()).collect::<Result<_>>()?
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let times = cast(array, &DataType::Time64(TimeUnit::Nanosecond))?;
            let times = times.as_primitive::<Time64NanosecondType>();
            times.iter().map(|nanos| nanos.map(time_of_day)).collect()
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            interval::normal(array)?.iter().map(|interval| interval.map(interval::text)).collect()
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = cast(array, &DataType::Binary)?;
            bytes.as_binary::<i32>().iter().map(|bytes| bytes.map(hex)).collect()
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            let lists = cast(array, &DataType::List(Arc::clone(field)))?;
            let lists = lists.as_list::<i32>();
            (0..lists.len()).map(|row| list_text(lists, row)).collect::<Result<_>>()?
        }
        DataType::Dictionary(_, values) => return text(&cast(array, values)?),
        _ => cast(array, &DataType::Utf8)?.as_string::<i32>().clone(),
    })
}

fn list_text(lists: &arrow::array::ListArray, row: usize) -> Result<Option<String>> {
    if lists.is_null(row) {
        return Ok(None);
    }
    let elements = lists.value(row);
    let is_list = matches!(elements.data_type(), DataType::List(_) | DataType::LargeList(_));
    let texts = text(&elements)?;
    let quoted = texts.iter().map(|text| match text {
        None => "NULL".to_owned(),
        Some(text) if is_list => text.to_owned(),
        Some(text) => element(text),
    });
    Ok(Some(format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))))
}

/// An element of an array, quoted if needed.
fn element(text: &str) -> String {
    let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace();
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The shortest digits that identify this DOUBLE; with an exponent below 1e-4 and from 1e15 on.
pub(super) fn float8(number: f64) -> String {
    shortest(&format!("{number:e}"), number.is_finite(), 15)
}

/// The same for a REAL, with an exponent from 1e6 on.
pub(super) fn float4(number: f32) -> String {
    shortest(&format!("{number:e}"), number.is_finite(), 6)
}

fn shortest(scientific: &str, is_finite: bool, most: i32) -> String {
    if !is_finite {
        return match scientific {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            _ => "NaN".to_owned(),
        };
    }
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific.to_owned() };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    if !(-4..most).contains(&exponent) {
        let sign_of_exponent = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{sign_of_exponent}{:02}", exponent.abs());
    }
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    }
    let point = exponent as usize + 1;
    if digits.len() <= point {
        return format!("{sign}{digits}{}", "0".repeat(point - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..point], &digits[point..])
}

fn out_of_range() -> DataFusionError {
    DataFusionError::Execution("timestamp out of range".to_owned())
}

fn time_at(seconds: i64, nanos: u32) -> Result<NaiveDateTime> {
    Ok(DateTime::from_timestamp(seconds, nanos).ok_or_else(out_of_range)?.naive_utc())
}

/// A year without its era: 1 BC comes before year 1.
fn year(time: &NaiveDateTime) -> i32 {
    if time.year() > 0 { time.year() } else { 1 - time.year() }
}

fn date(time: &NaiveDateTime) -> String {
    let era = if time.year() > 0 { "" } else { " BC" };
    format!("{:04}-{:02}-{:02}{era}", year(time), time.month(), time.day())
}

fn clock(time: &NaiveDateTime) -> String {
    let fraction = fraction(u64::from(time.nanosecond()));
    format!("{:02}:{:02}:{:02}{fraction}", time.hour(), time.minute(), time.second())
}

fn time_of_day(nanos: i64) -> String {
    let (seconds, fraction_of) = (nanos.div_euclid(interval::SECOND), nanos.rem_euclid(interval::SECOND));
    let fraction = fraction(fraction_of.unsigned_abs());
    format!("{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn timestamps(array: &ArrayRef, unit: TimeUnit, zone: Option<&str>) -> Result<StringArray> {
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let mut zone = zone.map(SqlZone::parse).transpose()?;
    let instants = cast(array, &DataType::Int64)?;
    let mut text = |instant: i64| -> Result<String> {
        let (seconds, part) = (instant.div_euclid(per_second), instant.rem_euclid(per_second));
        let ahead = zone.as_mut().map(|zone| zone.ahead(seconds)).transpose()?;
        let time = time_at(seconds + ahead.unwrap_or(0), (part * (1_000_000_000 / per_second)) as u32)?;
        let era = if time.year() > 0 { "" } else { " BC" };
        let day = format!("{:04}-{:02}-{:02}", year(&time), time.month(), time.day());
        Ok(format!("{day} {}{}{era}", clock(&time), ahead.map(offset).unwrap_or_default()))
    };
    instants.as_primitive::<Int64Type>().iter().map(|instant| instant.map(&mut text).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right sides are PostgreSQL 15's output.
    #[test]
    fn floats_are_written_as_postgresql_writes_them() {
        let cases = [
            (1e20, "1e+20"),
            (0.1, "0.1"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e-5, "1e-05"),
            (0.000_123, "0.000123"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (100.0, "100"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ];
        for (number, text) in cases {
            assert_eq!(float8(number), text);
        }
        assert_eq!(float4(1e6), "1e+06");
        assert_eq!(float4(123_456.0), "123456");
    }
}
