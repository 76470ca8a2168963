//! The newest batches in memory, so that a reader at the log's end reads and decodes nothing.
//!
//! The arrays share the memory of the batches that the store holds before it writes its files, so the tail costs little more
//! than its bound. One bound covers all partitions: the batches appended first leave first.

use std::collections::VecDeque;
use std::sync::Arc;

use dovetail_core::record::Records;
use parking_lot::Mutex;

use super::topic::TopicPartition;
use crate::log::embedded::batch_builder::BatchBuilder;

/// Bytes of a batch besides its data: the arrays around it.
const BATCH_BYTES: usize = 1024;

/// The newest batches of one partition.
#[derive(Debug, Default)]
pub(super) struct LogTail(Mutex<VecDeque<(i64, Records)>>);

impl LogTail {
    /// Fills `page` from the tail; returns `false` when the tail does not have the start of the page.
    pub(super) fn fill(&self, page: &mut BatchBuilder) -> bool {
        let batches = self.lock();
        let found = batches.partition_point(|(first, _)| *first <= page.next());
        if found == 0 {
            return false;
        }
        for (first, records) in batches.iter().skip(found - 1) {
            if !page.push(*first, records) {
                break;
            }
        }
        !page.is_empty()
    }

    fn push(&self, first: i64, records: Records) {
        self.lock().push_back((first, records));
    }

    fn pop(&self) {
        self.lock().pop_front();
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, VecDeque<(i64, Records)>> {
        self.0.lock()
    }
}

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
