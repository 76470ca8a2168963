//! The producer of a source: one at a time appends its records, of all processes.
//!
//! A source belongs to one of [`IDS`] transactional ids of its topic. A process takes it over by initialising a
//! producer of that id: from then on the brokers refuse an earlier one, and its transaction in flight is complete or
//! aborted (KIP-98). So the positions found in the log after that stay right, without another search, until the brokers
//! refuse this producer in turn.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dovetail_core::clock;
use futures::future::try_join_all;
use rdkafka::producer::Producer;
use tokio::time::{Instant, timeout};

use super::blocking;
use super::clients::Clients;
use super::partition::KafkaPartition;
use super::producer_pool::{InitialisedProducer, ProducerHold};
use super::searching;
use crate::log::{LogError, PartitionPosition};

/// Number of transactional ids of a topic, however many sources it has: brokers keep each one for days.
const IDS: u32 = 4096;
/// Number of producers opened.
static OPENED: AtomicU64 = AtomicU64::new(1);
/// Greatest number of sources per producer whose positions are remembered.
const SOURCES: usize = 64;

/// Waits for the producer of `source`, which need not be initialised yet, until no other request uses it.
pub(super) async fn hold(
    clients: &Clients,
    topic: &str,
    source: &str,
    until: Instant,
) -> Result<ProducerHold, LogError> {
    let left = until.saturating_duration_since(clock::now_monotonic());
    let acquired = timeout(left, clients.holds.acquire(transactional_id(topic, source))).await;
    acquired.unwrap_or_else(|_| {
        let why = format!("other requests of source `{source}` took longer than {:?}", clients.patience());
        Err(clients.failures.unreachable(&why, &clients.reported))
    })
}

/// The transactional id of a source; sources that share one take turns.
pub(super) fn transactional_id(topic: &str, source: &str) -> String {
    format!("dovetail-{topic}-{}", crc32fast::hash(source.as_bytes()) % IDS)
}

impl ProducerHold {
    /// The producer, initialised if it is not yet.
    pub(super) async fn held(
        &mut self,
        clients: &Arc<Clients>,
        topic: &str,
        until: Instant,
    ) -> Result<&mut InitialisedProducer, LogError> {
        let alive =
            |held: &InitialisedProducer| held.sender().is_some_and(|sender| sender.client().fatal_error().is_none());
        let held = self.held.take().filter(alive);
        let held = match held {
            Some(held) => held,
            None => {
                let (clients, topic, id) = (Arc::clone(clients), topic.to_owned(), self.id.clone());
                blocking(move || InitialisedProducer::open(&clients, &topic, &id, until)).await?
            }
        };
        Ok(self.held.insert(held))
    }
}

impl InitialisedProducer {
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

    /// The position of `source` in each of `partitions`.
    pub(super) async fn positions(
        &mut self,
        clients: &Arc<Clients>,
        partitions: &[Arc<KafkaPartition>],
        source: &str,
        until: Instant,
    ) -> Result<Vec<Option<PartitionPosition>>, LogError> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_the_same_id_everywhere() {
        assert_eq!(transactional_id("t", "orders.csv@1"), transactional_id("t", "orders.csv@1"));
        assert_ne!(transactional_id("t", "a"), transactional_id("u", "a"));
        assert_ne!(transactional_id("t", "a"), transactional_id("t", "b"));
    }
}
