//! Times as text, written digit by digit, and the local time of New York.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::America::New_York;

pub(super) const SECOND_MS: i64 = 1_000;
pub(super) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// Appends `2026-03-01T12:00:00.123`, without a zone.
pub(super) fn write_time(out: &mut Vec<u8>, ms: i64) {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let of_day = ms.rem_euclid(DAY_MS) as u64;
    digits(out, year, 4);
    for (separator, number) in [
        (b'-', month),
        (b'-', day),
        (b'T', of_day / 3_600_000),
        (b':', of_day / 60_000 % 60),
        (b':', of_day / 1_000 % 60),
    ] {
        out.push(separator);
        digits(out, number, 2);
    }
    out.push(b'.');
    digits(out, of_day % 1_000, 3);
}

/// The hour of the day, from 0.
pub(super) fn hour(ms: i64) -> usize {
    (ms.rem_euclid(DAY_MS) / HOUR_MS) as usize
}

/// The local time in New York at `utc_ms`, as if it were UTC.
pub(super) fn new_york_ms(utc_ms: i64) -> i64 {
    let utc = DateTime::from_timestamp_millis(utc_ms).unwrap_or_default().naive_utc();
    let ahead = New_York.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    utc_ms + i64::from(ahead) * SECOND_MS
}

/// Appends `number` in decimal.
pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    let width = number.checked_ilog10().unwrap_or(0) + 1;
    digits(out, number, width);
}

/// Appends the last `width` digits of `number`, at most 20.
pub(super) fn digits(out: &mut Vec<u8>, mut number: u64, width: u32) {
    let mut text = [0; 20];
    let width = width.min(20) as usize;
    for digit in text[..width].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text[..width]);
}

/// Year, month and day of a day since the epoch, in the Gregorian calendar: years are counted from March, in eras
/// of 400 (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(day: i64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    ((year_of_era + era * 400 + next) as u64, month as u64, day as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_chrono_writes_them() {
        for ms in (0..4_000_000_000_000).step_by(7_654_321_987).chain([951_782_400_000, 1_709_164_799_999]) {
            let mut text = Vec::new();
            write_time(&mut text, ms);
            let expected = DateTime::from_timestamp_millis(ms).unwrap().format("%Y-%m-%dT%H:%M:%S%.3f");
            assert_eq!(String::from_utf8(text).unwrap(), expected.to_string());
        }
    }

    #[test]
    fn numbers_have_their_digits() {
        for n in [0, 9, 10, 1_234_567, u64::MAX] {
            let mut text = Vec::new();
            number(&mut text, n);
            assert_eq!(text, n.to_string().into_bytes());
        }
    }
}
