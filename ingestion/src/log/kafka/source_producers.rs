//! The producer of a source: one at a time appends its records, of all processes.
//!
//! A source belongs to one of [`IDS`] transactional ids of its topic. A process takes it over by initialising a
//! producer of that id: from then on the brokers refuse an earlier one, and its transaction in flight is complete or
//! aborted (KIP-98). So the positions found in the log after that stay right, without another search, until the brokers
//! refuse this producer in turn.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use futures::future::try_join_all;
use metrics::gauge;
use parking_lot::{Mutex, MutexGuard};
use rdkafka::producer::Producer;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::blocking;
use super::clients::{Clients, Sender};
use super::partition::Partition;
use super::searching;
use crate::log::{LogError, SourcePosition};

/// Number of transactional ids of a topic, however many sources it has: brokers keep each one for days.
const IDS: u32 = 4096;
/// Greatest number of producers at a time: each costs threads, and connections to the brokers.
const PRODUCERS_MAX: usize = 32;
/// Number of producers opened.
static OPENED: AtomicU64 = AtomicU64::new(1);
/// Greatest number of sources per producer whose positions are remembered.
const SOURCES: usize = 64;

/// The producers of this process, by transactional id.
#[derive(Debug)]
pub(super) struct Holds {
    holds: Mutex<HashMap<String, Kept>>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Kept {
    held: Arc<tokio::sync::Mutex<Option<Held>>>,
    used: Instant,
}

/// A producer, locked for one request of this process.
#[derive(Debug)]
pub(super) struct Hold {
    id: String,
    held: OwnedMutexGuard<Option<Held>>,
    _room: OwnedSemaphorePermit,
}

/// An initialised producer, and the positions found in the log since.
#[derive(Debug)]
pub(super) struct Held {
    /// Unique within this process.
    number: u64,
    sender: Option<Arc<Sender>>,
    positions: HashMap<String, HashMap<i32, Option<SourcePosition>>>,
    /// The ends of the records of its last transaction, by partition. Its marker lies behind.
    ends: HashMap<i32, i64>,
}

impl Default for Holds {
    fn default() -> Self {
        Self { holds: Mutex::default(), room: Arc::new(Semaphore::new(PRODUCERS_MAX)) }
    }
}

impl Holds {
    /// Waits for the producer of `source`, which need not be initialised yet, until no other request uses it.
    pub(super) async fn hold(
        &self,
        clients: &Clients,
        topic: &str,
        source: &str,
        until: Instant,
    ) -> Result<Hold, LogError> {
        let id = transactional_id(topic, source);
        let left = until.saturating_duration_since(clock::now_monotonic());
        let taken = timeout(left, async {
            let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| LogError::Closed)?;
            let held = self.kept(&id).lock_owned().await;
            Ok(Hold { id, held, _room: room })
        });
        taken.await.unwrap_or_else(|_| {
            let why = format!("other requests of source `{source}` took longer than {:?}", clients.patience());
            Err(clients.failures.unreachable(&why, &clients.reported))
        })
    }

    fn kept(&self, id: &str) -> Arc<tokio::sync::Mutex<Option<Held>>> {
        let mut holds = self.lock();
        // Each holder of a permit uses at most one, so at this number one is idle.
        if !holds.contains_key(id) && holds.len() >= PRODUCERS_MAX {
            let idle = holds.iter().filter(|(_, kept)| kept.is_idle()).min_by_key(|(_, kept)| kept.used);
            let idle = idle.map(|(id, _)| id.clone());
            idle.and_then(|id| holds.remove(&id));
        }
        let kept =
            holds.entry(id.to_owned()).or_insert_with(|| Kept { held: Arc::default(), used: clock::now_monotonic() });
        kept.used = clock::now_monotonic();
        let held = Arc::clone(&kept.held);
        gauge!("dovetail_kafka_source_producers").set(holds.len() as f64);
        held
    }

    /// Drops the producers that were unused for `idle`.
    pub(super) fn retire(&self, idle: Duration) {
        let mut holds = self.lock();
        let before = holds.len();
        holds.retain(|_, kept| !kept.is_idle() || kept.used.elapsed() < idle);
        if holds.len() < before {
            gauge!("dovetail_kafka_source_producers").set(holds.len() as f64);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.holds.lock()
    }
}

impl Kept {
    /// Other requests get it only under the lock of all.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.held) == 1
    }
}

