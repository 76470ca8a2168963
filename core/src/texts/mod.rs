//! Values from text: the one rule for the meaning of a text in a column of a type, in streams and in lookups.
//!
//! | type | texts |
//! |---|---|
//! | integers | whole numbers, however written: `5`, `5.0`, `5e2`; `3.7` is none |
//! | floats | numbers that the type reaches, `NaN` in any spelling as the one NaN, `inf` |
//! | decimals | numbers; digits beyond the scale are rounded half away from zero |
//! | booleans | PostgreSQL's: `t`, `yes`, `on`, `1`, `TRUE` .. and their opposites |
//! | dates | `2026-03-01`, `20260301`, also in front of a time: the date as it is written |
//! | times | `14:02[:42[.123]]`, also with `AM` or `PM`, before midnight, to the microsecond: see [`micros`] |
//!
//! Space around a text is ignored, and a text of nothing but space is null.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanBuilder, PrimitiveArray, PrimitiveBuilder, StringArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

mod calendar;
mod decimal;
mod float;
mod integer;
mod rounding;

pub use self::calendar::{date, time, time_micros};
pub use self::decimal::decimal;
pub use self::float::{Float, float, one_nan};
pub use self::integer::integer;
pub use self::rounding::{in_unit, micros, micros_of_nanos, timestamps_in};

/// Reads a column of `data_type`; a row whose text is no value of it is null and is added to `bad`. Returns `None` for
/// the types whose texts are not read here.
pub fn column(texts: &StringArray, data_type: &DataType, bad: &mut Vec<usize>) -> Option<ArrayRef> {
    use DataType as D;
    Some(match data_type {
        D::Boolean => booleans(texts, bad),
        D::Int8 => read::<Int8Type>(texts, data_type, bad, integer),
        D::Int16 => read::<Int16Type>(texts, data_type, bad, integer),
        D::Int32 => read::<Int32Type>(texts, data_type, bad, integer),
        D::Int64 => read::<Int64Type>(texts, data_type, bad, integer),
        D::UInt8 => read::<UInt8Type>(texts, data_type, bad, integer),
        D::UInt16 => read::<UInt16Type>(texts, data_type, bad, integer),
        D::UInt32 => read::<UInt32Type>(texts, data_type, bad, integer),
        D::UInt64 => read::<UInt64Type>(texts, data_type, bad, integer),
        D::Float32 => read::<Float32Type>(texts, data_type, bad, float),
        D::Float64 => read::<Float64Type>(texts, data_type, bad, float),
        D::Decimal128(p, s) => read::<Decimal128Type>(texts, data_type, bad, |t| decimal::<Decimal128Type>(t, *p, *s)),
        D::Decimal256(p, s) => read::<Decimal256Type>(texts, data_type, bad, |t| decimal::<Decimal256Type>(t, *p, *s)),
        D::Date32 => read::<Date32Type>(texts, data_type, bad, date),
        D::Date64 => read::<Date64Type>(texts, data_type, bad, |text| Some(i64::from(date(text)?) * 86_400_000)),
        D::Time32(TimeUnit::Second) => {
            read::<Time32SecondType>(texts, data_type, bad, |text| i32::try_from(time(text)? / 1_000_000_000).ok())
        }
        D::Time32(_) => {
            read::<Time32MillisecondType>(texts, data_type, bad, |text| i32::try_from(time(text)? / 1_000_000).ok())
        }
        D::Time64(TimeUnit::Microsecond) => read::<Time64MicrosecondType>(texts, data_type, bad, time_micros),
        D::Time64(_) => read::<Time64NanosecondType>(texts, data_type, bad, time),
        _ => return None,
    })
}

/// Reads each text; one of nothing but space is null. Rows that are no value are added to `bad`.
pub fn read<T: ArrowPrimitiveType>(
    texts: &StringArray,
    data_type: &DataType,
    bad: &mut Vec<usize>,
    read: impl Fn(&str) -> Option<T::Native>,
) -> ArrayRef {
    if texts.null_count() == 0 {
        // Nearly always all texts are there and good: then nothing but the values is built.
        let mut values = Vec::with_capacity(texts.len());
        values.extend((0..texts.len()).map_while(|row| read(texts.value(row))));
        if values.len() == texts.len() {
            return Arc::new(PrimitiveArray::<T>::new(values.into(), None).with_data_type(data_type.clone()));
        }
    }
    let mut values = PrimitiveBuilder::<T>::with_capacity(texts.len()).with_data_type(data_type.clone());
    for (row, text) in texts.iter().enumerate() {
        let Some(text) = text.filter(|text| !text.trim_ascii().is_empty()) else {
            values.append_null();
            continue;
        };
        let value = read(text);
        if value.is_none() {
            bad.push(row);
        }
        values.append_option(value);
    }
    Arc::new(values.finish())
}

fn booleans(texts: &StringArray, bad: &mut Vec<usize>) -> ArrayRef {
    let mut values = BooleanBuilder::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let text = text.filter(|text| !text.trim_ascii().is_empty());
        let value = text.and_then(boolean);
        if text.is_some() && value.is_none() {
            bad.push(row);
        }
        values.append_option(value);
    }
    Arc::new(values.finish())
}

/// PostgreSQL's texts of a boolean, in any case: the words and their unambiguous prefixes.
pub fn boolean(text: &str) -> Option<bool> {
    let text = text.trim_ascii();
    let is = |word: &str, least: usize| {
        (least..=word.len()).contains(&text.len())
            && word.as_bytes()[..text.len()].eq_ignore_ascii_case(text.as_bytes())
    };
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if is("true", 1) || is("yes", 1) || is("on", 2) => Some(true),
        _ if is("false", 1) || is("no", 1) || is("off", 2) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn booleans_are_postgresqls() {
        for text in ["t", "TRUE", "True", "tru", "y", "yes", "on", "1", " true "] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["f", "FALSE", "False", "n", "no", "of", "off", "0"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        for text in ["", "o", "maybe", "truer", "2", "1.0", "é"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }

    #[test]
    fn bad_texts_and_absent_ones_are_told_apart() {
        let texts = StringArray::from(vec![Some("1"), None, Some(" "), Some("x"), Some("2.0")]);
        let mut bad = vec![];
        let column = column(&texts, &DataType::Int32, &mut bad).unwrap();
        let values: Vec<_> = column.as_primitive::<Int32Type>().iter().collect();
        assert_eq!((values, bad), (vec![Some(1), None, None, None, Some(2)], vec![3]));
    }
}
