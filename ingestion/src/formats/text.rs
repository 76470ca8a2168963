//! Columns of text, converted to the declared types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, StringArray, StructArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, FieldRef, Fields, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampSecondType,
};
use arrow::error::ArrowError;
use dovetail_core::texts::{self, one_nan};

use super::DeadRow;
use super::timestamp::{Timestamps, Unreadable};
use super::types::has_float;
use crate::formats::reason::{Why, shortened};

/// Converts texts in `raw` to `data_type`; `""` becomes null. Rows that cannot be converted become null and are added
/// to `bad`. `path` is the column's name, with its outer columns.
pub(super) fn convert(
    raw: &ArrayRef,
    data_type: &DataType,
    path: &str,
    timestamps: &mut Timestamps,
    bad: &mut Vec<DeadRow>,
) -> Result<ArrayRef, ArrowError> {
    match (raw.data_type(), data_type) {
        (from, DataType::Float32 | DataType::Float64) if from == data_type => Ok(one_nan(raw)),
        (from, to) if from == to && !has_float(to) => Ok(Arc::clone(raw)),
        (_, DataType::Timestamp(unit, _)) => {
            let texts = raw.as_string::<i32>();
            Ok(match unit {
                TimeUnit::Second => times::<TimestampSecondType>(texts, data_type, *unit, path, timestamps, bad),
                TimeUnit::Millisecond => {
                    times::<TimestampMillisecondType>(texts, data_type, *unit, path, timestamps, bad)
                }
                // Nanoseconds are refused as a column's type.
                TimeUnit::Microsecond | TimeUnit::Nanosecond => {
                    times::<TimestampMicrosecondType>(texts, data_type, *unit, path, timestamps, bad)
                }
            })
        }
        (DataType::Struct(_), DataType::Struct(fields)) => structs(raw.as_struct(), fields, path, timestamps, bad),
        (DataType::List(_), DataType::List(field)) => lists(raw.as_list::<i32>(), field, path, timestamps, bad),
        (DataType::LargeList(_), DataType::LargeList(field)) => {
            lists(raw.as_list::<i64>(), field, path, timestamps, bad)
        }
        _ => scalars(raw, data_type, path, bad),
    }
}

fn times<T: ArrowPrimitiveType<Native = i64>>(
    texts: &StringArray,
    data_type: &DataType,
    unit: TimeUnit,
    path: &str,
    timestamps: &mut Timestamps,
    bad: &mut Vec<DeadRow>,
) -> ArrayRef {
    let mut values = arrow::array::PrimitiveBuilder::<T>::with_capacity(texts.len()).with_data_type(data_type.clone());
    for (row, text) in texts.iter().enumerate() {
        match text.filter(|text| !text.is_empty()).map(|text| (text, timestamps.read(text, unit))) {
            None => values.append_null(),
            Some((_, Ok(value))) => values.append_value(value),
            Some((text, Err(unreadable))) => {
                bad.push(DeadRow { row, why: no_time(unreadable, text, path, data_type) });
                values.append_null();
            }
        }
    }
    Arc::new(values.finish())
}

fn no_time(unreadable: Unreadable, text: &str, path: &str, data_type: &DataType) -> Why {
    match unreadable {
        Unreadable::Text => Why::not_a(path, data_type, text),
        Unreadable::BeyondYears => Why::of(
            format!(
                "column `{path}` is beyond the years 1 to 9999; see what the stream's `timestamp_unit` says it counts"
            ),
            shortened(text),
        ),
    }
}

fn structs(
    raw: &StructArray,
    fields: &Fields,
    path: &str,
    timestamps: &mut Timestamps,
    bad: &mut Vec<DeadRow>,
) -> Result<ArrayRef, ArrowError> {
    let columns = raw
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| convert(column, field.data_type(), &format!("{path}.{}", field.name()), timestamps, bad))
        .collect::<Result<_, _>>()?;
    let array = StructArray::try_new_with_length(fields.clone(), columns, raw.nulls().cloned(), raw.len())?;
    Ok(Arc::new(array))
}

fn lists<O: OffsetSizeTrait>(
    raw: &GenericListArray<O>,
    field: &FieldRef,
    path: &str,
    timestamps: &mut Timestamps,
    bad: &mut Vec<DeadRow>,
) -> Result<ArrayRef, ArrowError> {
    let mut bad_items = Vec::new();
    let items = convert(raw.values(), field.data_type(), &format!("{path}[]"), timestamps, &mut bad_items)?;
    let offsets = raw.offsets();
    // The row of an item is the last list that starts at or before it; empty ones before it start there too.
    bad.extend(bad_items.into_iter().map(|item| DeadRow {
        row: offsets.partition_point(|start| start.as_usize() <= item.row).saturating_sub(1),
        why: item.why,
    }));
    let array = GenericListArray::try_new(Arc::clone(field), offsets.clone(), items, raw.nulls().cloned())?;
    Ok(Arc::new(array))
}

fn scalars(raw: &ArrayRef, data_type: &DataType, path: &str, bad: &mut Vec<DeadRow>) -> Result<ArrayRef, ArrowError> {
    let texts = raw.as_string::<i32>();
    let mut bad_texts = Vec::new();
    let array = match texts::column(texts, data_type, &mut bad_texts) {
        Some(array) => array,
        // Other representations of text, and bytes.
        None => cast_with_options(raw, data_type, &CastOptions::default())?,
    };
    let why = |row: usize| Why::not_a(path, data_type, texts.value(row));
    bad.extend(bad_texts.into_iter().map(|row| DeadRow { row, why: why(row) }));
    Ok(array)
}
