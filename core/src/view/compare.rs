//! Comparison of two answers of one view, as exact as its aggregates allow.

use std::collections::HashMap;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use datafusion::common::Result;

use super::Exactness;

/// A row or value in which two answers differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The row's text on the left; `None` where it is missing.
    pub left: Option<String>,
    /// The row's text on the right; `None` where it is missing.
    pub right: Option<String>,
}

/// Returns the rows of `left` and `right` that differ, as multisets; `columns` gives the exactness of each column.
///
/// Rows are matched by their exact columns, to the bit. Values of sketches only have to be both present or both null:
/// sketches are compared by [`View::compare_sketches`](super::View::compare_sketches).
pub fn compare_answers(
    schema: &SchemaRef,
    left: &[RecordBatch],
    right: &[RecordBatch],
    columns: &[Exactness],
) -> Result<Vec<Difference>> {
    let left = concat_batches(schema, left)?;
    let right = concat_batches(schema, right)?;
    let is_sketch = |i: &usize| columns.get(*i) == Some(&Exactness::Sketch);
    let (sketches, exact): (Vec<_>, Vec<_>) = (0..schema.fields().len()).partition(is_sketch);
    let left_rows = rows_by_key(&left, &exact)?;
    let mut right_rows = rows_by_key(&right, &exact)?;
    let mut differences = vec![];
    for (key, mine) in left_rows {
        let mut theirs = right_rows.remove(&key).unwrap_or_default();
        for row in mine {
            match theirs.iter().position(|&other| as_null(&left, row, &right, other, &sketches)) {
                Some(found) => drop(theirs.swap_remove(found)),
                None => {
                    let right = theirs.pop().map(|other| text(&right, other)).transpose()?;
                    differences.push(Difference { left: Some(text(&left, row)?), right });
                }
            }
        }
        for other in theirs {
            differences.push(Difference { left: None, right: Some(text(&right, other)?) });
        }
    }
    for other in right_rows.into_values().flatten() {
        differences.push(Difference { left: None, right: Some(text(&right, other)?) });
    }
    Ok(differences)
}

fn rows_by_key(batch: &RecordBatch, columns: &[usize]) -> Result<HashMap<Vec<u8>, Vec<usize>>> {
    let mut rows = HashMap::<Vec<u8>, Vec<usize>>::new();
    if columns.is_empty() {
        rows.insert(vec![], (0..batch.num_rows()).collect());
        return Ok(rows);
    }
    let key = batch.project(columns)?;
    let fields = key.schema().fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
    let keys = RowConverter::new(fields)?.convert_columns(key.columns())?;
    for (i, key) in keys.iter().enumerate() {
        rows.entry(key.as_ref().to_vec()).or_default().push(i);
    }
    Ok(rows)
}

fn as_null(a: &RecordBatch, i: usize, b: &RecordBatch, j: usize, columns: &[usize]) -> bool {
    columns.iter().all(|&c| a.column(c).is_null(i) == b.column(c).is_null(j))
}

fn text(batch: &RecordBatch, row: usize) -> Result<String> {
    let values = batch.columns().iter().map(|c| array_value_to_string(c, row)).collect::<Result<Vec<_>, _>>()?;
    Ok(values.join(" | "))
}
