//! Dates and times as people and drivers write them: `2026-03-01`, `2026-03-01 12:34:56.789+01`,
//! `2026-03-01T12:34:56Z`. They count microseconds; a finer time is rounded as [`dovetail_core::texts::micros`] does.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{LocalResult, NaiveDate, Offset, TimeZone};
use datafusion::common::ScalarValue;
use dovetail_core::texts::micros;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A moment's text, read into its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct MomentText {
    date: NaiveDate,
    /// Nanoseconds since midnight; up to 24:00:00.
    micros: i64,
    /// Seconds ahead of UTC, if the text has an offset.
    offset: Option<i32>,
}

impl MomentText {
    pub(super) fn read(text: &str) -> Option<Self> {
        let (date, rest) = match text.find(['T', 't', ' ']) {
            Some(end) => (&text[..end], text[end + 1..].trim()),
            None => (text, ""),
        };
        let mut parts = date.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if year.len() < 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let date = NaiveDate::from_ymd_opt(year.parse().ok()?, number(month)?, number(day)?)?;
        let ends = rest.find(|c: char| !matches!(c, '0'..='9' | ':' | '.')).unwrap_or(rest.len());
        let (clock, zone) = (&rest[..ends], rest[ends..].trim());
        let micros = if clock.is_empty() { 0 } else { clock_micros(clock)? };
        let local = date.and_hms_opt(0, 0, 0)?.checked_add_signed(chrono::TimeDelta::microseconds(micros))?;
        let offset = match zone {
            "" => None,
            "Z" | "z" => Some(0),
            zone if zone.starts_with(['+', '-']) => Some(offset(zone)?),
            zone => match Tz::from_str(zone).ok()?.offset_from_local_datetime(&local) {
                LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => Some(offset.fix().local_minus_utc()),
                LocalResult::None => return None,
            },
        };
        Some(Self { date, micros, offset })
    }

    /// Reads `12:34:56.789`, with or without an offset, which means nothing without a date.
    pub(super) fn time(text: &str) -> Option<ScalarValue> {
        let ends = text.find(|c: char| !matches!(c, '0'..='9' | ':' | '.')).unwrap_or(text.len());
        let zone = text[ends..].trim();
        if !(zone.is_empty() || zone.eq_ignore_ascii_case("z") || offset(zone).is_some()) {
            return None;
        }
        clock_micros(&text[..ends]).map(|micros| ScalarValue::Time64Microsecond(Some(micros)))
    }

    pub(super) fn date(self) -> Option<ScalarValue> {
        i32::try_from(self.days()).ok().map(|days| ScalarValue::Date32(Some(days)))
    }

    fn days(self) -> i64 {
        self.date.signed_duration_since(NaiveDate::default()).num_days()
    }

    /// The timestamp. In a column without a zone the offset is ignored, as in PostgreSQL: the written local time
    /// counts. In one with a zone it determines the instant, and without an offset the local time is that of the zone.
    pub(super) fn timestamp(self, zone: Option<&Arc<str>>) -> Option<ScalarValue> {
        let offset = if zone.is_some() { self.offset } else { None };
        let local = self.days().checked_mul(DAY)?.checked_add(self.micros)?;
        let instant = local.checked_sub(i64::from(offset.unwrap_or(0)) * SECOND)?;
        let value = ScalarValue::TimestampMicrosecond(Some(instant), None);
        let unit = TimeUnit::Microsecond;
        match (zone, offset) {
            (None, _) => Some(value),
            (Some(zone), None) => value.cast_to(&DataType::Timestamp(unit, Some(Arc::clone(zone)))).ok(),
            (Some(zone), Some(_)) => {
                let utc = value.cast_to(&DataType::Timestamp(unit, Some("UTC".into()))).ok()?;
                utc.cast_to(&DataType::Timestamp(unit, Some(Arc::clone(zone)))).ok()
            }
        }
    }
}

fn number(digits: &str) -> Option<u32> {
    let is_number = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// `12:34`, `12:34:56`, `12:34:56.789`.
fn clock_micros(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hours, minutes, seconds) = (number(parts.next()?)?, number(parts.next()?)?, parts.next().unwrap_or("0"));
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let seconds = number(seconds)?;
    if minutes > 59 || seconds > 59 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros = i64::from(hours * 3600 + minutes * 60 + seconds) * SECOND + micros(fraction);
    (micros <= DAY).then_some(micros)
}

/// `+01`, `-05:30`, `+0530`, `+05:30:15`.
fn offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 1 | 2 | 4 | 6) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part =
        |i: usize| digits.get(2 * i..digits.len().min(2 * i + 2)).and_then(|part| part.parse().ok()).unwrap_or(0);
    let (hours, minutes, seconds): (i32, i32, i32) = (part(0), part(1), part(2));
    (hours < 16 && minutes < 60 && seconds < 60).then(|| sign * (hours * 3600 + minutes * 60 + seconds))
}
