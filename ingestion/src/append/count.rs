//! How many partitions an appender spreads values over, as the topic gets more.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dovetail_core::clock;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::log::{Log, LogError};

/// How long new partitions are known here before they are used: by then every broker knows them, and so does every
/// process that asks one.
pub const PARTITIONS_SETTLE_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked at who appends without numbers, where it does no harm not to know of the newest.
const PARTITIONS_POLL_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Count {
    used: AtomicU32,
    there: AtomicU32,
    looked: Mutex<Looked>,
}

#[derive(Debug)]
struct Looked {
    at: Instant,
    /// Since when the topic has as many as it has.
    since: Instant,
}

impl Count {
    pub(super) fn new(partitions: u32) -> Self {
        let now = clock::now_monotonic();
        let looked = Mutex::new(Looked { at: now, since: now });
        Self { used: AtomicU32::new(partitions), there: AtomicU32::new(partitions), looked }
    }

    /// Over how many a value is spread that can go anywhere.
    pub(super) fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// How many there are, as far as was heard.
    pub(super) fn there(&self) -> u32 {
        self.there.load(Ordering::Relaxed)
    }

    /// How many there are, asked now.
    pub(super) async fn now(&self, log: &dyn Log, topic: &str) -> Result<u32, LogError> {
        let there = log.partitions(topic).await?;
        self.heard(there, clock::now_monotonic());
        Ok(self.there())
    }

    /// Over how many a value is spread, asked lately. While the log does not say, it stays as it is.
    pub(super) async fn lately(&self, log: &dyn Log, topic: &str) -> u32 {
        if self.is_due(clock::now_monotonic())
            && let Err(error) = self.now(log, topic).await
        {
            tracing::debug!(topic, %error, "whether the topic got more partitions is not known");
        }
        self.used()
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut looked = self.looked.lock();
        let due = now.duration_since(looked.at) >= PARTITIONS_POLL_INTERVAL;
        if due {
            looked.at = now;
        }
        due
    }

    /// The log said that there are so many.
    pub(super) fn heard(&self, there: u32, now: Instant) {
        if there == self.used() {
            return;
        }
        let mut looked = self.looked.lock();
        // A broker that has not heard yet says fewer than another one said before.
        if self.there.fetch_max(there, Ordering::Relaxed) < there {
            looked.since = now;
        } else if now.duration_since(looked.since) >= PARTITIONS_SETTLE_AFTER {
            let there = self.there();
            if self.used.swap(there, Ordering::Relaxed) < there {
                tracing::info!(partitions = there, "values are spread over more partitions");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_partitions_are_used_once_they_have_settled() {
        let count = Count::new(4);
        let now = clock::now_monotonic();
        for (there, after, used) in [(4, 0, 4), (6, 1, 4), (4, 3, 4), (6, 5, 4), (6, 6, 6), (4, 7, 6), (9, 8, 6)] {
            count.heard(there, now + Duration::from_secs(after));
            assert_eq!(count.used(), used, "after {after} s");
        }
        assert_eq!(count.there(), 9);
    }
}
