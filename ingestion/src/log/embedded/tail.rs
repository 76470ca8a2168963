//! The newest batches of a partition in memory, so that a reader at the log's end reads and decodes nothing.

use std::collections::VecDeque;

use dovetail_core::record::Records;
use parking_lot::Mutex;

use crate::log::embedded::batch_builder::BatchBuilder;

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

    pub(super) fn push(&self, first: i64, records: Records) {
        self.lock().push_back((first, records));
    }

    pub(super) fn pop(&self) {
        self.lock().pop_front();
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, VecDeque<(i64, Records)>> {
        self.0.lock()
    }
}
