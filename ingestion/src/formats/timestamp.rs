//! Timestamps from text.
//!
//! | text | meaning |
//! |---|---|
//! | a text in one of the stream's formats | an instant when the format has an offset or `%s`, else local time |
//! | ISO 8601 with `Z`, an offset or a zone's name | that instant |
//! | ISO 8601 without, or a date alone | local time of the stream's zone, UTC when it has none |
//! | a number | so many units since the epoch |
//!
//! They are tried in this order. [`super::zone`] decides about local times that exist twice or never.

use std::ops::Range;

use arrow::datatypes::{Decimal128Type, TimeUnit};
use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems};
use chrono::{NaiveDate, NaiveTime, Timelike};
use chrono_tz::Tz;
use dovetail_core::pipeline::StreamOptions;
use dovetail_core::texts::decimal;

use super::zone::{self, Zone};

const NANOS: i64 = 1_000_000_000;
/// The seconds of the years 1 to 9999, which every client can print and read.
const YEARS: Range<i64> = -62_135_596_800..253_402_300_800;

/// Reads the timestamps of one stream.
#[derive(Debug)]
pub(super) struct Timestamps {
    zone: Option<Zone>,
    formats: Vec<TimeFormat>,
    /// The unit of numbers.
    unit: TimeUnit,
}

#[derive(Debug)]
struct TimeFormat {
    items: Vec<Item<'static>>,
    instant: bool,
}

/// The reason why a text is no timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    Text,
    /// The time's year has not four digits: most often a number in another unit than the stream's.
    BeyondYears,
    /// The time is beyond the range of its column's type.
    OutOfRange,
}

/// A time as written: seconds since the epoch and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Instant(i64, u32),
    /// Seconds of a local time, as if its zone were UTC.
    Local(i64, u32),
    InZone(Tz, i64, u32),
}

impl Timestamps {
    /// Parses the stream's formats. The error is the first one that is none.
    pub(super) fn new(options: &StreamOptions) -> Result<Self, String> {
        let formats =
            options.timestamp_formats.iter().map(|format| TimeFormat::new(format)).collect::<Result<_, _>>()?;
        Ok(Self { zone: options.timezone.map(Zone::new), formats, unit: options.timestamp_unit })
    }

    /// `unit`s since the epoch, rounded down.
    pub(super) fn read(&mut self, text: &str, unit: TimeUnit) -> Result<i64, Unreadable> {
        let text = text.trim_ascii();
        let reading = self
            .formats
            .iter()
            .find_map(|format| format.read(text))
            .or_else(|| iso(text))
            .or_else(|| number(text, self.unit))
            .ok_or(Unreadable::Text)?;
        let (seconds, nanos) = self.instant(reading).ok_or(Unreadable::BeyondYears)?;
        if !YEARS.contains(&seconds) {
            return Err(Unreadable::BeyondYears);
        }
        in_unit(seconds, nanos, unit).ok_or(Unreadable::OutOfRange)
    }

    fn instant(&mut self, reading: Reading) -> Option<(i64, u32)> {
        match (reading, &mut self.zone) {
            (Reading::Instant(seconds, nanos), _) | (Reading::Local(seconds, nanos), None) => Some((seconds, nanos)),
            (Reading::Local(seconds, nanos), Some(zone)) => Some((zone.instant(seconds)?, nanos)),
            (Reading::InZone(tz, seconds, nanos), _) => Some((zone::instant(tz, seconds)?, nanos)),
        }
    }
}

fn in_unit(seconds: i64, nanos: u32, unit: TimeUnit) -> Option<i64> {
    let per_second = per_second(unit);
    let fraction = i64::from(nanos) / (NANOS / per_second);
    match seconds.checked_mul(per_second) {
        Some(whole) => whole.checked_add(fraction),
        // Only the first second of nanoseconds' range: its start is out of reach, its end is not.
        None => seconds.checked_add(1)?.checked_mul(per_second)?.checked_sub(per_second - fraction),
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => NANOS,
    }
}

impl TimeFormat {
    fn new(format: &str) -> Result<Self, String> {
        let items = StrftimeItems::new(format)
            .parse_to_owned()
            .map_err(|_| format!("the timestamp_format `{format}` is none; write one like `%m/%d/%Y %H:%M:%S`"))?;
        let instant = items.iter().any(is_instant);
        Ok(Self { items, instant })
    }

    fn read(&self, text: &str) -> Option<Reading> {
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, text, self.items.iter()).ok()?;
        if self.instant {
            let instant = parsed.to_datetime().ok()?;
            return Some(Reading::Instant(instant.timestamp(), instant.nanosecond().min(NANOS as u32 - 1)));
        }
        let local = parsed
            .to_naive_datetime_with_offset(0)
            .or_else(|_| parsed.to_naive_date().map(|date| date.and_time(NaiveTime::MIN)))
            .ok()?;
        Some(Reading::Local(local.and_utc().timestamp(), local.nanosecond().min(NANOS as u32 - 1)))
    }
}

