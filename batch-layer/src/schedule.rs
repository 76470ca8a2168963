//! The schedule of runs: a cron expression or an interval. Times are milliseconds since the Unix epoch.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};

/// A schedule, parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// A cron expression of six fields, seconds first, in UTC.
    Cron(Box<Cron>),
    /// An interval, from one start to the next.
    Every(Duration),
}

/// The reason why a text is no schedule.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The text is neither an interval nor a cron expression.
    #[error(
        "`{text}` is no schedule: write `every 30s`, or a cron expression of six fields such as `0 */5 * * * *` (seconds first, UTC)"
    )]
    Unreadable { text: String },
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Parses `every 30s` or `0 */5 * * * *`.
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let unreadable = || ScheduleError::Unreadable { text: text.to_owned() };
        if let Some(interval) = text.trim().strip_prefix("every ") {
            let interval = humantime::parse_duration(interval.trim()).map_err(|_| unreadable())?;
            return if interval >= Duration::from_secs(1) { Ok(Self::Every(interval)) } else { Err(unreadable()) };
        }
        let parser = CronParser::builder().seconds(Seconds::Required).dom_and_dow(true).build();
        let cron = parser.parse(text.trim()).map_err(|_| unreadable())?;
        Ok(Self::Cron(Box::new(cron)))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => f.write_str(cron.as_str()),
            Self::Every(interval) => write!(f, "every {}", humantime::format_duration(*interval)),
        }
    }
}

impl Schedule {
    /// The first moment after `after_ms`; none when there never is one.
    pub(crate) fn next(&self, after_ms: i64) -> Option<i64> {
        match self {
            Self::Cron(cron) => {
                let next = cron.find_next_occurrence(&time(after_ms)?, false).ok()?;
                Some(next.timestamp_millis())
            }
            Self::Every(interval) => after_ms.checked_add(millis(*interval)),
        }
    }

    /// The last moment after `after_ms` that is not later than `now_ms`: one run covers several missed moments.
    pub(crate) fn due(&self, after_ms: i64, now_ms: i64) -> Option<i64> {
        let next = self.next(after_ms).filter(|&next| next <= now_ms)?;
        match self {
            Self::Cron(cron) => {
                let last = time(now_ms).and_then(|now| cron.find_previous_occurrence(&now, true).ok());
                Some(last.map_or(next, |last| last.timestamp_millis().max(next)))
            }
            Self::Every(interval) => Some(next + (now_ms - next) / millis(*interval) * millis(*interval)),
        }
    }
}

fn time(ms: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms)
}

fn millis(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_intervals_or_cron_expressions() {
        assert_eq!("every 30s".parse::<Schedule>().unwrap(), Schedule::Every(Duration::from_secs(30)));
        assert_eq!("0 */5 * * * *".parse::<Schedule>().unwrap().to_string(), "0 */5 * * * *");
        for wrong in ["", "every", "every 30", "every 10ms", "*/5 * * * *", "0 0 25 * * *", "hourly"] {
            let error = wrong.parse::<Schedule>().unwrap_err();
            assert!(error.to_string().contains("is no schedule"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_due_follows_from_what_was_seen_to_last() {
        let ms = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        let every: Schedule = "every 30s".parse().unwrap();
        assert_eq!(every.next(1_000), Some(31_000));
        assert_eq!(every.due(1_000, 30_999), None);
        assert_eq!(every.due(1_000, 31_000), Some(31_000));
        assert_eq!(every.due(1_000, 130_000), Some(121_000), "one run for all that were missed, and no drift");
        assert_eq!(every.due(i64::MAX - 5, i64::MAX), None);
        let nightly: Schedule = "0 0 3 * * *".parse().unwrap();
        let (evening, night) = (ms("2026-03-01T22:00:00Z"), ms("2026-03-02T03:00:00Z"));
        assert_eq!(nightly.next(evening), Some(night));
        assert_eq!(nightly.next(night), Some(ms("2026-03-03T03:00:00Z")));
        assert_eq!(nightly.due(evening, night - 1), None);
        assert_eq!(nightly.due(evening, night), Some(night));
        assert_eq!(nightly.due(evening, ms("2026-03-05T09:00:00Z")), Some(ms("2026-03-05T03:00:00Z")));
        assert_eq!(nightly.due(night, ms("2026-03-02T09:00:00Z")), None, "seen to");
        assert_eq!("0 0 0 30 2 *".parse::<Schedule>().unwrap().due(evening, night), None, "there never is one");
    }
}
