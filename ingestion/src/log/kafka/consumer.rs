//! A lane is one consumer of librdkafka, which reads each partition at one place.
//!
//! A consumer costs threads and a connection to every broker, whatever it reads. So all partitions share a few of
//! them, and two readers of one partition that are apart are on different lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::Context;
use super::settings::KafkaConfig;

pub(super) struct Lane {
    pub(super) consumer: Arc<BaseConsumer<Context>>,
    patience: Duration,
    /// Locked while events are taken, so that the holder knows that no other task is about to handle one.
    serving: Mutex<()>,
    strays: AtomicU64,
}

impl Lane {
    pub(super) fn open(config: &KafkaConfig, context: Context) -> KafkaResult<Self> {
        let consumer: BaseConsumer<Context> = config.consumer().create_with_context(context)?;
        let (consumer, patience) = (Arc::new(consumer), config.patience);
        Ok(Self { consumer, patience, serving: Mutex::new(()), strays: AtomicU64::new(0) })
    }

    /// Handles all that the consumer has reported so far.
    pub(super) fn serve(&self) {
        let _alone = self.serving.lock();
        let strays = serve(&self.consumer);
        self.strays.fetch_add(strays, Ordering::Relaxed);
    }

    /// Number of records that came to the consumer and not to their partition's queue. There should be none: it would
    /// mean that a queue no longer belongs to its partition, and that the position is not that of the records read.
    pub(super) fn strays(&self) -> u64 {
        self.strays.load(Ordering::Relaxed)
    }

    /// Begins to fetch a partition at `from`. Its records arrive in its own queue, not in the consumer's.
    ///
    /// Blocks until the partition's leader is known, since librdkafka would ask for it only within a second.
    pub(super) fn assign(&self, topic: &str, partition: i32, from: i64) -> KafkaResult<()> {
        self.consumer.fetch_metadata(Some(topic), self.patience)?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(from))?;
        self.consumer.incremental_assign(&list)
    }

    pub(super) fn unassign(&self, topic: &str, partition: i32) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, partition);
        self.consumer.incremental_unassign(&list)
    }

    /// The position behind everything that was taken from the partition's queue, markers of transactions included.
    pub(super) fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        let positions = self.consumer.position().ok()?;
        match positions.find_partition(topic, partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

/// Takes all events of a consumer; later ones are left to other calls. Returns the number of records among them.
pub(super) fn serve(consumer: &BaseConsumer<Context>) -> u64 {
    let mut strays = 0;
    loop {
        let before = consumer.context().events();
        match consumer.poll(Duration::ZERO) {
            Some(Ok(_)) => strays += 1,
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => tracing::debug!(%error, "consumer"),
            None if consumer.context().events() == before => return strays,
            None => {}
        }
    }
}
