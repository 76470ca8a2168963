//! A topic and its partitions as they stand in memory: bounds that readers watch, and the tail.

use std::sync::Arc;

use dovetail_core::offsets::OffsetRange;
use tokio::sync::watch;

use super::keys::PartitionId;
use super::tail::Tail;
use crate::log::LogError;

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) id: u32,
    pub(super) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    /// A topic whose partitions have these bounds.
    pub(super) fn new(name: &str, id: u32, bounds: impl IntoIterator<Item = OffsetRange>) -> Self {
        let name: Arc<str> = name.into();
        let partition = |(number, bounds)| {
            let id = PartitionId { topic: id, number };
            let topic = Arc::clone(&name);
            Arc::new(Partition { topic, id, bounds: watch::Sender::new(bounds), tail: Tail::default() })
        };
        let partitions = (0..).zip(bounds).map(partition).collect();
        Self { name, id, partitions }
    }

    pub(super) fn partition_count(&self) -> u32 {
        self.partitions.len() as u32
    }

    pub(super) fn partition(&self, number: i32) -> Result<&Arc<Partition>, LogError> {
        let partition = usize::try_from(number).ok().and_then(|number| self.partitions.get(number));
        partition.ok_or_else(|| LogError::NoSuchPartition {
            topic: self.name.to_string(),
            partition: number,
            partitions: self.partition_count(),
        })
    }
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) topic: Arc<str>,
    pub(super) id: PartitionId,
    /// Only durable records lie within. The writer moves the end, trimming moves the start.
    pub(super) bounds: watch::Sender<OffsetRange>,
    pub(super) tail: Tail,
}

impl Partition {
    pub(super) fn bounds(&self) -> OffsetRange {
        *self.bounds.borrow()
    }

    pub(super) fn number(&self) -> i32 {
        self.id.number as i32
    }

    /// The bounds, provided that a read may begin at `from`.
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
