//! States for Parquet: sorted by group, in batches of bounded size.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::View;

/// Sorts one state by its group columns where they can be sorted; states of rows stay as they are.
pub fn sort_state(view: &View, states: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
    let groups = view.group_columns();
    let sortable = states.first().is_some_and(|s| {
        view.is_aggregate() && groups > 0 && s.schema().fields()[..groups].iter().all(|f| sorts(f.data_type()))
    });
    if !sortable {
        return Ok(states.to_vec());
    }
    let state = concat_batches(&view.state_schema(), states)?;
    let columns: Vec<SortColumn> =
        state.columns()[..groups].iter().map(|c| SortColumn { values: Arc::clone(c), options: None }).collect();
    let order = lexsort_to_indices(&columns, None)?;
    Ok(vec![take_record_batch(&state, &order)?])
}

fn sorts(data_type: &DataType) -> bool {
    !data_type.is_nested() && !matches!(data_type, DataType::Null)
}

/// Slices of at most `rows` rows, without a copy.
pub fn split_state(state: &RecordBatch, rows: usize) -> impl Iterator<Item = RecordBatch> + '_ {
    (0..state.num_rows()).step_by(rows.max(1)).map(move |from| state.slice(from, rows.min(state.num_rows() - from)))
}