/// Whether a format with this item determines an instant. `%Z` does not: its names are ambiguous.
fn is_instant(item: &Item<'_>) -> bool {
    match item {
        Item::Numeric(Numeric::Timestamp, _) => true,
        Item::Fixed(fixed) => !matches!(
            fixed,
            Fixed::ShortMonthName
                | Fixed::LongMonthName
                | Fixed::ShortWeekdayName
                | Fixed::LongWeekdayName
                | Fixed::LowerAmPm
                | Fixed::UpperAmPm
                | Fixed::Nanosecond
                | Fixed::Nanosecond3
                | Fixed::Nanosecond6
                | Fixed::Nanosecond9
                | Fixed::Internal(_)
                | Fixed::TimezoneName
        ),
        _ => false,
    }
}

/// Reads `YYYY-MM-DD`, optionally with `T` or a space, `HH:MM[:SS[.fraction]]` and a zone.
fn iso(text: &str) -> Option<Reading> {
    let bytes = text.as_bytes();
    let date = bytes.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = two(date, 0)? * 100 + two(date, 2)?;
    let date = NaiveDate::from_ymd_opt(year as i32, two(date, 5)?, two(date, 8)?)?;
    let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp();
    match bytes.get(10) {
        None => return Some(Reading::Local(midnight, 0)),
        Some(b'T' | b't' | b' ') => {}
        Some(_) => return None,
    }
    if bytes.get(13) != Some(&b':') {
        return None;
    }
    let (second, nanos, end) = seconds(bytes)?;
    let (hour, minute) = (two(bytes, 11)?, two(bytes, 14)?);
    // 60 is a leap second: it counts as the one after it, as in every clock that does not know them.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = midnight + i64::from(hour * 3600 + minute * 60 + second);
    // All before `end` is ASCII, so the text can be cut there.
    zoned(text.get(end..)?, local, nanos)
}

/// Reads the seconds and nanoseconds of `..HH:MM[:SS[.fraction]]`; also returns the end of the text read.
fn seconds(bytes: &[u8]) -> Option<(u32, u32, usize)> {
    if bytes.get(16) != Some(&b':') {
        return Some((0, 0, 16));
    }
    let second = two(bytes, 17)?;
    if !matches!(bytes.get(19), Some(b'.' | b',')) {
        return Some((second, 0, 19));
    }
    let digits = bytes[20..].iter().take_while(|b| b.is_ascii_digit()).count();
    let nanos = bytes[20..20 + digits.min(9)].iter().fold(0, |nanos, b| nanos * 10 + u32::from(b - b'0'));
    let missing = 9_u32.saturating_sub(digits as u32);
    (digits > 0).then(|| (second, nanos * 10_u32.pow(missing), 20 + digits))
}

fn zoned(zone: &str, local: i64, nanos: u32) -> Option<Reading> {
    match zone {
        "" => return Some(Reading::Local(local, nanos)),
        "Z" | "z" => return Some(Reading::Instant(local, nanos)),
        _ => {}
    }
    let zone = zone.trim_ascii_start();
    match zone.as_bytes() {
        [sign @ (b'+' | b'-'), offset @ ..] => {
            let ahead = offset_seconds(offset)?;
            Some(Reading::Instant(if *sign == b'+' { local - ahead } else { local + ahead }, nanos))
        }
        _ => zone.parse().ok().map(|tz| Reading::InZone(tz, local, nanos)),
    }
}

/// Reads an offset `HH`, `HHMM` or `HH:MM`.
fn offset_seconds(offset: &[u8]) -> Option<i64> {
    let minutes = match offset {
        [_, _] => 0,
        [_, _, _, _] => two(offset, 2)?,
        [_, _, b':', _, _] => two(offset, 3)?,
        _ => return None,
    };
    let hours = two(offset, 0)?;
    (hours < 24 && minutes < 60).then(|| i64::from(hours * 3600 + minutes * 60))
}

/// The number of two digits at `at`.
fn two(bytes: &[u8], at: usize) -> Option<u32> {
    match *bytes.get(at..at + 2)? {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(u32::from(a - b'0') * 10 + u32::from(b - b'0')),
        _ => None,
    }
}

/// Reads a number of `unit`s since the epoch, optionally with a fraction or an exponent.
fn number(text: &str, unit: TimeUnit) -> Option<Reading> {
    let per_second = per_second(unit);
    if let Ok(count) = text.parse::<i64>() {
        let nanos = count.rem_euclid(per_second) * (NANOS / per_second);
        return Some(Reading::Instant(count.div_euclid(per_second), nanos as u32));
    }
    let is_number = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|_| is_number)?;
    // Read by its digits: a double holds seconds of today to some hundred nanoseconds.
    let scale = (NANOS / per_second).ilog10();
    let nanos = i8::try_from(scale).ok().and_then(|scale| decimal::<Decimal128Type>(text, 38, scale));
    let seconds = nanos.and_then(|nanos| i64::try_from(nanos.div_euclid(i128::from(NANOS))).ok());
    let (Some(nanos), Some(seconds)) = (nanos, seconds) else { return Some(Reading::Instant(i64::MAX, 0)) };
    Some(Reading::Instant(seconds, nanos.rem_euclid(i128::from(NANOS)) as u32))
}
