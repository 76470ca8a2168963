//! Text as a timestamp, as PostgreSQL reads it: seconds and leading zeros may be missing, `24:00` is the next day. An
//! offset or a zone in the text is ignored where the type has no zone, and gives the instant where it has one. A finer
//! time than the type's is rounded as [`crate::texts::micros`] does.
//!
//! Each text is read by itself: its meaning must not depend on the other texts of its batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, exec_err};

use super::super::zone::SqlZone;
use super::plainly;
use crate::texts;

const MICROS: i64 = 1_000_000;

pub(super) fn read(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, zone) = to else { return exec_err!("`{to}` is no timestamp") };
    let texts = plainly(array, &DataType::Utf8)?;
    let mut reader =
        MomentReader { unit: *unit, zone: zone.as_deref().map(SqlZone::parse).transpose()?, last_named: None };
    let instants = texts.as_string::<i32>().iter().map(|text| text.map(|text| reader.instant(text)).transpose());
    let instants: ArrayRef = Arc::new(instants.collect::<Result<Int64Array>>()?);
    plainly(&instants, &DataType::Timestamp(*unit, zone.clone()))
}

struct MomentReader {
    unit: TimeUnit,
    /// The type's zone.
    zone: Option<SqlZone>,
    /// The zone that a text named last.
    last_named: Option<(String, SqlZone)>,
}

impl MomentReader {
    fn instant(&mut self, text: &str) -> Result<i64> {
        let moment = ParsedMoment::read(text).ok_or_else(|| invalid(text))?;
        let seconds = match (moment.zone(), &mut self.zone) {
            (WrittenMoment::Nothing, None) => moment.seconds,
            (WrittenMoment::Nothing, Some(zone)) => zone.instant(moment.seconds)?,
            (WrittenMoment::Offset(ahead), zone) => moment.seconds - if zone.is_some() { ahead } else { 0 },
            (WrittenMoment::Name(name), None) => {
                self.named(name).map_err(|_| invalid(text))?;
                moment.seconds
            }
            (WrittenMoment::Name(name), Some(_)) => {
                self.named(name).map_err(|_| invalid(text))?.instant(moment.seconds)?
            }
            (WrittenMoment::Garbage, _) => return Err(invalid(text)),
        };
        let instant = texts::in_unit(seconds, moment.micros, self.unit);
        instant.ok_or_else(|| exec_datafusion_err!("timestamp out of range: \"{text}\""))
    }

    fn named(&mut self, name: &str) -> Result<&mut SqlZone> {
        let known = self.last_named.take().filter(|(last, _)| last == name);
        let zone = match known {
            Some(known) => known,
            None => (name.to_owned(), SqlZone::parse(name)?),
        };
        Ok(&mut self.last_named.insert(zone).1)
    }
}

fn invalid(text: &str) -> DataFusionError {
    exec_datafusion_err!("invalid input syntax for type timestamp: \"{text}\"")
}

/// A timestamp's text, read into its parts.
#[derive(Debug, PartialEq, Eq)]
struct ParsedMoment<'t> {
    /// Seconds since 1970 of the written local time, as if it were UTC.
    seconds: i64,
    /// Microseconds, 0 to 999,999.
    micros: i64,
    /// The text behind the time of day.
    rest: &'t str,
}

#[derive(Debug, PartialEq, Eq)]
enum WrittenMoment<'t> {
    Nothing,
    /// Seconds ahead of UTC.
    Offset(i64),
    Name(&'t str),
    Garbage,
}

/// Abbreviations that PostgreSQL knows as offsets, in hours; read as zones, some of them would have summer times.
const ABBREVIATIONS: [(&str, i64); 17] = [
    ("Z", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("WET", 0),
    ("CET", 1),
    ("MET", 1),
    ("CEST", 2),
    ("EET", 2),
    ("EEST", 3),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

impl<'t> ParsedMoment<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let text = text.trim_ascii();
        let (date, rest) = match text.find(['T', 't', ' ']) {
            Some(end) => (&text[..end], text[end + 1..].trim_ascii_start()),
            None => (text, ""),
        };
        let midnight = i64::from(texts::date(date)?) * 86_400;
        let ends = rest.find(|c: char| !matches!(c, '0'..='9' | ':' | '.')).unwrap_or(rest.len());
        let (clock, rest) = rest.split_at(ends);
        let (seconds, micros) = if clock.is_empty() { (0, 0) } else { clock_of(clock)? };
        // A whole second after rounding is the clock's next one.
        let seconds = midnight + seconds + micros / MICROS;
        Some(Self { seconds, micros: micros % MICROS, rest: rest.trim_ascii_start() })
    }

    fn zone(&self) -> WrittenMoment<'t> {
        let text = self.rest;
        let first = text.bytes().next();
        match first {
            None => WrittenMoment::Nothing,
            Some(b'+' | b'-') => offset(text).map_or(WrittenMoment::Garbage, WrittenMoment::Offset),
            Some(first) if first.is_ascii_alphabetic() => {
                let known = ABBREVIATIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
                known.map_or(WrittenMoment::Name(text), |(_, hours)| WrittenMoment::Offset(hours * 3600))
            }
            Some(_) => WrittenMoment::Garbage,
        }
    }
}

