//! The existence of a topic. A broker that has just started, or is behind, reports that a topic it has not heard of
//! does not exist, as it does for a deleted one.

use std::collections::HashMap;
use std::time::Duration;

use dovetail_core::clock;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// Time for which brokers must report that a known topic does not exist, until they are believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(10);

/// The known topics, and the time since which brokers report that they do not exist.
#[derive(Debug, Default)]
pub(super) struct Presence(Mutex<HashMap<String, Option<Instant>>>);

impl Presence {
    pub(super) fn seen(&self, topic: &str) {
        let mut topics = self.lock();
        match topics.get_mut(topic) {
            Some(missed) => *missed = None,
            None => drop(topics.insert(topic.to_owned(), None)),
        }
    }

    /// Records a broker's report that `topic` does not exist; returns whether it is to be believed.
    pub(super) fn is_gone(&self, topic: &str) -> bool {
        self.is_gone_at(topic, clock::now_monotonic())
    }

    fn is_gone_at(&self, topic: &str, now: Instant) -> bool {
        let mut topics = self.lock();
        let Some(missed) = topics.get_mut(topic) else { return true };
        now.saturating_duration_since(*missed.get_or_insert(now)) >= BELIEVED_AFTER
    }

    pub(super) fn forget(&self, topic: &str) {
        self.lock().remove(topic);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Option<Instant>>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_was_there_is_gone_when_it_is_said_for_long() {
        let (presence, start) = (Presence::default(), clock::now_monotonic());
        assert!(presence.is_gone_at("t", start));
        presence.seen("t");
        assert!(!presence.is_gone_at("t", start));
        assert!(!presence.is_gone_at("t", start + BELIEVED_AFTER / 2));
        assert!(presence.is_gone_at("t", start + BELIEVED_AFTER));
        presence.seen("t");
        assert!(!presence.is_gone_at("t", start + BELIEVED_AFTER));
        presence.forget("t");
        assert!(presence.is_gone_at("t", start));
    }
}
