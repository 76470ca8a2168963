//! The newest batches of all partitions in memory.
//!
//! The arrays share the memory of the batches that the store holds before it writes its files, so the tails cost little more
//! than their bound. One bound covers all partitions: the batches appended first leave first.

use std::collections::VecDeque;
use std::sync::Arc;

use dovetail_core::record::Records;

use super::topic::TopicPartition;

/// Bytes of a batch besides its data: the arrays around it.
const BATCH_BYTES: usize = 1024;

/// The content of all tails, in the order of appends. The writer owns it.
#[derive(Debug)]
pub(super) struct Tails {
    most_bytes: usize,
    bytes: usize,
    order: VecDeque<(Arc<TopicPartition>, usize)>,
}

impl Tails {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, bytes: 0, order: VecDeque::new() }
    }

    /// Adds a batch of `bytes` encoded, and drops the oldest ones beyond the bound.
    pub(super) fn push(&mut self, partition: &Arc<TopicPartition>, first: i64, records: Records, bytes: usize) {
        let bytes = bytes + BATCH_BYTES;
        partition.tail.push(first, records);
        self.order.push_back((Arc::clone(partition), bytes));
        self.bytes += bytes;
        while self.bytes > self.most_bytes {
            let Some((oldest, bytes)) = self.order.pop_front() else { break };
            oldest.tail.pop();
            self.bytes -= bytes;
        }
    }
}
