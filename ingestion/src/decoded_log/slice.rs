//! Parts of a decoded batch, without a copy.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::column::OFFSET;

use crate::formats::Decoded;

impl Decoded {
    /// The part at or after `start`; itself when that is all of it.
    pub fn starting_at(self: &Arc<Self>, start: i64) -> Arc<Self> {
        self.between(start, self.range.end)
    }

    /// The part in `[start, end)`, clipped to the range; itself when that is all of it.
    pub fn between(self: &Arc<Self>, start: i64, end: i64) -> Arc<Self> {
        let start = start.clamp(self.range.start, self.range.end);
        let end = end.clamp(start, self.range.end);
        let range = OffsetRange::new(start, end);
        if range == self.range {
            return Arc::clone(self);
        }
        let (from, to) = (self.row_at(start), self.row_at(end));
        let dead = self.dead.iter().filter(|letter| range.contains(letter.offset)).cloned().collect();
        Arc::new(Self { partition: self.partition, range, rows: self.rows.slice(from, to - from), dead })
    }

    /// Index of the first row at or after `offset`.
    fn row_at(&self, offset: i64) -> usize {
        match self.rows.column_by_name(OFFSET).and_then(|c| c.as_primitive_opt::<Int64Type>()) {
            Some(offsets) => offsets.values().partition_point(|&o| o < offset),
            None => 0,
        }
    }
}
