//! Generated rows of a stream: NULL, plain values, and the extremes of each type, together in all columns and in turns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    UInt32Array, new_empty_array, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef, TimeUnit, i256};
use datafusion::common::{Result, ScalarValue};

use crate::record::column::{OFFSET, PARTITION};

/// Index of the row with NULL in every column.
pub(super) const NULLS: usize = 0;
/// Index of the row with a plain value in every column, no extreme.
pub(super) const PLAIN: usize = 1;

/// Number of values of a number's type without the extremes.
const FEW: usize = 2;

/// Rows of `schema`: [`NULLS`], [`PLAIN`], and as many more as it takes for each value of each column to occur, first
/// all columns' k-th values together, then shifted against each other.
///
/// Without `extremes`, numbers are small: for functions whose result grows with a number's value.
pub(super) fn rows(schema: &SchemaRef, extremes: bool) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| values(field.data_type(), extremes));
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    let most = columns.iter().map(|column| column.len()).max().unwrap_or(0);
    let rows = 2 * most;
    let picked = columns.iter().zip(schema.fields()).enumerate().map(|(c, (column, field))| {
        // Every record has values in these columns.
        match field.name().as_str() {
            PARTITION => return Ok(Arc::new(Int32Array::from(vec![0; rows])) as ArrayRef),
            OFFSET => return Ok(Arc::new(Int64Array::from_iter_values(0..rows as i64)) as ArrayRef),
            _ => {}
        }
        let shift = |row: usize| if row < most { row } else { row + (row - most + 1) * c };
        let picks = (0..rows).map(|row| (shift(row) % column.len().max(1)) as u32);
        Ok(take(column, &UInt32Array::from_iter_values(picks), None)?)
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), picked.collect::<Result<_>>()?)?)
}

/// NULL, a plain value, then extremes.
fn values(data_type: &DataType, extremes: bool) -> Result<ArrayRef> {
    let scalars = match data_type {
        DataType::Utf8 => return Ok(Arc::new(StringArray::from(texts()))),
        DataType::Binary => return Ok(Arc::new(BinaryArray::from(bytes()))),
        DataType::Struct(fields) => return structs(fields, extremes),
        DataType::List(item) => return lists(item, extremes),
        DataType::Boolean => vec![ScalarValue::from(true), ScalarValue::from(false)],
        DataType::Float32 => {
            [1.5, 0.0, -0.0, f32::NAN, f32::MAX, f32::MIN, f32::MIN_POSITIVE].map(ScalarValue::from).to_vec()
        }
        DataType::Float64 => [2.5, 0.0, -0.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE]
            .map(ScalarValue::from)
            .to_vec(),
        _ => numbers(data_type)?,
    };
    if scalars.is_empty() {
        return Ok(new_null_array(data_type, 2));
    }
    let kept = if extremes { scalars.len() } else { FEW };
    let null = ScalarValue::try_from(data_type)?;
    ScalarValue::iter_to_array(std::iter::once(null).chain(scalars.into_iter().take(kept)))
}

