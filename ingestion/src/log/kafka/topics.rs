//! Topics: their partitions, their creation and trimming.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::clock;
use parking_lot::RwLock;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::clients::Clients;
use super::partition::Partition;
use crate::log::LogError;

/// Interval of checks for a topic that was just made.
const NEW_TOPIC_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Partitions by topic, for the topics that were used.
#[derive(Default)]
pub(super) struct Topics(RwLock<HashMap<String, Vec<Arc<Partition>>>>);

impl Topics {
    pub(super) fn known(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        let topics = self.0.read();
        topics.get(topic)?.get(usize::try_from(partition).ok()?).cloned()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let topics = self.0.read();
        topics.keys().cloned().collect()
    }

    pub(super) fn each(&self, act: impl Fn(&Partition)) {
        let topics = self.0.read();
        topics.values().flatten().for_each(|partition| act(partition));
    }

    /// Reads the number of partitions of `topic` from the brokers. Blocks.
    pub(super) fn refresh(&self, clients: &Clients, topic: &str, patience: Duration) -> Result<u32, LogError> {
        let partitions = match leaders(clients, topic, patience) {
            Ok(leaders) => leaders.len(),
            Err(error) => {
                if matches!(error, LogError::NoSuchTopic { .. }) {
                    clients.reported.presence.forget(topic);
                    self.forget(topic);
                }
                return Err(error);
            }
        };
        clients.reported.identities.check(topic)?;
        let mut topics = self.0.write();
        let known = topics.entry(topic.to_owned()).or_default();
        let name: Arc<str> = known.first().map_or_else(|| topic.into(), |first| Arc::clone(&first.topic));
        for number in known.len()..partitions {
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            known.push(Arc::new(Partition::new(&name, number, clients.config.readers.max(1))));
        }
        Ok(u32::try_from(partitions).unwrap_or(u32::MAX))
    }

    fn forget(&self, topic: &str) {
        self.0.write().remove(topic);
    }

    /// Makes `topic` if it does not exist, and returns its number of partitions.
    pub(super) async fn create(&self, clients: &Arc<Clients>, topic: &str, partitions: u32) -> Result<(), LogError> {
        let admin = clients.admin().map_err(|error| clients.failed("making the topic", topic, &error))?;
        let replication = clients.config.replication.map_or(-1, i32::from);
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        let mut new = NewTopic::new(topic, count, TopicReplication::Fixed(replication));
        for (name, value) in &clients.config.topic {
            new = new.set(name, value);
        }
        let options = options(clients.patience());
        let results = admin.create_topics([&new], &options).await;
        let results = results.map_err(|error| clients.failed("making the topic", topic, &error))?;
        match results.into_iter().next() {
            Some(Err((_, code))) if code != Code::TopicAlreadyExists => {
                Err(clients.failures.of_code("making the topic", topic, code, &clients.reported))
            }
            Some(Err(_)) => Ok(()),
            _ => {
                tracing::info!(topic, partitions, "made a topic");
                clients.reported.identities.forget(topic);
                self.forget(topic);
                Ok(())
            }
        }
    }

    /// Waits until every partition of a topic that was made has a leader, and returns their number. Blocks.
    pub(super) fn appears(&self, clients: &Clients, topic: &str) -> Result<u32, LogError> {
        let until = clock::now_monotonic() + clients.patience();
        loop {
            let led = leaders(clients, topic, clients.patience());
            let ready = led.as_ref().is_ok_and(|leaders| !leaders.is_empty() && leaders.iter().all(|id| *id >= 0));
            if ready || clock::now_monotonic() >= until {
                led?;
                return self.refresh(clients, topic, clients.patience());
            }
            clock::block_for(NEW_TOPIC_POLL_INTERVAL);
        }
    }
}

/// Deletes the records below `before`, which is not past the end.
pub(super) async fn trim(clients: &Clients, topic: &str, partition: i32, before: i64) -> Result<(), LogError> {
    let failed = |error| clients.failed("trimming", topic, &error);
    let mut offsets = TopicPartitionList::with_capacity(1);
    offsets.add_partition_offset(topic, partition, Offset::Offset(before)).map_err(failed)?;
    let admin = clients.admin().map_err(failed)?;
    let done = admin.delete_records(&offsets, &options(clients.patience())).await.map_err(failed)?;
    done.elements().iter().try_for_each(|element| element.error()).map_err(failed)
}

fn options(patience: Duration) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(patience)).operation_timeout(Some(patience))
}

/// The leader of each partition, -1 where there is none.
fn leaders(clients: &Clients, topic: &str, patience: Duration) -> Result<Vec<i32>, LogError> {
    let metadata = clients.metadata(topic, patience)?;
    let unknown = || clients.failures.unknown(topic, &clients.reported);
    let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(unknown)?;
    match found.error() {
        Some(error) if found.partitions().is_empty() => {
            Err(clients.failures.of_code("asking for the topic", topic, error.into(), &clients.reported))
        }
        _ => {
            clients.reported.presence.seen(topic);
            Ok(found.partitions().iter().map(|partition| partition.leader()).collect())
        }
    }
}
