//! The values that the fast decoder reads too leniently: a number beyond a float becomes infinite, and a number becomes
//! a date.

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::{DataType, Fields, Float32Type, Float64Type};

use super::normalise::is_compact_date;

/// Rows to be read again from their text, ascending. The result for a row does not depend on the other rows.
pub(super) fn doubtful(batch: &RecordBatch, fields: &Fields) -> Vec<usize> {
    let mut rows = Vec::new();
    for (column, field) in batch.columns().iter().zip(fields) {
        add(column, field.data_type(), &mut rows);
    }
    rows.sort_unstable();
    rows.dedup();
    rows
}

fn add(column: &ArrayRef, data_type: &DataType, rows: &mut Vec<usize>) {
    match data_type {
        DataType::Float32 => {
            add_where(column.as_primitive::<Float32Type>().values(), |value| value.is_infinite(), rows)
        }
        DataType::Float64 => {
            add_where(column.as_primitive::<Float64Type>().values(), |value| value.is_infinite(), rows)
        }
        DataType::Date32 | DataType::Date64 => {
            let texts = column.as_string::<i32>();
            rows.extend((0..texts.len()).filter(|&row| texts.is_valid(row) && is_compact_date(texts.value(row))));
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            columns.iter().zip(fields).for_each(|(column, field)| add(column, field.data_type(), rows));
        }
        DataType::List(field) => add_items(column.as_list::<i32>(), field.data_type(), rows),
        DataType::LargeList(field) => add_items(column.as_list::<i64>(), field.data_type(), rows),
        _ => {}
    }
}

fn add_where<T: Copy>(values: &[T], is: impl Fn(T) -> bool, rows: &mut Vec<usize>) {
    // There is nearly never one: the compiler makes vector instructions of the search.
    if values.iter().fold(false, |any, value| any | is(*value)) {
        rows.extend((0..values.len()).filter(|&row| is(values[row])));
    }
}

fn add_items<O: OffsetSizeTrait>(lists: &GenericListArray<O>, data_type: &DataType, rows: &mut Vec<usize>) {
    let mut items = Vec::new();
    add(lists.values(), data_type, &mut items);
    let offsets = lists.offsets();
    // As in `text::lists`.
    rows.extend(
        items.into_iter().map(|item| offsets.partition_point(|start| start.as_usize() <= item).saturating_sub(1)),
    );
}
