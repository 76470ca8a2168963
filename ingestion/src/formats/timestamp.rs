//! Timestamps from text.
//!
//! | text | meaning |
//! |---|---|
//! | a text in one of the stream's formats | an instant when the format has an offset or `%s`, else local time |
//! | ISO 8601 with `Z`, an offset or a zone's name | that instant |
//! | ISO 8601 without, or a date alone | local time of the stream's zone, UTC when it has none |
//! | a number | so many units since the epoch |
//!
//! They are tried in this order. [`super::zone`] decides about local times that exist twice or never. A finer time than
//! the column's type is rounded as [`dovetail_core::texts::micros`] does: a text of nanoseconds to the nearest
//! microsecond.

use std::ops::Range;

use arrow::datatypes::{Decimal128Type, TimeUnit};
use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems};
use chrono::{NaiveDate, NaiveTime, Timelike};
use chrono_tz::Tz;
use dovetail_core::pipeline::StreamOptions;
use dovetail_core::texts::{decimal, in_unit, micros, micros_of_nanos};

use super::zone::{self, Zone};

const NANOS: i64 = 1_000_000_000;
const MICROS: i64 = 1_000_000;
/// Number of digits behind a second's point that are read from a number with a fraction.
const FINEST_DIGITS: u32 = 15;
/// The seconds of the years 1 to 9999, which every client can print and read.
const YEARS: Range<i64> = -62_135_596_800..253_402_300_800;

/// Reads the timestamps of one stream.
#[derive(Debug)]
pub(super) struct TimestampReader {
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
}

/// A time as written: seconds since the epoch and microseconds, which after rounding may be a whole second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParsedTimestamp {
    Instant(i64, i64),
    /// Seconds of a local time, as if its zone were UTC.
    Local(i64, i64),
    InZone(Tz, i64, i64),
}

impl TimestampReader {
    /// Parses the stream's formats. The error is the first one that is none.
    pub(super) fn new(options: &StreamOptions) -> Result<Self, String> {
        let formats =
            options.timestamp_formats.iter().map(|format| TimeFormat::new(format)).collect::<Result<_, _>>()?;
        Ok(Self { zone: options.timezone.map(Zone::new), formats, unit: options.timestamp_unit })
    }

    /// The time in `unit`s since the epoch.
    pub(super) fn read(&mut self, text: &str, unit: TimeUnit) -> Result<i64, Unreadable> {
        let text = text.trim_ascii();
        let reading = self
            .formats
            .iter()
            .find_map(|format| format.read(text))
            .or_else(|| iso(text))
            .or_else(|| number(text, self.unit))
            .ok_or(Unreadable::Text)?;
        let (seconds, micros) = self.instant(reading).ok_or(Unreadable::BeyondYears)?;
        let value = in_unit(seconds, micros, unit).filter(|value| YEARS.contains(&value.div_euclid(per_second(unit))));
        value.ok_or(Unreadable::BeyondYears)
    }

    fn instant(&mut self, reading: ParsedTimestamp) -> Option<(i64, i64)> {
        match (reading, &mut self.zone) {
            (ParsedTimestamp::Instant(seconds, micros), _) | (ParsedTimestamp::Local(seconds, micros), None) => {
                Some((seconds, micros))
            }
            (ParsedTimestamp::Local(seconds, micros), Some(zone)) => {
                let (seconds, micros) = carried(seconds, micros);
                Some((zone.instant(seconds)?, micros))
            }
            (ParsedTimestamp::InZone(tz, seconds, micros), _) => {
                let (seconds, micros) = carried(seconds, micros);
                Some((zone::instant(tz, seconds)?, micros))
            }
        }
    }
}

/// A whole second of microseconds is the clock's next second.
fn carried(seconds: i64, micros: i64) -> (i64, i64) {
    (seconds + micros / MICROS, micros % MICROS)
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

    fn read(&self, text: &str) -> Option<ParsedTimestamp> {
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, text, self.items.iter()).ok()?;
        if self.instant {
            let instant = parsed.to_datetime().ok()?;
            return Some(ParsedTimestamp::Instant(instant.timestamp(), fraction(instant.nanosecond())));
        }
        let local = parsed
            .to_naive_datetime_with_offset(0)
            .or_else(|_| parsed.to_naive_date().map(|date| date.and_time(NaiveTime::MIN)))
            .ok()?;
        Some(ParsedTimestamp::Local(local.and_utc().timestamp(), fraction(local.nanosecond())))
    }
}

