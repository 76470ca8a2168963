//! Positions of sources in the store: those of the sources of a topic that appended last.
//!
//! ```text
//! value    number of the last record, stamp, then pairs: number, count of partitions from there on; then, where the
//!          sender said it, how many records it had by then and their digest
//! before   number of the last record
//! ```
//!
//! The stamp grows with each append of the log. It orders the sources of a topic over all its partitions, so that a
//! source is forgotten as a whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use metrics::{counter, gauge};
use parking_lot::RwLock;

use super::keys::{self, PartitionId};
use super::store::{Store, failed, unreadable};
use crate::log::{LogError, Prefix, SourcePosition, Spread};

/// Greatest number of sources per topic whose positions are kept.
pub(super) const SOURCES_MAX: usize = 100_000;

/// The sources with a position, by the time of their last append.
#[derive(Debug)]
pub(super) struct Positions {
    most: usize,
    stamp: u64,
    topics: HashMap<u32, Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    by_source: HashMap<Arc<str>, u64>,
    by_stamp: BTreeMap<u64, Arc<str>>,
    /// Sources of older versions, which did not store a stamp: the first to be forgotten.
    unstamped: Vec<Arc<str>>,
}

impl Positions {
    pub(super) fn load(store: &Store, most: usize) -> Result<Self, LogError> {
        let mut positions = Self { most, stamp: 0, topics: HashMap::new() };
        for row in store.data.prefix([keys::SOURCE]) {
            let (key, value) = row.into_inner().map_err(failed)?;
            let Some((id, source)) = keys::of_source(&key) else { continue };
            let stamp = stamp(&value).unwrap_or(0);
            positions.stamp = stamp.max(positions.stamp);
            positions.topics.entry(id.topic).or_default().used(source, stamp);
        }
        Ok(positions)
    }

    /// A stamp greater than all before.
    pub(super) fn next_stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// Records that `source` appended; returns the sources that are forgotten in exchange.
    pub(super) fn used(&mut self, topic: u32, source: &str, stamp: u64) -> Vec<Arc<str>> {
        let recent = self.topics.entry(topic).or_default();
        recent.used(source, stamp);
        let mut forgotten = Vec::new();
        while recent.by_source.len() > self.most
            && let Some(oldest) = recent.take_oldest()
        {
            forgotten.push(oldest);
        }
        gauge!("dovetail_log_sources", "topic" => topic.to_string()).set(recent.by_source.len() as f64);
        counter!("dovetail_log_sources_forgotten_total").increment(forgotten.len() as u64);
        forgotten
    }
}

impl Recent {
    fn used(&mut self, source: &str, stamp: u64) {
        let source: Arc<str> = match self.by_source.get_key_value(source) {
            Some((_, before)) if *before >= stamp => return,
            Some((source, before)) => {
                self.by_stamp.remove(before);
                Arc::clone(source)
            }
            None => source.into(),
        };
        self.by_source.insert(Arc::clone(&source), stamp);
        match stamp {
            0 => self.unstamped.push(source),
            stamp => drop(self.by_stamp.insert(stamp, source)),
        }
    }

    fn take_oldest(&mut self) -> Option<Arc<str>> {
        while let Some(source) = self.unstamped.pop() {
            // The source may have appended since.
            if self.by_source.get(&source) == Some(&0) {
                self.by_source.remove(&source);
                return Some(source);
            }
        }
        let (_, source) = self.by_stamp.pop_first()?;
        self.by_source.remove(&source);
        Some(source)
    }
}

/// Topics of which sources were forgotten.
#[derive(Debug, Default)]
pub(super) struct Forgetful(RwLock<std::collections::HashSet<u32>>);

impl Forgetful {
    pub(super) fn load(store: &Store) -> Result<Self, LogError> {
        let mut topics = std::collections::HashSet::new();
        for row in store.data.prefix([keys::FORGOTTEN]) {
            topics.extend(keys::of_forgotten(&row.key().map_err(failed)?));
        }
        Ok(Self(RwLock::new(topics)))
    }

    pub(super) fn has(&self, topic: u32) -> bool {
        self.0.read().contains(&topic)
    }

    /// Adds a topic; returns whether it is new.
    pub(super) fn add(&self, topic: u32) -> bool {
        !self.has(topic) && self.0.write().insert(topic)
    }
}

