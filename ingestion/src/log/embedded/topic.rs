//! A topic and its partitions in memory: bounds that readers watch, and the tail.

use std::sync::Arc;

use dovetail_core::offsets::OffsetRange;
use tokio::sync::watch;

use super::keys::PartitionId;
use super::tail::LogTail;
use crate::log::LogError;

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) id: u32,
    pub(super) partitions: Vec<Arc<TopicPartition>>,
    /// The number of partitions with which it was made.
    pub(super) first: u32,
}

impl Topic {
    /// A topic whose partitions have these bounds.
    pub(super) fn new(name: &str, id: u32, bounds: impl IntoIterator<Item = OffsetRange>) -> Self {
        let name: Arc<str> = name.into();
        let partitions: Vec<_> =
            (0..).zip(bounds).map(|(number, bounds)| TopicPartition::new(&name, id, number, bounds)).collect();
        let first = partitions.len() as u32;
        Self { name, id, partitions, first }
    }

    /// The same, made with `first` partitions.
    pub(super) fn first_with(self, first: u32) -> Self {
        Self { first, ..self }
    }

    /// The same with more partitions, which are empty.
    pub(super) fn grown_to(&self, partitions: u32) -> Self {
        let new = self.partition_count()..partitions;
        let new = new.map(|number| TopicPartition::new(&self.name, self.id, number, OffsetRange::new(0, 0)));
        let partitions = self.partitions.iter().map(Arc::clone).chain(new).collect();
        Self { name: Arc::clone(&self.name), id: self.id, partitions, first: self.first }
    }

    pub(super) fn partition_count(&self) -> u32 {
        self.partitions.len() as u32
    }

    pub(super) fn partition(&self, number: i32) -> Result<&Arc<TopicPartition>, LogError> {
        let partition = usize::try_from(number).ok().and_then(|number| self.partitions.get(number));
        partition.ok_or_else(|| LogError::NoSuchPartition {
            topic: self.name.to_string(),
            partition: number,
            partitions: self.partition_count(),
        })
    }
}

#[derive(Debug)]
pub(super) struct TopicPartition {
    pub(super) topic: Arc<str>,
    pub(super) id: PartitionId,
    /// Durable records only. The writer moves the end, trimming moves the start.
    pub(super) bounds: watch::Sender<OffsetRange>,
    pub(super) tail: LogTail,
}

impl TopicPartition {
    fn new(topic: &Arc<str>, id: u32, number: u32, bounds: OffsetRange) -> Arc<Self> {
        let id = PartitionId { topic: id, number };
        let (topic, bounds) = (Arc::clone(topic), watch::Sender::new(bounds));
        Arc::new(Self { topic, id, bounds, tail: LogTail::default() })
    }

    pub(super) fn bounds(&self) -> OffsetRange {
        *self.bounds.borrow()
    }

    pub(super) fn number(&self) -> i32 {
        self.id.number as i32
    }

    /// The bounds, if a read may begin at `from`.
    pub(super) fn bounds_around(&self, from: i64) -> Result<OffsetRange, LogError> {
        let OffsetRange { start: first, end } = self.bounds();
        let (topic, partition) = (self.topic.to_string(), self.number());
        if from < first {
            return Err(LogError::Trimmed { topic, partition, offset: from, first });
        }
        if from > end {
            return Err(LogError::PastEnd { topic, partition, offset: from, end });
        }
        Ok(OffsetRange { start: first, end })
    }

    pub(super) fn damaged(&self, offset: i64, why: impl ToString) -> LogError {
        LogError::Damaged { topic: self.topic.to_string(), partition: self.number(), offset, why: why.to_string() }
    }
}