/// The transactional id of a source; sources that share one take turns.
pub(super) fn transactional_id(topic: &str, source: &str) -> String {
    format!("dovetail-{topic}-{}", crc32fast::hash(source.as_bytes()) % IDS)
}

impl Hold {
    /// The producer, initialised if it is not yet.
    pub(super) async fn held(
        &mut self,
        clients: &Arc<Clients>,
        topic: &str,
        until: Instant,
    ) -> Result<&mut Held, LogError> {
        let alive = |held: &Held| held.sender().is_some_and(|sender| sender.client().fatal_error().is_none());
        let held = self.held.take().filter(alive);
        let held = match held {
            Some(held) => held,
            None => {
                let (clients, topic, id) = (Arc::clone(clients), topic.to_owned(), self.id.clone());
                blocking(move || Held::open(&clients, &topic, &id, until)).await?
            }
        };
        Ok(self.held.insert(held))
    }

    /// Drops the producer. Its transaction in flight is complete or aborted once the next one is initialised.
    pub(super) fn give_up(&mut self) {
        *self.held = None;
    }
}

impl Held {
    /// Initialises a producer. Waits for the brokers. Blocks.
    fn open(clients: &Clients, topic: &str, id: &str, until: Instant) -> Result<Self, LogError> {
        let failed = |error| clients.failed("taking up a source", topic, &error);
        let sender = Arc::new(clients.transactional(id).map_err(failed)?);
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let held = Self { number, sender: Some(sender), positions: HashMap::new(), ends: HashMap::new() };
        let Some(sender) = held.sender() else { return Err(LogError::Closed) };
        let left = until.saturating_duration_since(clock::now_monotonic());
        sender.init_transactions(left).map_err(failed)?;
        Ok(held)
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn sender(&self) -> Option<&Arc<Sender>> {
        self.sender.as_ref()
    }

    /// The position of `source` in each of `partitions`.
    pub(super) async fn positions(
        &mut self,
        clients: &Arc<Clients>,
        partitions: &[Arc<Partition>],
        source: &str,
        until: Instant,
    ) -> Result<Vec<Option<SourcePosition>>, LogError> {
        if self.positions.len() >= SOURCES && !self.positions.contains_key(source) {
            self.positions.clear();
        }
        let known = self.positions.entry(source.to_owned()).or_default();
        let unknown = partitions.iter().filter(|partition| !known.contains_key(&partition.number));
        let found = unknown.map(async |partition| {
            let position = searching::position(clients, partition, source, until).await?;
            Ok((partition.number, position))
        });
        known.extend(try_join_all(found).await?);
        Ok(partitions.iter().map(|partition| known.get(&partition.number).cloned().flatten()).collect())
    }

    /// Records that `records` of `source` up to `position` were committed at `range`.
    pub(super) async fn committed(
        &mut self,
        partition: &Partition,
        source: &str,
        position: SourcePosition,
        range: OffsetRange,
        records: usize,
    ) {
        let before = self.ends.insert(partition.number, range.end);
        let mut sources = partition.sources.lock().await;
        sources.met(source, position.last, &position.spread);
        match before {
            // The transaction before was complete when this one began, so only its marker is in between.
            Some(before) if before + 1 == range.start => {
                let with_marker = OffsetRange::new(before, range.end);
                sources.appended(with_marker, records + 1);
            }
            _ => sources.appended(range, records),
        }
        if let Some(known) = self.positions.get_mut(source) {
            known.insert(partition.number, Some(position));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            // Dropping it takes a moment, during which other tasks go on.
            std::thread::spawn(move || drop(sender));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_producers_are_kept_and_none_in_use_goes() {
        let holds = Holds::default();
        let in_use = holds.kept("first");
        for i in 0..10 * PRODUCERS_MAX {
            drop(holds.kept(&i.to_string()));
        }
        assert_eq!(holds.lock().len(), PRODUCERS_MAX);
        assert!(Arc::ptr_eq(&in_use, &holds.kept("first")));
        holds.retire(Duration::ZERO);
        assert_eq!(holds.lock().keys().collect::<Vec<_>>(), ["first"]);
    }

    #[test]
    fn a_source_has_the_same_id_everywhere() {
        assert_eq!(transactional_id("t", "orders.csv@1"), transactional_id("t", "orders.csv@1"));
        assert_ne!(transactional_id("t", "a"), transactional_id("u", "a"));
        assert_ne!(transactional_id("t", "a"), transactional_id("t", "b"));
    }
}
