//! States of views without an aggregate: rows, copied so that a slice holds its own memory and nothing else.
//!
//! A fold plan hands out columns of the decoded batch as they are. Kept like that, a slice of a few rows would hold
//! the whole batch, and with the record's own columns the log's memory behind it, for as long as it lives.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::DataType;
use datafusion::common::Result;

/// Batches are joined up to so many rows: there are few of them, and a row is not copied again and again.
const ROWS: usize = 8192;

/// A copy of `batches`, in batches of about 8,192 rows.
pub fn copied(batches: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
    joined(batches.iter().map(copy).collect::<Result<_>>()?)
}

/// Batches that hold their own memory, with small neighbours put together.
pub fn joined(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
    let mut all: Vec<RecordBatch> = vec![];
    let mut small: Vec<RecordBatch> = vec![];
    for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
        if rows(&small) + batch.num_rows() > ROWS {
            all.extend(one(std::mem::take(&mut small))?);
        }
        small.push(batch);
    }
    all.extend(one(small)?);
    Ok(all)
}

fn one(small: Vec<RecordBatch>) -> Result<Option<RecordBatch>> {
    let Some(first) = small.first() else { return Ok(None) };
    if small.len() == 1 {
        return Ok(Some(first.clone()));
    }
    let joined = concat_batches(&first.schema(), &small)?;
    let columns = joined.columns().iter().map(without_views).collect();
    Ok(Some(RecordBatch::try_new(joined.schema(), columns)?))
}

fn copy(batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = UInt32Array::from_iter_values(0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX));
    let copied = batch.columns().iter().map(|column| Ok(without_views(&take(column, &rows, None)?)));
    Ok(RecordBatch::try_new(batch.schema(), copied.collect::<Result<_>>()?)?)
}

/// A copy of views as plain values, because copying views does not copy their buffers.
fn without_views(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    }
}

fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, StringViewArray};

    use super::*;

    fn batch(n: usize) -> RecordBatch {
        let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..n).map(|i| format!("{i:01000}"))));
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..n).map(|i| format!("{i:01000}"))));
        RecordBatch::try_from_iter([("bytes", bytes), ("views", views)]).unwrap()
    }

    #[test]
    fn a_copy_of_few_rows_holds_few_bytes() {
        let large = batch(5000);
        let part = large.slice(700, 3);
        assert!(part.get_array_memory_size() > 1 << 20);
        let copied = copied(std::slice::from_ref(&part)).unwrap();
        assert_eq!(copied, [part]);
        assert!(copied[0].get_array_memory_size() < 20_000, "{}", copied[0].get_array_memory_size());
    }

    #[test]
    fn small_batches_are_put_together() {
        let rows = batch(20_000);
        let small: Vec<RecordBatch> = (0..2000).map(|i| rows.slice(i * 10, 10)).collect();
        let joined = joined(small).unwrap();
        assert_eq!(joined.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [8190, 8190, 3620]);
        assert_eq!(concat_batches(&rows.schema(), &joined).unwrap(), rows);
    }
}
