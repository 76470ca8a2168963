//! The log's topics: looked up on every call, created rarely.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use dovetail_core::offsets::OffsetRange;
use fjall::PersistMode;

use super::keys;
use super::store::{Store, failed};
use super::topic::{Partition, Topic};
use crate::log::LogError;

pub(super) struct Topics {
    store: Store,
    all: RwLock<HashMap<String, Arc<Topic>>>,
    /// Held while a topic is created, so that two do not get one id.
    creating: Mutex<()>,
}

impl Topics {
    pub(super) fn load(store: Store) -> Result<Self, LogError> {
        let all = RwLock::new(store.topics()?);
        Ok(Self { store, all, creating: Mutex::default() })
    }

    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).map(Arc::clone).ok_or_else(|| LogError::NoSuchTopic { topic: name.to_owned() })
    }

    pub(super) fn partition(&self, topic: &str, number: i32) -> Result<Arc<Partition>, LogError> {
        self.topic(topic)?.partition(number).map(Arc::clone)
    }

    /// Makes sure that the topic exists with this many partitions. May block on the disk.
    pub(super) fn create(&self, name: &str, partitions: u32) -> Result<(), LogError> {
        let _alone = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(topic) = self.topic(name) {
            return same_partitions(&topic, partitions);
        }
        let id = self.free_id();
        let row = [id.to_be_bytes(), partitions.to_be_bytes()].concat();
        let mut step = self.store.db.batch().durability(Some(PersistMode::SyncData));
        step.insert(&self.store.data, keys::topic(name), row);
        step.commit().map_err(failed)?;

        let bounds = (0..partitions).map(|_| OffsetRange::new(0, 0));
        let topic = Arc::new(Topic::new(name, id, bounds));
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), topic);
        Ok(())
    }

    fn free_id(&self) -> u32 {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|topic| topic.id + 1).max().unwrap_or(0)
    }
}

fn same_partitions(topic: &Topic, wanted: u32) -> Result<(), LogError> {
    let existing = topic.partition_count();
    if existing == wanted {
        return Ok(());
    }
    Err(LogError::PartitionsDiffer { topic: topic.name.to_string(), existing, wanted })
}
