//! Dates, times and intervals as text, over the whole range of years of a column.

use std::str::FromStr;

use arrow::array::timezone::Tz;
use arrow::datatypes::IntervalMonthDayNano;
use bytes::BytesMut;
use chrono::{DateTime, Offset, TimeZone};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use super::put;
use crate::postgres::wire_error::session_error;

pub(in crate::postgres) const DAY_MICROS: i64 = 86_400_000_000;
/// Days from 1970-01-01, Arrow's epoch, to 2000-01-01, PostgreSQL's.
pub(in crate::postgres) const EPOCH_DAYS: i32 = 10_957;
pub(in crate::postgres) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY_MICROS;

/// Appends `2026-03-01`, given as days since 1970.
pub(super) fn date_text(days: i32, out: &mut BytesMut) {
    let (year, month, day) = civil(i64::from(days));
    put(out, format_args!("{:04}-{month:02}-{day:02}{}", in_era(year), era(year)));
}

/// Appends `12:34:56.789`.
pub(super) fn time_text(micros: i64, out: &mut BytesMut) {
    clock(micros, out);
}

/// Appends `2026-03-01 12:34:56.789`, with an offset if there is a zone.
pub(super) fn timestamp_text(micros: i64, zone: Option<&str>, out: &mut BytesMut) -> PgWireResult<()> {
    let offset = match zone {
        Some(zone) => Some(offset_at(micros, zone)?),
        None => None,
    };
    let local = micros.checked_add(i64::from(offset.unwrap_or(0)) * 1_000_000).ok_or_else(out_of_range)?;
    let (year, month, day) = civil(local.div_euclid(DAY_MICROS));
    put(out, format_args!("{:04}-{month:02}-{day:02} ", in_era(year)));
    clock(local.rem_euclid(DAY_MICROS), out);
    if let Some(offset) = offset {
        let (sign, seconds) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
        put(out, format_args!("{sign}{:02}", seconds / 3600));
        if seconds % 3600 != 0 {
            put(out, format_args!(":{:02}", seconds / 60 % 60));
        }
        if seconds % 60 != 0 {
            put(out, format_args!(":{:02}", seconds % 60));
        }
    }
    put(out, era(year));
    Ok(())
}

/// Seconds that the zone's local time is ahead of UTC at an instant.
fn offset_at(micros: i64, zone: &str) -> PgWireResult<i32> {
    let zone = Tz::from_str(zone).map_err(|error| session_error("22023", error.to_string()))?;
    let instant = DateTime::from_timestamp_micros(micros).ok_or_else(out_of_range)?;
    Ok(zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc())
}

pub(super) fn out_of_range() -> PgWireError {
    session_error("22008", "timestamp out of range")
}

fn clock(micros: i64, out: &mut BytesMut) {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    put(out, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    put(out, fraction_text(fraction));
}

fn fraction_text(micros: i64) -> String {
    match micros {
        0 => String::new(),
        micros => format!(".{micros:06}").trim_end_matches('0').to_owned(),
    }
}

/// The year within its era: before 1 comes 1 BC.
fn in_era(year: i64) -> i64 {
    if year > 0 { year } else { 1 - year }
}

fn era(year: i64) -> &'static str {
    if year > 0 { "" } else { " BC" }
}

/// Year, month and day of a day since 1970-01-01. <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// An interval in PostgreSQL's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) struct Interval {
    pub(in crate::postgres) months: i32,
    pub(in crate::postgres) days: i32,
    pub(in crate::postgres) micros: i64,
}

impl Interval {
    pub(super) fn of(interval: IntervalMonthDayNano) -> Self {
        Self { months: interval.months, days: interval.days, micros: interval.nanoseconds / 1000 }
    }

    /// `1 year 2 mons -3 days +04:05:06.7`, or `P1Y2M-3DT4H5M6.7S`.
    pub(super) fn text(self, iso: bool) -> String {
        let (seconds, fraction) = (self.micros.unsigned_abs() / 1_000_000, self.micros.unsigned_abs() % 1_000_000);
        let fraction = fraction_text(i64::try_from(fraction).unwrap_or(0));
        let (years, months) = (self.months / 12, self.months % 12);
        match iso {
            true => self.iso_text(years, months, seconds, &fraction),
            false => self.postgres_text(years, months, seconds, &fraction),
        }
    }

