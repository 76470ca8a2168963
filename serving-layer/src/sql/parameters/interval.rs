//! Intervals as people and drivers write them: `1 day`, `1 day, 2:03:04`, `1 mon -3 days ago`, `P1DT2H`.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

#[derive(Debug, Default)]
struct Sum {
    months: i128,
    days: i128,
    nanos: i128,
}

pub(super) fn interval(text: &str) -> Option<ScalarValue> {
    read(text).map(|interval| ScalarValue::IntervalMonthDayNano(Some(interval)))
}

/// The interval in a form that DataFusion reads as well.
pub(crate) fn in_words(text: &str) -> Option<String> {
    let IntervalMonthDayNano { months, days, nanoseconds } = read(text.trim())?;
    Some(format!("{months} months {days} days {nanoseconds} nanoseconds"))
}

fn read(text: &str) -> Option<IntervalMonthDayNano> {
    let sum = match text.strip_prefix(['P', 'p']) {
        Some(parts) => iso(parts)?,
        None => words(text)?,
    };
    Some(IntervalMonthDayNano {
        months: i32::try_from(sum.months).ok()?,
        days: i32::try_from(sum.days).ok()?,
        nanoseconds: i64::try_from(sum.nanos).ok()?,
    })
}

fn words(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("ago") {
            sum = Sum { months: -sum.months, days: -sum.days, nanos: -sum.nanos };
            return words.next().is_none().then_some(sum);
        }
        if word.contains(':') {
            sum.nanos += clock(word)?;
            continue;
        }
        let end = word.find(|c: char| c.is_alphabetic()).unwrap_or(word.len());
        let (number, unit) = word.split_at(end);
        let unit = match unit {
            "" => words.next().unwrap_or("seconds"),
            unit => unit,
        };
        add(&mut sum, billionths(number)?, unit)?;
    }
    Some(sum)
}

fn iso(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut rest = text;
    let mut in_time = false;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(['T', 't']) {
            (rest, in_time) = (after, true);
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let unit = match (rest[end..end + 1].to_ascii_uppercase().as_str(), in_time) {
            ("Y", false) => "year",
            ("M", false) => "month",
            ("W", false) => "week",
            ("D", false) => "day",
            ("H", true) => "hour",
            ("M", true) => "minute",
            ("S", true) => "second",
            _ => return None,
        };
        add(&mut sum, billionths(&rest[..end])?, unit)?;
        rest = &rest[end + 1..];
    }
    Some(sum)
}

/// Adds a number of units, in billionths of one. Fractions of a day become time; fractions of a month are refused.
fn add(sum: &mut Sum, number: i128, unit: &str) -> Option<()> {
    let whole = |factor: i128| (number % SECOND == 0).then_some(number / SECOND * factor);
    let unit = unit.to_ascii_lowercase();
    let unit = if unit.len() > 2 { unit.trim_end_matches('s') } else { unit.as_str() };
    match unit {
        "y" | "yr" | "year" => sum.months += whole(12)?,
        "mon" | "month" => sum.months += whole(1)?,
        "w" | "week" => {
            sum.days += number / SECOND * 7;
            sum.nanos += number % SECOND * 7 * 86_400;
        }
        "d" | "day" => {
            sum.days += number / SECOND;
            sum.nanos += number % SECOND * 86_400;
        }
        "h" | "hr" | "hour" => sum.nanos += number.checked_mul(3600)?,
        "m" | "min" | "minute" => sum.nanos += number.checked_mul(60)?,
        "s" | "sec" | "second" => sum.nanos += number,
        "ms" | "msec" | "millisecond" => sum.nanos += number / 1000,
        "us" | "usec" | "microsecond" => sum.nanos += number / 1_000_000,
        _ => return None,
    }
    (sum.nanos.abs() < DAY * 200_000).then_some(())
}

/// `-2:03:04.5` as nanoseconds.
fn clock(text: &str) -> Option<i128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = text.splitn(3, ':');
    let (hours, minutes) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
    let seconds = billionths(parts.next().unwrap_or("0"))?;
    let is_clock = minutes < 60 && (0..60 * SECOND).contains(&seconds);
    is_clock.then(|| sign * (i128::from(hours) * 3600 * SECOND + i128::from(minutes) * 60 * SECOND + seconds))
}

/// A number with at most nine decimals, times a billion.
fn billionths(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > 18 || !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some(sign * (whole * SECOND + nine.parse::<i128>().ok()?))
}