/// Values of whole numbers, and of types that are counted in them: decimals, dates, times.
fn numbers(data_type: &DataType) -> Result<Vec<ScalarValue>> {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000_i64,
    };
    // 0001-01-01 and 9999-12-31, or as far as nanoseconds go.
    let (first, last) = (-62_135_596_800_i64, 253_402_300_799_i64);
    let counts: Vec<i128> = match data_type {
        DataType::Int8 => vec![1, 0, -1, i8::MAX.into(), i8::MIN.into()],
        DataType::Int16 => vec![1, 0, -1, i16::MAX.into(), i16::MIN.into()],
        DataType::Int32 => vec![1, 0, -1, i32::MAX.into(), i32::MIN.into()],
        DataType::Int64 => vec![1, 0, -1, i64::MAX.into(), i64::MIN.into()],
        DataType::UInt8 => vec![1, 0, u8::MAX.into()],
        DataType::UInt16 => vec![1, 0, u16::MAX.into()],
        DataType::UInt32 => vec![1, 0, u32::MAX.into()],
        DataType::UInt64 => vec![1, 0, u64::MAX.into()],
        DataType::Date32 => vec![20_513, 0, (first / 86_400).into(), (last / 86_400).into()],
        DataType::Date64 => vec![20_513 * 86_400_000, 0],
        DataType::Time32(u) | DataType::Time64(u) => {
            vec![43_200 * i128::from(unit(u)), 0, 86_400 * i128::from(unit(u)) - 1]
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            vec![1_772_323_200_000_000_000, 0, i128::from(i64::MIN) + 1_000_000_000, i64::MAX.into()]
        }
        DataType::Timestamp(u, _) => {
            let scale = i128::from(unit(u));
            vec![1_772_323_200 * scale, 0, i128::from(first) * scale, i128::from(last) * scale]
        }
        DataType::Decimal128(precision, _) => {
            let most = 10_i128.pow((*precision).into()) - 1;
            vec![1, 0, most, -most]
        }
        DataType::Decimal256(precision, scale) => {
            let most = i256::from_i128(10).wrapping_pow((*precision).into()).wrapping_sub(i256::ONE);
            let values = [i256::ONE, i256::ZERO, most, most.wrapping_neg()];
            return Ok(values.map(|v| ScalarValue::Decimal256(Some(v), *precision, *scale)).to_vec());
        }
        _ => vec![],
    };
    counts.into_iter().map(|count| counted(count, data_type)).collect()
}

fn counted(count: i128, data_type: &DataType) -> Result<ScalarValue> {
    let wide = ScalarValue::Decimal128(Some(count), 38, 0);
    if let DataType::Decimal128(precision, scale) = data_type {
        return Ok(ScalarValue::Decimal128(Some(count), *precision, *scale));
    }
    match data_type {
        DataType::UInt64 => wide.cast_to(data_type),
        DataType::Date32 | DataType::Time32(_) => wide.cast_to(&DataType::Int32)?.cast_to(data_type),
        _ => wide.cast_to(&DataType::Int64)?.cast_to(data_type),
    }
}

fn texts() -> Vec<Option<String>> {
    let texts = ["1", "", "a", "2026-03-01T00:00:00", "2026-03-01", "é日🙂\u{0}\n", "{\"a\": [1]}", "-0.5", "NaN"];
    let long = "x".repeat(3000);
    let some = texts.map(str::to_owned).into_iter().chain([long]).map(Some);
    std::iter::once(None).chain(some).collect()
}

fn bytes() -> Vec<Option<&'static [u8]>> {
    vec![None, Some(b"1"), Some(b""), Some(b"{\"a\": 1}"), Some(&[0xff, 0x00, 0xfe])]
}

/// NULL, all fields NULL, plain, then the fields' values one after the other.
fn structs(fields: &Fields, extremes: bool) -> Result<ArrayRef> {
    let columns = fields.iter().map(|field| values(field.data_type(), extremes)).collect::<Result<Vec<_>>>()?;
    let most = columns.iter().map(|column| column.len()).max().unwrap_or(0).max(2);
    // A NULL, the plain row, a row of NULLs, the rest.
    let rows: Vec<usize> = [0, PLAIN, NULLS].into_iter().chain(2..most).collect();
    let picked = columns.iter().map(|column| {
        let picks = rows.iter().map(|row| (row % column.len().max(1)) as u32);
        Ok(take(column, &UInt32Array::from_iter_values(picks), None)?)
    });
    let picked = picked.collect::<Result<Vec<_>>>()?;
    let nulls = NullBuffer::from_iter((0..rows.len()).map(|i| i > 0));
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), picked, Some(nulls), rows.len())?))
}

/// NULL, one plain item, no item, one NULL, all values at once.
fn lists(item: &Arc<Field>, extremes: bool) -> Result<ArrayRef> {
    let all = values(item.data_type(), extremes)?;
    let none = new_empty_array(item.data_type());
    let pieces = [all.slice(PLAIN, 1), all.slice(NULLS, 1), Arc::clone(&all)];
    let items: Vec<&dyn Array> = std::iter::once(none.as_ref()).chain(pieces.iter().map(|p| p.as_ref())).collect();
    let items = concat(&items)?;
    let offsets = OffsetBuffer::from_lengths([0, 1, 0, 1, all.len()]);
    let nulls = NullBuffer::from(vec![false, true, true, true, true]);
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, Some(nulls))?))
}