pub(super) fn encode(position: &SourcePosition, stamp: u64) -> Vec<u8> {
    let mut value = position.last.to_be_bytes().to_vec();
    value.extend_from_slice(&stamp.to_be_bytes());
    for (from, partitions) in position.spread.entries() {
        value.extend_from_slice(&from.to_be_bytes());
        value.extend_from_slice(&partitions.to_be_bytes());
    }
    if let Some(Prefix { records, digest }) = position.spread.prefix() {
        value.extend_from_slice(&records.to_be_bytes());
        value.extend_from_slice(&digest.to_be_bytes());
    }
    value
}

/// The stored position of a source in `id`, whose topic had `first` partitions when older versions wrote it.
pub(super) fn read(
    store: &Store,
    id: PartitionId,
    source: &str,
    first: u32,
) -> Result<Option<SourcePosition>, LogError> {
    let Some(value) = store.data.get(keys::source(id, source)).map_err(failed)? else { return Ok(None) };
    decode(&value, first).map(Some).ok_or_else(|| unreadable("position of source", source))
}

fn decode(value: &[u8], first: u32) -> Option<SourcePosition> {
    let (last, rest) = value.split_first_chunk::<8>()?;
    let last = u64::from_be_bytes(*last);
    let spread = match rest.split_first_chunk::<8>() {
        None if rest.is_empty() => Spread::over(first),
        None => return None,
        Some((_, rest)) => {
            let (pairs, prefix) = match rest.len() % PAIR == PREFIX % PAIR {
                true => rest.split_at(rest.len().checked_sub(PREFIX)?),
                false => rest.split_at(rest.len()),
            };
            let spread = match pairs {
                [] => Spread::default(),
                pairs => Spread::stored(pairs.chunks(PAIR).map(pair).collect::<Option<_>>()?)?,
            };
            spread.with_prefix(self::prefix(prefix))
        }
    };
    Some(SourcePosition { last, spread })
}

/// Bytes of a pair and of a prefix: no number of pairs has the length of some pairs and a prefix.
const PAIR: usize = 12;
const PREFIX: usize = 16;

fn prefix(bytes: &[u8]) -> Option<Prefix> {
    let (records, digest) = bytes.split_first_chunk::<8>()?;
    Some(Prefix { records: u64::from_be_bytes(*records), digest: u64::from_be_bytes(digest.try_into().ok()?) })
}

fn pair(bytes: &[u8]) -> Option<(u64, u32)> {
    let (from, partitions) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*from), u32::from_be_bytes(partitions.try_into().ok()?)))
}

fn stamp(value: &[u8]) -> Option<u64> {
    value.get(8..16)?.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_goes_there_and_back() {
        for spread in [Spread::default(), Spread::over(3), Spread::over(3).then(0, 70, 5)] {
            for prefix in [None, Some(Prefix { records: 100, digest: u64::MAX })] {
                let position = SourcePosition { last: 99, spread: spread.clone().with_prefix(prefix) };
                let value = encode(&position, 7);
                assert_eq!((decode(&value, 4), stamp(&value)), (Some(position), Some(7)));
            }
        }
        let before = 99_u64.to_be_bytes();
        assert_eq!(decode(&before, 4), Some(SourcePosition { last: 99, spread: Spread::over(4) }));
        assert_eq!((stamp(&before), decode(&before[..7], 4), decode(&[0; 17], 4)), (None, None, None));
    }

    #[test]
    fn those_that_appended_last_are_kept() {
        let mut positions = Positions { most: 2, stamp: 0, topics: HashMap::new() };
        let mut used = |topic, source| {
            let stamp = positions.next_stamp();
            positions.used(topic, source, stamp).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(used(1, "a").is_empty() && used(1, "b").is_empty() && used(1, "a").is_empty());
        assert_eq!(used(1, "c"), ["b"]);
        assert!(used(2, "b").is_empty(), "topics count for themselves");
        assert_eq!(used(1, "b"), ["a"]);
    }

    #[test]
    fn those_of_older_versions_go_first() {
        let mut recent = Recent::default();
        recent.used("new", 5);
        recent.used("old", 0);
        recent.used("older", 0);
        recent.used("older", 9);
        let order: Vec<_> = std::iter::from_fn(|| recent.take_oldest()).map(|source| source.to_string()).collect();
        assert_eq!(order, ["old", "new", "older"]);
    }
}
