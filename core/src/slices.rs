//! The slices of one view in one partition: contiguous, in order, and merged as they grow. The speed layer keeps its
//! sealed slices in this form, the serving layer those that it received.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;

use crate::offsets::OffsetRange;
use crate::realtime::Slice;
use crate::row_states;
use crate::view::View;

/// Contiguous slices from a start upwards.
#[derive(Debug, Default)]
pub struct Slices {
    slices: Vec<SizedSlice>,
}

#[derive(Debug)]
struct SizedSlice {
    slice: Slice,
    bytes: usize,
}

impl Slices {
    /// Appends the slice that starts where the last one ends.
    pub fn push(&mut self, slice: Slice) {
        if slice.range.is_empty() {
            return;
        }
        if let Some(last) = self.slices.last() {
            assert_eq!(last.slice.range.end, slice.range.start, "slices are contiguous");
        }
        self.slices.push(SizedSlice::new(slice));
    }

    /// The slices at or above `start`, which must be a boundary.
    pub fn from(&self, start: i64) -> Vec<Slice> {
        self.slices.iter().map(|s| &s.slice).filter(|s| s.range.start >= start).cloned().collect()
    }

    /// The slice that has `offset` strictly inside; none when it is a boundary.
    pub fn cut_by(&self, offset: i64) -> Option<OffsetRange> {
        self.slices.iter().map(|s| s.slice.range).find(|range| range.is_cut_by(offset))
    }

    /// Replaces the slice of exactly `whole` by its parts below and above `at`; without such a slice it changes
    /// nothing.
    pub fn split(&mut self, whole: OffsetRange, at: i64, below: Slice, above: Slice) {
        let parts = below.range == OffsetRange::new(whole.start, at) && above.range == OffsetRange::new(at, whole.end);
        let Some(i) = self.slices.iter().position(|s| s.slice.range == whole && parts) else { return };
        self.slices.splice(i..=i, [SizedSlice::new(below), SizedSlice::new(above)]);
    }

    /// Drops the slices that end at or below `start`.
    pub fn retire(&mut self, start: i64) {
        self.slices.retain(|s| s.slice.range.end > start);
    }

    /// Whether a slice begins or ends at `offset`.
    pub fn has_boundary(&self, offset: i64) -> bool {
        self.slices.iter().any(|s| s.slice.range.start == offset || s.slice.range.end == offset)
    }

    /// Bytes of all states.
    pub fn bytes(&self) -> usize {
        self.slices.iter().map(|s| s.bytes).sum()
    }

    /// Number of slices.
    pub fn len(&self) -> usize {
        self.slices.len()
    }

    /// Whether there are no slices.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Merges neighbours of similar size until each slice is more than twice as large as the next. So there are few
    /// slices, those near the head stay small, and each row is merged once per doubling of size at most. Nothing is
    /// merged across an offset in `pinned`.
    ///
    /// After an error the slices are as they were before the failed merge.
    pub fn compact(&mut self, view: &View, pinned: &BTreeSet<i64>) -> Result<()> {
        while let Some(left) = next_merge(&self.slices, pinned) {
            let merged = merge(view, &self.slices[left].slice, &self.slices[left + 1].slice)?;
            self.slices.splice(left..=left + 1, [SizedSlice::new(merged)]);
        }
        Ok(())
    }
}

impl SizedSlice {
    fn new(slice: Slice) -> Self {
        let state: usize = slice.state.iter().map(RecordBatch::get_array_memory_size).sum();
        let bytes = state + slice.errors.bytes();
        Self { slice, bytes }
    }
}

fn merge(view: &View, left: &Slice, right: &Slice) -> Result<Slice> {
    let both: Vec<RecordBatch> = left.state.iter().chain(right.state.iter()).cloned().collect();
    let state = if view.is_aggregate() { view.merge(&both)? } else { row_states::joined(both)? };
    let range = OffsetRange::new(left.range.start, right.range.end);
    let mut errors = Arc::clone(&left.errors);
    if !right.errors.is_empty() {
        Arc::make_mut(&mut errors).append(&right.errors);
    }
    Ok(Slice { partition: left.partition, range, state: Arc::new(state), errors })
}

/// Index of the left one of the last pair of neighbours worth merging.
fn next_merge(slices: &[SizedSlice], pinned: &BTreeSet<i64>) -> Option<usize> {
    (1..slices.len()).rev().map(|right| right - 1).find(|&left| {
        let (left, right) = (&slices[left], &slices[left + 1]);
        left.bytes <= right.bytes.saturating_mul(2)
            && pinned.range(left.slice.range.start + 1..right.slice.range.end).next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The offset at which two of the slices, each of one offset, are merged next.
    fn merge_at(sizes: &[usize], pinned: &[i64]) -> Option<usize> {
        let slice = |i| Slice::empty(0, OffsetRange::new(i, i + 1));
        let slices: Vec<SizedSlice> =
            sizes.iter().zip(0..).map(|(&bytes, i)| SizedSlice { slice: slice(i), bytes }).collect();
        next_merge(&slices, &pinned.iter().copied().collect())
    }

    #[test]
    fn the_last_pair_of_similar_size_is_merged() {
        assert_eq!(merge_at(&[100, 40, 10], &[]), None);
        assert_eq!(merge_at(&[100, 40, 20], &[]), Some(1));
        assert_eq!(merge_at(&[40, 40, 10], &[]), Some(0));
        assert_eq!(merge_at(&[], &[]), None);
    }

    #[test]
    fn nothing_is_merged_across_a_pinned_offset() {
        assert_eq!(merge_at(&[1, 1], &[1]), None);
        assert_eq!(merge_at(&[1, 1, 1], &[2]), Some(0));
        let wide = |start, end| SizedSlice { slice: Slice::empty(0, OffsetRange::new(start, end)), bytes: 1 };
        // The cut will have to be made inside the first slice: it must not grow.
        assert_eq!(next_merge(&[wide(0, 10), wide(10, 20)], &[5].into()), None);
        assert_eq!(next_merge(&[wide(0, 10), wide(10, 20)], &[0, 20].into()), Some(0));
    }
}
