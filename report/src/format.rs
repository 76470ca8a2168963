//! Quantities as they are read: three significant digits, and a unit of a fitting size.

use crate::analysis::Summary;
use crate::figures::Unit;

const DAY_S: f64 = 86_400.0;

/// A value with its unit.
pub(crate) fn amount(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Milliseconds => seconds(value / 1e3),
        Unit::Seconds => seconds(value),
        Unit::CpuSeconds => format!("{} CPU s", number(value)),
        Unit::CpuSecondsPerMillion => format!("{} CPU s", number(value)),
        Unit::Bytes => bytes(value),
        Unit::Records => format!("{} records", number(value)),
        Unit::RecordsPerSecond => format!("{} records/s", number(value)),
        Unit::Share => format!("{} %", number(value * 100.0)),
    }
}

/// A median, and the lowest and the highest sample if there are several.
pub(crate) fn summary(summary: &Summary) -> String {
    let median = amount(summary.median, summary.unit);
    if summary.count < 2 {
        return format!("{median} (one sample)");
    }
    let (min, max) = (amount(summary.min, summary.unit), amount(summary.max, summary.unit));
    if min == max { median } else { format!("{median} ({} to {max})", without_unit(&min, &max)) }
}

/// The number of an amount alone, if the unit of the other one says the same.
fn without_unit<'a>(amount: &'a str, other: &str) -> &'a str {
    match (amount.split_once(' '), other.split_once(' ')) {
        (Some((number, unit)), Some((_, other))) if unit == other => number,
        _ => amount,
    }
}

/// A number with three significant digits, and commas between thousands.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".into();
    }
    let size = value.abs();
    if size >= 1e15 {
        return format!("{value:.2e}");
    }
    if size >= 100.0 {
        let step = 10f64.powf((size.log10().floor() - 2.0).max(0.0));
        return count(((size / step).round() * step).round() as u64, value < 0.0);
    }
    let decimals = if size == 0.0 { 0 } else { (2.0 - size.log10().floor()).clamp(0.0, 6.0) as usize };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A count, exactly, with commas between thousands.
pub(crate) fn whole(value: u64) -> String {
    count(value, false)
}

/// The number of a large count in words: "1.2 million".
pub(crate) fn large(value: f64) -> String {
    const SIZES: [(f64, &str); 4] = [(1e15, " quadrillion"), (1e12, " trillion"), (1e9, " billion"), (1e6, " million")];
    match SIZES.iter().find(|(size, _)| value.abs() >= *size) {
        Some((size, name)) => format!("{}{name}", number(value / size)),
        None => number(value),
    }
}

fn count(value: u64, negative: bool) -> String {
    let digits = value.to_string();
    let mut text = String::from(if negative { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds, or what they are called when they are few or many.
pub(crate) fn seconds(value: f64) -> String {
    let sizes = [
        (365.0 * DAY_S, "years"),
        (2.0 * DAY_S, "days"),
        (2.0 * 3600.0, "h"),
        (120.0, "min"),
        (1.0, "s"),
        (1e-3, "ms"),
    ];
    let units = [365.0 * DAY_S, DAY_S, 3600.0, 60.0, 1.0, 1e-3];
    let size = value.abs();
    for ((least, name), unit) in sizes.iter().zip(units) {
        if size >= *least {
            return format!("{} {name}", number(value / unit));
        }
    }
    if size == 0.0 { "0 s".into() } else { format!("{} µs", number(value * 1e6)) }
}

/// Bytes in decimal sizes: 1 kB is 1000 bytes.
pub(crate) fn bytes(value: f64) -> String {
    const SIZES: [(f64, &str); 6] = [(1e18, "EB"), (1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match SIZES.iter().find(|(size, _)| value.abs() >= *size) {
        Some((size, name)) => format!("{} {name}", number(value / size)),
        None => format!("{} bytes", number(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.012345, "0.0123"),
            (1.0, "1"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (99.96, "100"),
            (123.4, "123"),
            (45_678.0, "45,700"),
            (1_234_567.0, "1,230,000"),
            (-1500.0, "-1,500"),
            (10.0, "10"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn units_grow_with_their_values() {
        assert_eq!(amount(1234.0, Unit::Milliseconds), "1.23 s");
        assert_eq!(amount(12.0, Unit::Milliseconds), "12 ms");
        assert_eq!(amount(0.5, Unit::Milliseconds), "500 µs");
        assert_eq!(amount(180.0, Unit::Seconds), "3 min");
        assert_eq!(amount(4e8, Unit::Seconds), "12.7 years");
        assert_eq!(amount(1.5e9, Unit::Bytes), "1.5 GB");
        assert_eq!(amount(12.0, Unit::Bytes), "12 bytes");
        assert_eq!(amount(0.25, Unit::Share), "25 %");
        assert_eq!(large(1.25e6), "1.25 million");
        assert_eq!(whole(1_234_567), "1,234,567");
    }
}
