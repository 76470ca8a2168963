//! The sealed slices of one view in one partition: contiguous, in order, and merged as they grow.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::realtime::Slice;
use dovetail_core::view::View;

/// Contiguous slices from a floor upwards.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    slices: Vec<Sized>,
}

#[derive(Debug)]
struct Sized {
    slice: Slice,
    bytes: usize,
}

impl Slices {
    /// Appends the state of the range that starts where the last slice ends.
    pub(crate) fn push(&mut self, partition: i32, range: OffsetRange, state: Vec<RecordBatch>) {
        if range.is_empty() {
            return;
        }
        if let Some(last) = self.slices.last() {
            assert_eq!(last.slice.range.end, range.start, "slices are contiguous");
        }
        self.slices.push(Sized::new(Slice { partition, range, state: Arc::new(state) }));
    }

    /// Slices at or above `floor`, which is a boundary.
    pub(crate) fn from(&self, floor: i64) -> Vec<Slice> {
        self.slices.iter().map(|s| &s.slice).filter(|s| s.range.start >= floor).cloned().collect()
    }

    /// The slice that `offset` falls into, if it is not a boundary.
    pub(crate) fn cut_by(&self, offset: i64) -> Option<OffsetRange> {
        self.slices.iter().map(|s| s.slice.range).find(|range| range.is_cut_by(offset))
    }

    /// Replaces the slice `[a, c)` by its parts `[a, b)` and `[b, c)`.
    pub(crate) fn split(&mut self, at: i64, below: Vec<RecordBatch>, above: Vec<RecordBatch>) {
        let Some(i) = self.slices.iter().position(|s| s.slice.range.is_cut_by(at)) else { return };
        let Slice { partition, range, .. } = self.slices[i].slice;
        let part = |start, end, state| {
            Sized::new(Slice { partition, range: OffsetRange::new(start, end), state: Arc::new(state) })
        };
        self.slices.splice(i..=i, [part(range.start, at, below), part(at, range.end, above)]);
    }

    /// Drops slices that end at or below `floor`.
    pub(crate) fn retire(&mut self, floor: i64) {
        self.slices.retain(|s| s.slice.range.end > floor);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slices.iter().map(|s| s.bytes).sum()
    }

    /// Merges neighbours of similar size until each slice is more than twice as large as the next, so that there
    /// are few of them and a slice near the head stays small. Boundaries in `pinned` stay.
    pub(crate) fn compact(&mut self, view: &View, pinned: &BTreeSet<i64>) -> Result<()> {
        let sizes: Vec<(OffsetRange, usize)> = self.slices.iter().map(|s| (s.slice.range, s.bytes)).collect();
        let Some(pair) = next_merge(&sizes, pinned) else { return Ok(()) };
        let right = self.slices.remove(pair + 1).slice;
        let left = &self.slices[pair].slice;
        let both: Vec<RecordBatch> = left.state.iter().chain(right.state.iter()).cloned().collect();
        let range = OffsetRange::new(left.range.start, right.range.end);
        let merged = Slice { partition: left.partition, range, state: Arc::new(view.merge(&both)?) };
        self.slices[pair] = Sized::new(merged);
        self.compact(view, pinned)
    }
}

impl Sized {
    fn new(slice: Slice) -> Self {
        let bytes = slice.state.iter().map(RecordBatch::get_array_memory_size).sum();
        Self { slice, bytes }
    }
}

/// The last pair of neighbours worth merging: the left one is at most twice as large, and nothing pins their
/// boundary.
fn next_merge(slices: &[(OffsetRange, usize)], pinned: &BTreeSet<i64>) -> Option<usize> {
    (1..slices.len())
        .rev()
        .find(|&right| slices[right - 1].1 <= 2 * slices[right].1 && !pinned.contains(&slices[right].0.start))
        .map(|right| right - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(sizes: &[usize], pinned: &[i64]) -> Option<usize> {
        let slices: Vec<_> =
            sizes.iter().zip(0..).map(|(&bytes, i)| (OffsetRange::new(i, i + 1), bytes)).collect();
        next_merge(&slices, &pinned.iter().copied().collect())
    }

    #[test]
    fn the_last_pair_of_similar_size_is_merged() {
        assert_eq!(merge(&[100, 40, 10], &[]), None);
        assert_eq!(merge(&[100, 40, 20], &[]), Some(1));
        assert_eq!(merge(&[40, 40, 10], &[]), Some(0));
        assert_eq!(merge(&[], &[]), None);
    }

    #[test]
    fn a_pinned_boundary_stays() {
        assert_eq!(merge(&[1, 1], &[1]), None);
        assert_eq!(merge(&[1, 1, 1], &[2]), Some(0));
    }
}