/// Microseconds of a time that `chrono` read, which counts a leap second's nanoseconds on.
fn fraction(nanos: u32) -> i64 {
    micros_of_nanos(nanos.min(NANOS as u32 - 1))
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
fn iso(text: &str) -> Option<ParsedTimestamp> {
    let bytes = text.as_bytes();
    let date = bytes.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = two(date, 0)? * 100 + two(date, 2)?;
    let date = NaiveDate::from_ymd_opt(year as i32, two(date, 5)?, two(date, 8)?)?;
    let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp();
    match bytes.get(10) {
        None => return Some(ParsedTimestamp::Local(midnight, 0)),
        Some(b'T' | b't' | b' ') => {}
        Some(_) => return None,
    }
    if bytes.get(13) != Some(&b':') {
        return None;
    }
    let (second, micros, end) = seconds(text)?;
    let (hour, minute) = (two(bytes, 11)?, two(bytes, 14)?);
    // 60 is a leap second: it counts as the one after it, as in every clock that does not know them.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = midnight + i64::from(hour * 3600 + minute * 60 + second);
    // All before `end` is ASCII, so the text can be cut there.
    zoned(text.get(end..)?, local, micros)
}

/// Reads the seconds and microseconds of `..HH:MM[:SS[.fraction]]`; also returns the end of the text read.
fn seconds(text: &str) -> Option<(u32, i64, usize)> {
    let bytes = text.as_bytes();
    if bytes.get(16) != Some(&b':') {
        return Some((0, 0, 16));
    }
    let second = two(bytes, 17)?;
    if !matches!(bytes.get(19), Some(b'.' | b',')) {
        return Some((second, 0, 19));
    }
    let digits = bytes[20..].iter().take_while(|b| b.is_ascii_digit()).count();
    (digits > 0).then_some((second, micros(text.get(20..20 + digits)?), 20 + digits))
}

fn zoned(zone: &str, local: i64, micros: i64) -> Option<ParsedTimestamp> {
    match zone {
        "" => return Some(ParsedTimestamp::Local(local, micros)),
        "Z" | "z" => return Some(ParsedTimestamp::Instant(local, micros)),
        _ => {}
    }
    let zone = zone.trim_ascii_start();
    match zone.as_bytes() {
        [sign @ (b'+' | b'-'), offset @ ..] => {
            let ahead = offset_seconds(offset)?;
            Some(ParsedTimestamp::Instant(if *sign == b'+' { local - ahead } else { local + ahead }, micros))
        }
        _ => zone.parse().ok().map(|tz| ParsedTimestamp::InZone(tz, local, micros)),
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
fn number(text: &str, unit: TimeUnit) -> Option<ParsedTimestamp> {
    let per_second = per_second(unit);
    if let Ok(count) = text.parse::<i64>() {
        let nanos = count.rem_euclid(per_second) * (NANOS / per_second);
        return Some(ParsedTimestamp::Instant(count.div_euclid(per_second), micros_of_nanos(nanos as u32)));
    }
    let is_number = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|_| is_number)?;
    // Read by its digits: a double holds seconds of today to some hundred nanoseconds.
    let scale = FINEST_DIGITS - per_second.ilog10();
    let finest = i8::try_from(scale).ok().and_then(|scale| decimal::<Decimal128Type>(text, 38, scale));
    let second = 10_i128.pow(FINEST_DIGITS);
    let seconds = finest.and_then(|finest| i64::try_from(finest.div_euclid(second)).ok());
    let (Some(finest), Some(seconds)) = (finest, seconds) else { return Some(ParsedTimestamp::Instant(i64::MAX, 0)) };
    let fraction = format!("{:0digits$}", finest.rem_euclid(second), digits = FINEST_DIGITS as usize);
    Some(ParsedTimestamp::Instant(seconds, micros(&fraction)))
}
