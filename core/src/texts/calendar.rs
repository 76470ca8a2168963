//! Dates and times of the day from text. Every value read can be printed: years have four digits, days 24 hours.

use arrow::compute::kernels::cast_utils::string_to_time_nanoseconds;
use chrono::NaiveDate;

use super::rounding::micros_of_nanos;

const NANOS: i64 = 1_000_000_000;
const DAY_NANOS: i64 = 86_400 * NANOS;
/// Number of days from the calendar's first one to 1970.
const EPOCH: i32 = 719_163;

/// Days since 1970 of `2026-03-01`, `2026-3-1` or `20260301`; a time behind the date is ignored, with its zone.
pub fn date(text: &str) -> Option<i32> {
    let text = text.trim_ascii();
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    if time.is_some_and(|time| !is_time(time)) {
        return None;
    }
    let (year, month, day) = match date.split_once('-') {
        Some((year, rest)) => (year, rest.split_once('-')?.0, rest.split_once('-')?.1),
        None if date.len() == 8 && date.is_ascii() => (&date[..4], &date[4..6], &date[6..]),
        None => return None,
    };
    let of = |digits: &str, most: usize| {
        let fits = (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if fits { digits.parse::<u32>().ok() } else { None }
    };
    let year = of(year, 4).filter(|number| year.len() == 4 && *number > 0)?;
    let date = NaiveDate::from_ymd_opt(year.cast_signed(), of(month, 2)?, of(day, 2)?)?;
    Some(chrono::Datelike::num_days_from_ce(&date) - EPOCH)
}

/// Whether `text` is a time, perhaps with a zone, so that a date may stand in front of it.
fn is_time(text: &str) -> bool {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | ':' | '.' | ',')).unwrap_or(text.len());
    let (clock, zone) = text.split_at(end);
    let clock = clock.replace(',', ".");
    let leaps = || clock.strip_suffix("60").is_some_and(|minute| time(&format!("{minute}59")).is_some());
    (time(&clock).is_some() || leaps()) && zone.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// Nanoseconds since midnight; `None` when `text` is no time.
pub fn time(text: &str) -> Option<i64> {
    string_to_time_nanoseconds(text.trim_ascii()).ok().filter(|nanos| (0..DAY_NANOS).contains(nanos))
}

/// Microseconds since midnight; `None` when `text` is no time. A time that rounds up to midnight is the day's last
/// microsecond: no type here has PostgreSQL's 24:00.
pub fn time_micros(text: &str) -> Option<i64> {
    let nanos = time(text)?;
    let micros = nanos / NANOS * 1_000_000 + micros_of_nanos((nanos % NANOS) as u32);
    Some(micros.min(DAY_NANOS / 1_000 - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_microseconds() {
        for (text, micros) in [
            ("00:00:00.0000005", Some(0)),
            ("00:00:00.0000015", Some(2)),
            ("14:02:42.123456789", Some(50_562_123_457)),
            ("23:59:59.9999994", Some(86_399_999_999)),
            ("23:59:59.999999999", Some(86_399_999_999)),
            ("24:00:00", None),
        ] {
            assert_eq!(time_micros(text), micros, "{text}");
        }
    }

    #[test]
    fn dates_are_as_they_are_written() {
        let day = |year, month, day| {
            Some((NaiveDate::from_ymd_opt(year, month, day).unwrap() - NaiveDate::default()).num_days() as i32)
        };
        // Values from PostgreSQL 15: SELECT '..'::date.
        for text in ["2026-03-01", "20260301", "2026-3-1", " 2026-03-01 ", "2026-03-01T23:30:00-05:00"] {
            assert_eq!(date(text), day(2026, 3, 1), "{text}");
        }
        for text in ["2026-03-01 09:12:00", "2026-03-01T09:12", "2026-03-01T09:12:00.5Z", "2026-03-01 09:12:60"] {
            assert_eq!(date(text), day(2026, 3, 1), "{text}");
        }
        assert_eq!((date("0001-01-01"), date("9999-12-31")), (day(1, 1, 1), day(9999, 12, 31)));
        for text in [
            "",
            "2026-02-30",
            "0000-01-01",
            "+57440-10-27",
            "-0001-01-01",
            "10000-01-01",
            "26-03-01",
            "2026-03",
            "noon",
            "2026-03-01x",
            "2026-03-01 noon",
            "2026-03-01-02",
            "2026é301",
            "02/06/2011",
            "2026-03-01T25:00",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn times_end_before_midnight() {
        assert_eq!(time("14:02:42"), Some(50_562_000_000_000));
        assert_eq!((time("23:59:59.999999999"), time("00:00")), (Some(DAY_NANOS - 1), Some(0)));
        assert_eq!(time("02:10:01 PM"), Some(51_001_000_000_000));
        for text in ["23:59:60", "24:00:00", "25:00", "1430", "86400", "12345678901234", "noon", ""] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
