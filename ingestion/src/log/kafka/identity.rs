//! The identity of a topic: one that was deleted and created again has the same name and other records.
//!
//! Kafka gives every topic an id. librdkafka uses it, but reports it in only one accessible place: a debug line,
//! whenever a client learns an id that is new to it.
//!
//! ```text
//! [thrd:main]: Topic clicks changed id from AAAAAAAAAAAAAAAAAAAAAA to 3vOa8lT4SNKkT4g1BvYbtA
//! ```
//!
//! A client writes that line before it fetches anything of the new topic. So a reader that handles all lines after
//! taking records, and before using them, knows that they are of the topic it began with. Brokers before 3.1 have no
//! ids; there, and should the line change, a re-created topic is noticed by an end that lies too low.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::log::LogError;

/// The ids that topics had when they were first seen.
#[derive(Debug, Default)]
pub(super) struct Identities {
    known: Mutex<HashMap<String, Identity>>,
    /// Whether it was reported that the brokers have no ids.
    none: AtomicBool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    first: String,
    now: String,
}

impl Identities {
    /// Reads a debug line, if it has an id.
    pub(super) fn read(&self, line: &str) {
        let Some((topic, id)) = parse(line) else { return };
        let mut identities = self.lock();
        match identities.get_mut(topic) {
            Some(identity) => id.clone_into(&mut identity.now),
            None => {
                let identity = Identity { first: id.to_owned(), now: id.to_owned() };
                identities.insert(topic.to_owned(), identity);
            }
        }
    }

    /// Refuses a topic whose id has changed.
    pub(super) fn check(&self, topic: &str) -> Result<(), LogError> {
        match self.lock().get(topic) {
            Some(Identity { first, now }) if first != now => {
                Err(LogError::Recreated { topic: topic.to_owned(), was: first.clone(), is: now.clone() })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn id(&self, topic: &str) -> Option<String> {
        self.lock().get(topic).map(|identity| identity.first.clone())
    }

    /// Reports once that the brokers have no id of `topic`.
    pub(super) fn tell_of_none(&self, topic: &str) {
        if !self.none.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                topic,
                "the brokers tell no ids of topics, as those before 3.1: that a topic was deleted and created again \
                 while nothing ran is not noticed"
            );
        }
    }

    /// Forgets the topic: the next one of its name is another topic.
    pub(super) fn forget(&self, topic: &str) {
        self.lock().remove(topic);
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<String, Identity>> {
        self.known.lock()
    }
}

/// Topic and its new id.
fn parse(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(" changed id from ")?;
    let (_, topic) = before.rsplit_once("Topic ")?;
    let (_, id) = after.trim_end().split_once(" to ")?;
    // A broker without ids says zero.
    (!id.bytes().all(|byte| byte == b'A')).then_some((topic, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "[thrd:main]: Topic a.b-c changed id from AAAAAAAAAAAAAAAAAAAAAA to 3vOa8lT4SNKkT4g1BvYbtA";
    const AGAIN: &str = "[thrd:main]: Topic a.b-c changed id from 3vOa8lT4SNKkT4g1BvYbtA to kT4g1BvYbtA3vOa8lT4SNA";

    #[test]
    fn a_topic_is_the_one_first_seen() {
        let identities = Identities::default();
        assert!(identities.check("a.b-c").is_ok());
        identities.read(FIRST);
        identities.read(FIRST);
        assert!(identities.check("a.b-c").is_ok());
        assert_eq!(identities.id("a.b-c").as_deref(), Some("3vOa8lT4SNKkT4g1BvYbtA"));
        identities.read(AGAIN);
        assert!(matches!(identities.check("a.b-c"), Err(LogError::Recreated { .. })));
        assert!(identities.check("other").is_ok());
        identities.forget("a.b-c");
        identities.read(AGAIN);
        assert!(identities.check("a.b-c").is_ok());
    }

    #[test]
    fn other_lines_say_nothing() {
        for line in ["", "Topic x", "[thrd:main]: Topic t changed id from A to AAAAAAAAAAAAAAAAAAAAAA", "id from to"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
