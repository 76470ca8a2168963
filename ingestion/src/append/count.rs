//! The number of partitions over which an appender spreads values while the topic grows.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dovetail_core::clock;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::log::{Log, LogError};

/// Time between learning of new partitions and using them: afterwards every broker knows them, and so does every
/// process that asks one.
pub const PARTITIONS_SETTLE_AFTER: Duration = Duration::from_secs(5);
/// Interval of checks for new partitions by appends without record numbers, which may miss the newest ones without
/// harm.
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
    /// Time since which the topic has its present number of partitions.
    since: Instant,
}

impl Count {
    pub(super) fn new(partitions: u32) -> Self {
        let now = clock::now_monotonic();
        let looked = Mutex::new(Looked { at: now, since: now });
        Self { used: AtomicU32::new(partitions), there: AtomicU32::new(partitions), looked }
    }

    /// The number of partitions over which new values are spread.
    pub(super) fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// The greatest number of partitions heard of.
    pub(super) fn there(&self) -> u32 {
        self.there.load(Ordering::Relaxed)
    }

    /// The number of partitions, read from the log now.
    pub(super) async fn now(&self, log: &dyn Log, topic: &str) -> Result<u32, LogError> {
        let there = log.partitions(topic).await?;
        self.heard(there, clock::now_monotonic());
        Ok(self.there())
    }

    /// The number of partitions over which a value is spread, refreshed every few seconds. It stays the same while the
    /// log does not answer.
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

    /// Records that the log reported `there` partitions.
    pub(super) fn heard(&self, there: u32, now: Instant) {
        if there == self.used() {
            return;
        }
        let mut looked = self.looked.lock();
        // A broker that has not heard of new partitions reports fewer than another one did before.
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
