//! The accumulator for many groups at once.

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::NullBuffer;
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::moments::Moments;

impl GroupsAccumulator for Moments {
    fn update_batch(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.resize(total);
        let valid = valid(columns, filter);
        self.change(columns, valid.as_ref(), groups, false)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.take(emit_to).answer()
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.take(emit_to).into_state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.resize(total);
        self.merge(states, groups)
    }

    fn convert_to_state(&self, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows: Vec<usize> = (0..columns.first().map_or(0, |column| column.len())).collect();
        let mut each_row = Self::new(self.shape.clone());
        each_row.update_batch(columns, &rows, filter, rows.len())?;
        each_row.into_state()
    }

    fn size(&self) -> usize {
        Self::size(self)
    }
}

/// The rows to be added: no column is null and the filter is true. `None` means all.
pub(super) fn valid(columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Option<NullBuffer> {
    let of_columns = columns.iter().fold(None, |valid: Option<NullBuffer>, column| {
        NullBuffer::union(valid.as_ref(), column.logical_nulls().as_ref())
    });
    let of_filter = filter.map(|filter| match filter.nulls() {
        Some(nulls) => NullBuffer::new(filter.values() & nulls.inner()),
        None => NullBuffer::new(filter.values().clone()),
    });
    NullBuffer::union(of_columns.as_ref(), of_filter.as_ref()).filter(|valid| valid.null_count() > 0)
}
