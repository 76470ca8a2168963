//! Bytes of each row of an argument.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::scalar::ScalarValue;

/// Bytes (or elements) of the value of each row.
#[derive(Debug)]
pub enum Width {
    /// The same for every row.
    Same(u64),
    /// One number per row.
    Each(Vec<u64>),
}

impl Width {
    /// Bytes of each value of an argument.
    ///
    /// # Errors
    /// When a scalar cannot be made an array.
    pub fn of(argument: &ColumnarValue) -> Result<Self> {
        Ok(match argument {
            ColumnarValue::Array(array) => Self::of_array(array),
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text))) => {
                Self::Same(text.len() as u64)
            }
            ColumnarValue::Scalar(scalar) => Self::Same(Self::of_array(&scalar.to_array()?).at(0)),
        })
    }

    /// Bytes of each value; values inside lists count by their mean.
    pub fn of_array(array: &ArrayRef) -> Self {
        let (data_type, rows) = (array.data_type(), array.len());
        if let Some(width) = data_type.primitive_width() {
            return Self::Same(width as u64);
        }
        match data_type {
            DataType::Utf8 => Self::from(array.as_string::<i32>().offsets().lengths()),
            DataType::LargeUtf8 => Self::from(array.as_string::<i64>().offsets().lengths()),
            DataType::Binary => Self::from(array.as_binary::<i32>().offsets().lengths()),
            DataType::LargeBinary => Self::from(array.as_binary::<i64>().offsets().lengths()),
            DataType::Utf8View => Self::from(array.as_string_view().lengths().map(|length| length as usize)),
            DataType::BinaryView => Self::from(array.as_binary_view().lengths().map(|length| length as usize)),
            DataType::List(_) => {
                let lists = array.as_list::<i32>();
                Self::from(lists.offsets().lengths()).times(mean(lists.values()))
            }
            DataType::LargeList(_) => {
                let lists = array.as_list::<i64>();
                Self::from(lists.offsets().lengths()).times(mean(lists.values()))
            }
            DataType::Struct(_) => {
                array.as_struct().columns().iter().map(Self::of_array).fold(Self::Same(1), Self::plus)
            }
            DataType::Null | DataType::Boolean => Self::Same(1),
            _ => Self::Same(array.to_data().get_slice_memory_size().unwrap_or(0).div_ceil(rows.max(1)) as u64),
        }
    }

    /// The number of one row.
    pub fn at(&self, row: usize) -> u64 {
        match self {
            Self::Same(width) => *width,
            Self::Each(widths) => widths.get(row).copied().unwrap_or(0),
        }
    }

    /// The sum over all `rows`.
    pub fn total(&self, rows: usize) -> u64 {
        match self {
            Self::Same(width) => width.saturating_mul(rows as u64),
            Self::Each(widths) => widths.iter().sum(),
        }
    }

    fn times(self, factor: u64) -> Self {
        match self {
            Self::Same(width) => Self::Same(width.saturating_mul(factor)),
            Self::Each(widths) => Self::Each(widths.into_iter().map(|width| width.saturating_mul(factor)).collect()),
        }
    }

    /// The sums, row by row.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Same(a), Self::Same(b)) => Self::Same(a.saturating_add(b)),
            (Self::Each(widths), Self::Same(more)) | (Self::Same(more), Self::Each(widths)) => {
                Self::Each(widths.into_iter().map(|width| width.saturating_add(more)).collect())
            }
            (Self::Each(a), Self::Each(b)) => Self::Each(a.iter().zip(&b).map(|(a, b)| a.saturating_add(*b)).collect()),
        }
    }

    fn from(lengths: impl Iterator<Item = usize>) -> Self {
        Self::Each(lengths.map(|length| length as u64).collect())
    }
}

/// Bytes of all values of an argument over `rows`, without looking at each.
///
/// # Errors
/// When a scalar cannot be made an array.
pub(super) fn total(argument: &ColumnarValue, rows: usize) -> Result<u64> {
    Ok(match argument {
        ColumnarValue::Array(array) => total_of_array(array),
        ColumnarValue::Scalar(_) => Width::of(argument)?.total(rows),
    })
}

pub(super) fn total_of_array(array: &ArrayRef) -> u64 {
    let between =
        |first: Option<i64>, last: Option<i64>| u64::try_from(last.unwrap_or(0) - first.unwrap_or(0)).unwrap_or(0);
    let short = |offsets: &[i32]| between(offsets.first().map(|o| (*o).into()), offsets.last().map(|o| (*o).into()));
    let long = |offsets: &[i64]| between(offsets.first().copied(), offsets.last().copied());
    match array.data_type() {
        DataType::Utf8 => short(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => long(array.as_string::<i64>().value_offsets()),
        DataType::Binary => short(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => long(array.as_binary::<i64>().value_offsets()),
        _ => Width::of_array(array).total(array.len()),
    }
}

/// Elements of each list of the array; one for an array of another type.
pub fn elements(array: &ArrayRef) -> Width {
    match array.data_type() {
        DataType::List(_) => Width::from(array.as_list::<i32>().offsets().lengths()),
        DataType::LargeList(_) => Width::from(array.as_list::<i64>().offsets().lengths()),
        DataType::FixedSizeList(_, length) => Width::Same(u64::try_from(*length).unwrap_or(0)),
        _ => Width::Same(1),
    }
}

/// Mean bytes of a value, at least one.
fn mean(values: &ArrayRef) -> u64 {
    Width::of_array(values).total(values.len()).div_ceil(values.len().max(1) as u64).max(1)
}