    fn postgres_text(self, years: i32, months: i32, seconds: u64, fraction: &str) -> String {
        let mut parts: Vec<String> = vec![];
        let mut after_negative = false;
        for (number, unit) in [(years, "year"), (months, "mon"), (self.days, "day")] {
            if number != 0 {
                let plus = if after_negative && number > 0 { "+" } else { "" };
                parts.push(format!("{plus}{number} {unit}{}", if number == 1 { "" } else { "s" }));
                after_negative = number < 0;
            }
        }
        if self.micros != 0 || parts.is_empty() {
            let sign = match self.micros < 0 {
                true => "-",
                false if after_negative => "+",
                false => "",
            };
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            parts.push(format!("{sign}{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60));
        }
        parts.join(" ")
    }

    fn iso_text(self, years: i32, months: i32, seconds: u64, fraction: &str) -> String {
        let mut text = "P".to_owned();
        for (number, unit) in [(years, 'Y'), (months, 'M'), (self.days, 'D')] {
            if number != 0 {
                text.push_str(&format!("{number}{unit}"));
            }
        }
        if self.micros != 0 {
            let sign = if self.micros < 0 { "-" } else { "" };
            text.push('T');
            for (number, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
                if number != 0 {
                    text.push_str(&format!("{sign}{number}{unit}"));
                }
            }
            if !seconds.is_multiple_of(60) || !fraction.is_empty() {
                text.push_str(&format!("{sign}{}{fraction}S", seconds % 60));
            }
        }
        if text == "P" { "PT0S".to_owned() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    /// The texts are PostgreSQL 15's.
    #[test]
    fn dates_and_times() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (20_513, "2026-03-01"),
            (-719_162, "0001-01-01"),
            (-719_163, "0001-12-31 BC"),
            (2_932_897, "10000-01-01"),
            (19_782, "2024-02-29"),
        ] {
            assert_eq!(text(|out| date_text(days, out)), expected);
        }
        assert_eq!(text(|out| time_text(45_296_789_000, out)), "12:34:56.789");
        assert_eq!(text(|out| time_text(DAY_MICROS, out)), "24:00:00");
        let at = |micros, zone| text(|out| timestamp_text(micros, zone, out).unwrap());
        assert_eq!(at(-1, None), "1969-12-31 23:59:59.999999");
        assert_eq!(at(1_772_368_496_000_000, Some("UTC")), "2026-03-01 12:34:56+00");
        assert_eq!(at(1_772_368_496_000_000, Some("Asia/Kolkata")), "2026-03-01 18:04:56+05:30");
        assert_eq!(at(1_772_368_496_500_000, Some("America/New_York")), "2026-03-01 07:34:56.5-05");
        assert!(timestamp_text(i64::MAX, Some("UTC"), &mut BytesMut::new()).is_err());
    }

    /// The texts are PostgreSQL 15's.
    #[test]
    fn intervals() {
        for (months, days, micros, expected, iso) in [
            (0, 0, 0, "00:00:00", "PT0S"),
            (1, 1, 0, "1 mon 1 day", "P1M1D"),
            (14, 3, 14_706_700_000, "1 year 2 mons 3 days 04:05:06.7", "P1Y2M3DT4H5M6.7S"),
            (-14, 3, -14_706_000_000, "-1 years -2 mons +3 days -04:05:06", "P-1Y-2M3DT-4H-5M-6S"),
            (0, -1, 3_600_000_000, "-1 days +01:00:00", "P-1DT1H"),
            (0, 0, 360_000_000_000, "100:00:00", "PT100H"),
        ] {
            let interval = Interval { months, days, micros };
            assert_eq!((interval.text(false).as_str(), interval.text(true).as_str()), (expected, iso));
        }
    }
}
