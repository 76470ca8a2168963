//! Sums of integers, one per group: 128 bits hold more rows of 64 bits than can be counted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type};
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;

#[derive(Debug, Default)]
pub(super) struct Integers {
    sums: Vec<i128>,
    seen: Vec<bool>,
}

impl Integers {
    pub(super) const STATE: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

    pub(super) fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, 0);
        self.seen.resize(groups, false);
    }

    #[inline]
    pub(super) fn add(&mut self, group: usize, value: i128) {
        self.sums[group] += value;
        self.seen[group] = true;
    }

    /// The sum; `None` for a group without values.
    pub(super) fn value(&self, group: usize) -> Option<i128> {
        self.seen[group].then_some(self.sums[group])
    }

    pub(super) fn take(&mut self, emit_to: EmitTo) -> Self {
        Self { sums: emit_to.take_needed(&mut self.sums), seen: emit_to.take_needed(&mut self.seen) }
    }

    pub(super) fn state(self) -> Result<ArrayRef> {
        let sums = Decimal128Array::new(self.sums.into(), Some(NullBuffer::from(self.seen)));
        Ok(Arc::new(sums.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?))
    }

    pub(super) fn merge(&mut self, states: &ArrayRef, groups: &[usize]) {
        let states = states.as_primitive::<Decimal128Type>();
        for (row, &group) in groups.iter().enumerate() {
            if states.is_valid(row) {
                self.add(group, states.value(row));
            }
        }
    }

    pub(super) fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.seen.capacity()
    }
}
