//! The producers of this process for sources, one for each transactional id in use.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use metrics::gauge;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::partition::KafkaPartition;
use super::sender::Sender;
use crate::log::{LogError, PartitionPosition};

/// Greatest number of producers at a time: each costs threads, and connections to the brokers.
const PRODUCERS_MAX: usize = 32;

/// The producers of this process, by transactional id.
#[derive(Debug)]
pub(super) struct Holds {
    holds: Mutex<HashMap<String, KeptProducers>>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct KeptProducers {
    held: Arc<tokio::sync::Mutex<Option<InitialisedProducer>>>,
    used: Instant,
}

/// A producer, locked for one request of this process.
#[derive(Debug)]
pub(super) struct ProducerHold {
    pub(super) id: String,
    pub(super) held: OwnedMutexGuard<Option<InitialisedProducer>>,
    _room: OwnedSemaphorePermit,
}

/// An initialised producer, and the positions found in the log since.
#[derive(Debug)]
pub(super) struct InitialisedProducer {
    /// Unique within this process.
    pub(super) number: u64,
    pub(super) sender: Option<Arc<Sender>>,
    pub(super) positions: HashMap<String, HashMap<i32, Option<PartitionPosition>>>,
    /// The ends of the records of its last transaction, by partition. Its marker lies behind.
    pub(super) ends: HashMap<i32, i64>,
}

impl Default for Holds {
    fn default() -> Self {
        Self { holds: Mutex::default(), room: Arc::new(Semaphore::new(PRODUCERS_MAX)) }
    }
}

impl Holds {
    /// The producer of a transactional id, once no other request uses it and there is room for one more. It need not
    /// be initialised yet.
    pub(super) async fn acquire(&self, id: String) -> Result<ProducerHold, LogError> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| LogError::Closed)?;
        let held = self.kept(&id).lock_owned().await;
        Ok(ProducerHold { id, held, _room: room })
    }

    fn kept(&self, id: &str) -> Arc<tokio::sync::Mutex<Option<InitialisedProducer>>> {
        let mut holds = self.lock();
        // Each holder of a permit uses at most one, so at this number one is idle.
        if !holds.contains_key(id) && holds.len() >= PRODUCERS_MAX {
            let idle = holds.iter().filter(|(_, kept)| kept.is_idle()).min_by_key(|(_, kept)| kept.used);
            let idle = idle.map(|(id, _)| id.clone());
            idle.and_then(|id| holds.remove(&id));
        }
        let kept = holds
            .entry(id.to_owned())
            .or_insert_with(|| KeptProducers { held: Arc::default(), used: clock::now_monotonic() });
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

    fn lock(&self) -> MutexGuard<'_, HashMap<String, KeptProducers>> {
        self.holds.lock()
    }
}

impl KeptProducers {
    /// Other requests get it only under the lock of all.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.held) == 1
    }
}

impl ProducerHold {
    /// Drops the producer. Its transaction in flight is complete or aborted once the next one is initialised.
    pub(super) fn give_up(&mut self) {
        *self.held = None;
    }
}

impl InitialisedProducer {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn sender(&self) -> Option<&Arc<Sender>> {
        self.sender.as_ref()
    }

    /// Records that `records` of `source` up to `position` were committed at `range`.
    pub(super) async fn committed(
        &mut self,
        partition: &KafkaPartition,
        source: &str,
        position: PartitionPosition,
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

impl Drop for InitialisedProducer {
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
}
