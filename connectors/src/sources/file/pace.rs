//! The pace of sending. Pure: the caller has the clock and does the waiting.

use std::time::Duration;

/// The pace at which a source is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Without a limit.
    AsFast,
    /// So many records per second.
    Rate(f64),
    /// By event time, `factor` times as fast as the events happened. Needs the stream's option `event_time`.
    AsRecorded {
        /// Factor of speed, greater than 0.
        factor: f64,
    },
}

/// Computes the due time of each record, counted from the start of sending.
#[derive(Debug)]
pub struct Pacer {
    pace: Pace,
    sent: u64,
    first_event_ms: Option<i64>,
    due: Duration,
}

impl Pacer {
    /// A pacer before its first record.
    pub fn new(pace: Pace) -> Self {
        Self { pace, sent: 0, first_event_ms: None, due: Duration::ZERO }
    }

    /// Whether [`Self::due`] needs event times.
    pub fn needs_event_time(&self) -> bool {
        matches!(self.pace, Pace::AsRecorded { .. })
    }

    /// The due time of the next record, whose event happened at `event_ms` if that is known, in milliseconds since the
    /// epoch.
    ///
    /// A record that is late, or has no time, is due with the one before it. Due times never go backwards.
    pub fn due(&mut self, event_ms: Option<i64>) -> Duration {
        let due = match self.pace {
            Pace::AsFast => Duration::ZERO,
            Pace::Rate(per_second) => seconds(self.sent as f64 / per_second),
            Pace::AsRecorded { factor } => event_ms.map_or(Duration::ZERO, |event_ms| {
                let first = *self.first_event_ms.get_or_insert(event_ms);
                seconds(event_ms.saturating_sub(first) as f64 / 1_000.0 / factor)
            }),
        };
        self.sent += 1;
        self.due = self.due.max(due);
        self.due
    }
}

/// A duration of so many seconds; 0 for an infinite one, as a rate of 0 gives, so that nobody waits for ever.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pace: Pace, events: &[Option<i64>], expected_ms: &[u128]) {
        let mut pacer = Pacer::new(pace);
        let due: Vec<u128> = events.iter().map(|&event_ms| pacer.due(event_ms).as_millis()).collect();
        assert_eq!(due, expected_ms, "{pace:?}");
    }

    #[test]
    fn records_are_due_at_the_pace() {
        check(Pace::AsFast, &[None, Some(5)], &[0, 0]);
        check(Pace::Rate(4.0), &[None; 5], &[0, 250, 500, 750, 1_000]);
        let events = [Some(60_000), Some(120_000), Some(90_000), None, Some(180_000)];
        check(Pace::AsRecorded { factor: 60.0 }, &events, &[0, 1_000, 1_000, 1_000, 2_000]);
    }

    #[test]
    fn a_pace_of_nothing_does_not_wait() {
        check(Pace::Rate(0.0), &[None; 3], &[0, 0, 0]);
        check(Pace::AsRecorded { factor: 0.0 }, &[Some(0), Some(1_000)], &[0, 0]);
    }
}