/// Reads a number of at most two digits, below `end`.
fn part(text: &str, end: i64) -> Option<i64> {
    let fits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok().filter(|part| *part < end) } else { None }
}

/// Reads `12:34[:56[.789]]` as seconds and microseconds; up to 24:00:00, and a 60th second is the next minute's first.
fn clock_of(text: &str) -> Option<(i64, i64)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let (hour, minute) = (part(parts.next()?, 25)?, part(parts.next()?, 60)?);
    let second = match parts.next() {
        Some(second) => part(second, 61)?,
        None if text.contains('.') => return None,
        None => 0,
    };
    if parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros = texts::micros(fraction);
    let seconds = hour * 3600 + minute * 60 + second;
    (seconds < 86_400 || (seconds == 86_400 && micros == 0)).then_some((seconds, micros))
}

/// Reads `+02`, `-0530`, `+05:30`, `-04:56:02`, less than sixteen hours.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("-", digits) => (-1, digits),
        (_, digits) => (1, digits),
    };
    let parts: Vec<&str> = match digits.len() {
        4 if !digits.contains(':') => vec![digits.get(..2)?, digits.get(2..)?],
        _ => digits.split(':').collect(),
    };
    let [hours, rest @ ..] = parts.as_slice() else { return None };
    let rest: Vec<i64> = rest.iter().map(|text| part(text, 60)).collect::<Option<_>>()?;
    let seconds = match rest.as_slice() {
        [] => 0,
        [minutes] => minutes * 60,
        [minutes, seconds] => minutes * 60 + seconds,
        _ => return None,
    };
    Some(sign * (part(hours, 16)? * 3600 + seconds))
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    fn read_one(text: &str, zone: Option<&str>) -> Option<i64> {
        read_in(text, TimeUnit::Second, zone)
    }

    fn read_in(text: &str, unit: TimeUnit, zone: Option<&str>) -> Option<i64> {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let to = DataType::Timestamp(unit, zone.map(Into::into));
        let read = read(&texts, &to).ok()?;
        Some(plainly(&read, &DataType::Int64).unwrap().as_primitive::<arrow::datatypes::Int64Type>().value(0))
    }

    /// The answers are PostgreSQL 15's.
    #[test]
    fn texts_are_rounded_to_the_microsecond() {
        for (text, micros) in [
            ("2026-03-01 00:00:00.1234565", 1_772_323_200_123_456),
            ("2026-03-01 00:00:00.123456501", 1_772_323_200_123_457),
            ("2026-02-28 23:59:59.9999995", 1_772_323_200_000_000),
            ("0001-01-01 00:00:00.000001", -62_135_596_799_999_999),
            ("9999-12-31 23:59:59.999999", 253_402_300_799_999_999),
        ] {
            assert_eq!(read_in(text, TimeUnit::Microsecond, None), Some(micros), "{text}");
            assert_eq!(read_in(text, TimeUnit::Microsecond, Some("UTC")), Some(micros), "{text}");
        }
    }

    /// 1772323200 is 2026-03-01 in UTC. The answers are PostgreSQL 15's.
    #[test]
    fn texts_are_read_as_postgresql_reads_them() {
        const DAY: i64 = 1_772_323_200;
        for (text, local, instant) in [
            ("2026-03-01", DAY, DAY),
            ("20260301", DAY, DAY),
            (" 2026-3-1  9:05 ", DAY + 32_700, DAY + 32_700),
            ("2026-03-01T10:00:00.5", DAY + 36_001, DAY + 36_001),
            ("2026-03-01 10:00+02", DAY + 36_000, DAY + 28_800),
            ("2026-03-01 10:00 -05:30", DAY + 36_000, DAY + 55_800),
            ("2026-03-01 10:00 America/New_York", DAY + 36_000, DAY + 54_000),
            ("2026-03-08 02:30 America/New_York", DAY + 7 * 86_400 + 9_000, DAY + 7 * 86_400 + 27_000),
            ("2026-03-01 10:00 CET", DAY + 36_000, DAY + 32_400),
            ("2026-03-01 24:00", DAY + 86_400, DAY + 86_400),
            ("2026-03-01 23:59:60", DAY + 86_400, DAY + 86_400),
        ] {
            assert_eq!((read_one(text, None), read_one(text, Some("UTC"))), (Some(local), Some(instant)), "{text}");
        }
        for text in [
            "",
            "today",
            "-NaN",
            "2026-03-01 10",
            "2026-03-01 10:00:00 nonsense",
            "2026-03-01 10:11:12.32 34567",
            "2026-03-01 10:00+16",
            "2026-03-01 10:00+14:60",
            "2026-03-01 25:00",
            "2026-03-01 24:00:01",
            "2026-02-29",
            "0000-01-01",
            "-0001-01-01",
            "1 Mar 2026",
            "2026-03-01 10:00.5",
            "2026-03-01 10:00:00,5",
        ] {
            assert_eq!((read_one(text, None), read_one(text, Some("UTC"))), (None, None), "{text}");
        }
    }
}
