//! The event time of a record, read from its value alone, for pacing. The layers decode for themselves.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::datatypes::TimeUnit;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use dovetail_core::pipeline::{Format, Stream};
use dovetail_ingestion::formats::split_line;
use serde_json::Value;
use serde_json::value::RawValue;

const WITH_OFFSET: &[&str] = &["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"];
const WITHOUT_OFFSET: &[&str] = &["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

/// Finds the event time in a stream's values.
#[derive(Debug)]
pub struct EventTime {
    column: String,
    /// The column's index, for a stream of CSV.
    index: Option<usize>,
    delimiter: u8,
    zone: Tz,
    formats: Vec<String>,
    unit: TimeUnit,
}

impl EventTime {
    /// The reader for a stream with the option `event_time`; none for another.
    pub fn of(stream: &Stream) -> Option<Self> {
        let column = stream.options.event_time.clone()?;
        let index = match stream.format {
            Format::Json | Format::Text => None,
            Format::Csv => Some(stream.columns.column_with_name(&column)?.0),
        };
        Some(Self {
            column,
            index,
            delimiter: stream.options.delimiter.unwrap_or(b','),
            zone: stream.options.timezone.unwrap_or(Tz::UTC),
            formats: stream.options.timestamp_formats.clone(),
            unit: stream.options.timestamp_unit,
        })
    }

    /// Milliseconds since the epoch; none when `value` has no readable time.
    pub fn read_ms(&self, value: &[u8]) -> Option<i64> {
        match self.index {
            Some(index) => self.parse_ms(&csv_cell(value, index, self.delimiter)?),
            None => self.parse_json_ms(value),
        }
    }

    fn parse_json_ms(&self, value: &[u8]) -> Option<i64> {
        let fields: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(value).ok()?;
        match serde_json::from_str(fields.get(self.column.as_str())?.get()).ok()? {
            Value::String(text) => self.parse_ms(&text),
            Value::Number(number) => self.count_ms(number.as_i64()?),
            _ => None,
        }
    }

    fn parse_ms(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(time.timestamp_millis());
        }
        let formats = || self.formats.iter().map(String::as_str);
        let with_offset = formats().chain(WITH_OFFSET.iter().copied());
        if let Some(time) = with_offset.into_iter().find_map(|format| DateTime::parse_from_str(text, format).ok()) {
            return Some(time.timestamp_millis());
        }
        let naive = formats()
            .chain(WITHOUT_OFFSET.iter().copied())
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| formats().chain(["%Y-%m-%d"]).find_map(|format| midnight(text, format)));
        match naive {
            Some(naive) => self.instant_ms(naive),
            None => self.count_ms(text.parse().ok()?),
        }
    }

    /// The instant of a local time: the first of one that occurs twice, an hour later for one that the clocks skip.
    fn instant_ms(&self, naive: NaiveDateTime) -> Option<i64> {
        let instant = |naive: &NaiveDateTime| self.zone.from_local_datetime(naive).earliest();
        let time = instant(&naive).or_else(|| instant(&(naive + TimeDelta::hours(1))))?;
        Some(time.with_timezone(&Utc).timestamp_millis())
    }

    fn count_ms(&self, count: i64) -> Option<i64> {
        match self.unit {
            TimeUnit::Second => count.checked_mul(1_000),
            TimeUnit::Millisecond => Some(count),
            TimeUnit::Microsecond => Some(count.div_euclid(1_000)),
            TimeUnit::Nanosecond => Some(count.div_euclid(1_000_000)),
        }
    }
}

fn midnight(text: &str, format: &str) -> Option<NaiveDateTime> {
    NaiveDate::parse_from_str(text, format).ok()?.and_hms_opt(0, 0, 0)
}

fn csv_cell(line: &[u8], index: usize, delimiter: u8) -> Option<Cow<'_, str>> {
    let cells = split_line(std::str::from_utf8(line).ok()?, index + 1, char::from(delimiter)).ok()?;
    cells.into_iter().nth(index)
}

#[cfg(test)]
mod tests {
    use super::super::tests::stream;
    use super::*;

    fn check(value: &str, expected: Option<&str>) {
        let mut stream = stream(Format::Json, &["at", "x"]);
        stream.options.event_time = Some("at".into());
        stream.options.timezone = Some(Tz::America__New_York);
        stream.options.timestamp_formats = vec!["%m/%d/%Y %I:%M:%S %p".into()];
        let expected = expected.map(|time| DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis());
        assert_eq!(EventTime::of(&stream).unwrap().read_ms(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn times_are_read_as_streams_write_them() {
        check(r#"{"at":"2026-03-01T12:00:00.123Z"}"#, Some("2026-03-01T12:00:00.123Z"));
        check(r#"{"at":"2026-03-01T12:00:00.5+0100"}"#, Some("2026-03-01T11:00:00.5Z"));
        check(r#"{"x":{"at":1},"at":"2026-07-01T12:00:00.000"}"#, Some("2026-07-01T16:00:00Z"));
        check(r#"{"at":"03/01/2011 02:27:57 PM"}"#, Some("2011-03-01T19:27:57Z"));
        check(r#"{"at":"2026-03-01"}"#, Some("2026-03-01T05:00:00Z"));
        check(r#"{"at":1700000000123}"#, Some("2023-11-14T22:13:20.123Z"));
        check(r#"{"at":"1700000000123"}"#, Some("2023-11-14T22:13:20.123Z"));
    }

    #[test]
    fn local_times_at_the_change_of_the_clocks() {
        check(r#"{"at":"2026-11-01T01:30:00"}"#, Some("2026-11-01T05:30:00Z"));
        check(r#"{"at":"2026-03-08T02:30:00"}"#, Some("2026-03-08T07:30:00Z"));
    }

    #[test]
    fn a_value_without_a_time_has_none() {
        for value in [r#"{"x":1}"#, r#"{"at":null}"#, r#"{"at":"soon"}"#, r#"{"at":"#, "[]", ""] {
            check(value, None);
        }
    }

    #[test]
    fn a_csv_line_has_its_time_in_a_cell() {
        let mut stream = stream(Format::Csv, &["x", "at"]);
        stream.options.event_time = Some("at".into());
        let time = EventTime::of(&stream).unwrap();
        assert_eq!(time.read_ms(b"\"a,b\",1970-01-01T00:00:02Z"), Some(2_000));
        assert_eq!(time.read_ms(b"\"a,b\""), None);
    }
}
