//! A bounded cache of one partition's latest batches, for the layer that reads later.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::formats::Decoded;

/// Bytes of a batch besides its data: the arrays around it. At the log's end, batches of a few records are common.
const STRETCH_BYTES: usize = 4096;

/// Batches in the order of their offsets, apart from each other.
#[derive(Debug, Default)]
pub(super) struct RecentBatches {
    stretches: VecDeque<(Arc<Decoded>, usize)>,
    bytes: usize,
}

impl RecentBatches {
    /// The batch that contains `offset`.
    pub(super) fn find(&self, offset: i64) -> Option<&Arc<Decoded>> {
        let after = self.stretches.partition_point(|(decoded, _)| decoded.range.start <= offset);
        let (decoded, _) = self.stretches.get(after.checked_sub(1)?)?;
        decoded.range.contains(offset).then_some(decoded)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.stretches.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps `decoded`, whose records have `payload` bytes, and drops the oldest beyond `limit` bytes.
    pub(super) fn keep(&mut self, decoded: &Arc<Decoded>, payload: usize, limit: usize) {
        // A reader that is behind must not evict the batches that the leading one left for it.
        let behind = self.stretches.back().is_some_and(|(last, _)| decoded.range.start < last.range.end);
        let bytes = payload + decoded_bytes(decoded) + STRETCH_BYTES;
        if behind || decoded.range.is_empty() || bytes > limit {
            return;
        }
        self.stretches.push_back((Arc::clone(decoded), bytes));
        self.bytes += bytes;
        while self.bytes > limit {
            let Some((_, freed)) = self.stretches.pop_front() else { break };
            self.bytes -= freed;
        }
    }
}

/// Memory of the declared columns and dead letters: the record's own columns are the log's memory, and payload.
fn decoded_bytes(decoded: &Decoded) -> usize {
    let own = 6.min(decoded.rows.num_columns());
    let declared = &decoded.rows.columns()[..decoded.rows.num_columns() - own];
    let own = |value: &Option<Vec<u8>>, headers: &Option<String>| {
        value.as_ref().map_or(0, Vec::len) + headers.as_ref().map_or(0, String::len)
    };
    let dead = decoded
        .dead
        .iter()
        .map(|d| own(&d.value, &d.headers) + d.error.len() + d.detail.as_ref().map_or(0, String::len) + 100);
    declared.iter().map(|column| column.get_array_memory_size()).sum::<usize>() + dead.sum::<usize>()
}
