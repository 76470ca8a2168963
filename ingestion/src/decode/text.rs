//! Columns of text -> columns of the declared types.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, PrimitiveArray, PrimitiveBuilder, StringArray,
    StructArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, DecimalType, FieldRef, Fields, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;

use super::timestamp::{Timestamps, Unreadable};
use super::types::{a_type, sql_type};
use super::{DeadRow, decimal};

/// Turns what is still text in `raw` into `data_type`; `""` becomes null. Rows that cannot be turned become
/// null and are added to `bad`.
pub(super) fn convert(
    raw: &ArrayRef,
    data_type: &DataType,
    timestamps: &mut Timestamps,
    bad: &mut Vec<DeadRow>,
) -> Result<ArrayRef, ArrowError> {
    match (raw.data_type(), data_type) {
        (from, to) if from == to => Ok(Arc::clone(raw)),
        (_, DataType::Timestamp(unit, _)) => {
            let texts = raw.as_string::<i32>();
            let array: ArrayRef = match unit {
                TimeUnit::Second => times::<TimestampSecondType>(texts, data_type, *unit, timestamps, bad),
                TimeUnit::Millisecond => times::<TimestampMillisecondType>(texts, data_type, *unit, timestamps, bad),
                TimeUnit::Microsecond => times::<TimestampMicrosecondType>(texts, data_type, *unit, timestamps, bad),
                TimeUnit::Nanosecond => times::<TimestampNanosecondType>(texts, data_type, *unit, timestamps, bad),
            };
            Ok(array)
        }
        (_, DataType::Decimal128(p, s)) => Ok(decimals::<Decimal128Type>(raw.as_string(), data_type, *p, *s, bad)),
        (_, DataType::Decimal256(p, s)) => Ok(decimals::<Decimal256Type>(raw.as_string(), data_type, *p, *s, bad)),
        (DataType::Struct(_), DataType::Struct(fields)) => structs(raw.as_struct(), fields, timestamps, bad),
        (DataType::List(_), DataType::List(field)) => lists(raw.as_list::<i32>(), field, timestamps, bad),
        (DataType::LargeList(_), DataType::LargeList(field)) => lists(raw.as_list::<i64>(), field, timestamps, bad),
        _ => scalars(raw, data_type, bad),
    }
}

fn times<T: ArrowPrimitiveType<Native = i64>>(
    texts: &StringArray,
    data_type: &DataType,
    unit: TimeUnit,
    timestamps: &mut Timestamps,
    bad: &mut Vec<DeadRow>,
) -> ArrayRef {
    let read = |text: &str| timestamps.read(text, unit).map_err(|e| time_error(e, text, data_type));
    Arc::new(parsed::<T>(texts, data_type, bad, read))
}

fn time_error(error: Unreadable, text: &str, data_type: &DataType) -> String {
    match (error, data_type) {
        (Unreadable::OutOfRange, DataType::Timestamp(TimeUnit::Nanosecond, _)) => format!(
            "{text:?} is beyond the years 1677 to 2262 of nanoseconds; declare the column TIMESTAMP(6) or TIMESTAMP(3)"
        ),
        (Unreadable::OutOfRange, _) => format!("{text:?} is out of the range of {}", sql_type(data_type)),
        (Unreadable::Text, _) => no(text, data_type),
    }
}

fn decimals<D: DecimalType>(
    texts: &StringArray,
    data_type: &DataType,
    precision: u8,
    scale: i8,
    bad: &mut Vec<DeadRow>,
) -> ArrayRef {
    let read = |text: &str| decimal::read::<D>(text, precision, scale).ok_or_else(|| no(text, data_type));
    Arc::new(parsed::<D>(texts, data_type, bad, read))
}

fn parsed<T: ArrowPrimitiveType>(
    texts: &StringArray,
    data_type: &DataType,
    bad: &mut Vec<DeadRow>,
    mut read: impl FnMut(&str) -> Result<T::Native, String>,
) -> PrimitiveArray<T> {
    let mut values = PrimitiveBuilder::<T>::with_capacity(texts.len()).with_data_type(data_type.clone());
    for (row, text) in texts.iter().enumerate() {
        match text.filter(|text| !text.is_empty()).map(&mut read) {
            None => values.append_null(),
            Some(Ok(value)) => values.append_value(value),
            Some(Err(why)) => {
                bad.push(DeadRow { row, why });
                values.append_null();
            }
        }
    }
    values.finish()
}

fn structs(
    raw: &StructArray,
    fields: &Fields,
    timestamps: &mut Timestamps,
    bad: &mut Vec<DeadRow>,
) -> Result<ArrayRef, ArrowError> {
    let columns = raw
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| convert(column, field.data_type(), timestamps, bad))
        .collect::<Result<_, _>>()?;
    let array = StructArray::try_new_with_length(fields.clone(), columns, raw.nulls().cloned(), raw.len())?;
    Ok(Arc::new(array))
}

fn lists<O: OffsetSizeTrait>(
    raw: &GenericListArray<O>,
    field: &FieldRef,
    timestamps: &mut Timestamps,
    bad: &mut Vec<DeadRow>,
) -> Result<ArrayRef, ArrowError> {
    let mut bad_items = Vec::new();
    let items = convert(raw.values(), field.data_type(), timestamps, &mut bad_items)?;
    let offsets = raw.offsets();
    // The row of an item is the last list that starts at or before it; empty ones before it start there too.
    bad.extend(bad_items.into_iter().map(|item| DeadRow {
        row: offsets.partition_point(|start| start.as_usize() <= item.row).saturating_sub(1),
        why: item.why,
    }));
    let array = GenericListArray::try_new(Arc::clone(field), offsets.clone(), items, raw.nulls().cloned())?;
    Ok(Arc::new(array))
}

/// What arrow casts text to.
fn scalars(raw: &ArrayRef, data_type: &DataType, bad: &mut Vec<DeadRow>) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let array = cast_with_options(raw, data_type, &options)?;
    if array.null_count() > raw.null_count() {
        let failed = raw.as_string::<i32>().iter().enumerate().filter(|(row, _)| array.is_null(*row));
        bad.extend(failed.filter_map(|(row, text)| text.map(|text| DeadRow { row, why: no(text, data_type) })));
    }
    Ok(array)
}

fn no(text: &str, data_type: &DataType) -> String {
    let text: String = text.chars().take(100).collect();
    format!("{text:?} is not {}", a_type(data_type))
}
