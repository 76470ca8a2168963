//! A lane: one consumer of librdkafka, which reads each partition at one place.
//!
//! A consumer costs threads and a connection to every broker, whatever it reads. So all partitions share a few of
//! them, and two readers of one partition that are apart are on different lanes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::Context;
use super::settings::KafkaConfig;

pub(super) struct Lane {
    pub(super) consumer: Arc<BaseConsumer<Context>>,
    /// Held while somebody takes events, so that another knows none is on its way to be noted.
    serving: Mutex<()>,
}

impl Lane {
    pub(super) fn open(config: &KafkaConfig, context: Context) -> KafkaResult<Self> {
        let consumer: BaseConsumer<Context> = config.consumer().create_with_context(context)?;
        Ok(Self { consumer: Arc::new(consumer), serving: Mutex::new(()) })
    }

    /// Takes note of all that the consumer has reported so far.
    pub(super) fn serve(&self) {
        let _alone = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        serve(&self.consumer);
    }

    /// Begins to fetch a partition at `from`. Its records arrive in its own queue, not in the consumer's.
    pub(super) fn assign(&self, topic: &str, partition: i32, from: i64) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(from))?;
        self.consumer.incremental_assign(&list)
    }

    pub(super) fn unassign(&self, topic: &str, partition: i32) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, partition);
        self.consumer.incremental_unassign(&list)
    }

    /// Past everything of the partition that was taken from its queue, markers of transactions included.
    pub(super) fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        let positions = self.consumer.position().ok()?;
        match positions.find_partition(topic, partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

/// Takes all events of a consumer: those that arrive later are another call's.
pub(super) fn serve(consumer: &BaseConsumer<Context>) {
    loop {
        let before = consumer.context().events();
        match consumer.poll(Duration::ZERO) {
            Some(Ok(_)) => tracing::error!("a record arrived outside of its partition's queue"),
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => tracing::debug!(%error, "consumer"),
            None if consumer.context().events() == before => return,
            None => {}
        }
    }
}
