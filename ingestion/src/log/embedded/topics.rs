//! The log's topics: looked up on every call, created rarely.

use std::collections::HashMap;
use std::sync::Arc;

use dovetail_core::offsets::OffsetRange;
use fjall::PersistMode;
use parking_lot::{Mutex, RwLock};

use super::keys::{self, TopicRow};
use super::store::{Store, failed};
use super::topic::{Partition, Topic};
use crate::log::LogError;

pub(super) struct Topics {
    store: Store,
    all: RwLock<HashMap<String, Arc<Topic>>>,
    /// Locked while a topic is created, so that no two get the same id.
    creating: Mutex<()>,
}

impl Topics {
    pub(super) fn load(store: Store) -> Result<Self, LogError> {
        let all = RwLock::new(store.topics()?);
        Ok(Self { store, all, creating: Mutex::default() })
    }

    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        let all = self.all.read();
        all.get(name).map(Arc::clone).ok_or_else(|| LogError::NoSuchTopic { topic: name.to_owned() })
    }

    pub(super) fn partition(&self, topic: &str, number: i32) -> Result<Arc<Partition>, LogError> {
        self.topic(topic)?.partition(number).map(Arc::clone)
    }

    /// Makes sure that the topic exists with this many partitions or more. May block on the disk.
    ///
    /// # On a crash
    /// The topic's row is one commit: the topic is there with all its partitions, or the next start creates it.
    pub(super) fn create(&self, name: &str, partitions: u32) -> Result<(), LogError> {
        let _alone = self.creating.lock();
        let topic = match self.topic(name) {
            Ok(topic) if topic.partition_count() >= partitions => return Ok(()),
            Ok(topic) => {
                let before = topic.partition_count();
                tracing::info!(topic = name, before, partitions, "the topic gets more partitions");
                topic.grown_to(partitions)
            }
            Err(_) => Topic::new(name, self.free_id(), (0..partitions).map(|_| OffsetRange::new(0, 0))),
        };
        let row = TopicRow { id: topic.id, partitions, first: topic.first };
        let mut step = self.store.db.batch().durability(Some(PersistMode::SyncData));
        step.insert(&self.store.data, keys::topic(name), row.write());
        step.commit().map_err(failed)?;
        self.all.write().insert(name.to_owned(), Arc::new(topic));
        Ok(())
    }

    /// Number of partitions of the topic with this id.
    pub(super) fn partitions_of(&self, id: u32) -> u32 {
        let all = self.all.read();
        all.values().find(|topic| topic.id == id).map_or(0, |topic| topic.partition_count())
    }

    fn free_id(&self) -> u32 {
        let all = self.all.read();
        all.values().map(|topic| topic.id + 1).max().unwrap_or(0)
    }
}
