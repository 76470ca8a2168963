//! The meaning of a text does not depend on the texts beside it: batches are cut by chance.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::compute::concat;
use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

use super::super::cast::casted;

const TEXTS: [&str; 62] = [
    "",
    " ",
    "0",
    "-0",
    "5",
    "-5",
    " 5 ",
    "5.5",
    "2.5e3",
    "1e400",
    "-1e400",
    "1e39",
    "1e-400",
    "NaN",
    "-NaN",
    "inf",
    "-Infinity",
    "18446744073709551624",
    "-9223372036854775809",
    "99999999999999999999999999999999999999999",
    "0x10",
    "1_000",
    "true",
    "yes",
    "x",
    "{1,2}",
    "\\x00ff",
    "\\xzz",
    "2026-03-01",
    "2026-3-1",
    " 2026-03-01",
    "2026-03-1 ",
    "20260301",
    "2026-02-29",
    "0000-01-01",
    "-0001-01-01",
    "9999-12-31",
    "1500-01-01",
    "2026-03-01  0:11:12",
    "2026-03-01T 1:11:12",
    "2026-03-01 10:00",
    "2026-03-01 10:00:00.123456789",
    "2026-03-01 10:11:12.32 34567",
    "2026-03-01T10:00:00Z",
    "2026-03-01 10:00:00+02",
    "2026-03-01 10:00+14:60",
    "2026-03-01 10:00 Europe/Berlin",
    "2026-03-29 02:30",
    "2026-10-25 02:30",
    "2026-03-01 10:00 nonsense",
    "2026-03-01 24:00",
    "23:59:60",
    "10:11:12",
    "101112",
    "10:11",
    "1 day",
    "15",
    "1.5",
    "1 mon -2 days",
    "today",
    "é",
    "2026-03-0é",
];

fn types() -> Vec<DataType> {
    let mut types = vec![
        DataType::Int16,
        DataType::Int64,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(20, 4),
        DataType::Decimal256(60, 10),
        DataType::Boolean,
        DataType::Date32,
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Binary,
        DataType::Interval(IntervalUnit::MonthDayNano),
    ];
    for unit in [TimeUnit::Second, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        for zone in [None, Some("UTC"), Some("Europe/Berlin")] {
            types.push(DataType::Timestamp(unit, zone.map(Into::into)));
        }
    }
    types
}

fn read(texts: &[&str], to: &DataType) -> Option<ArrayRef> {
    casted(&(Arc::new(StringArray::from(texts.to_vec())) as ArrayRef), to).ok()
}

#[test]
fn a_text_means_the_same_alone_and_beside_others() {
    for to in types() {
        let alone: Vec<Option<ArrayRef>> = TEXTS.iter().map(|text| read(&[text], &to)).collect();
        assert!(alone.iter().any(Option::is_some) && alone.iter().any(Option::is_none), "{to}");
        for (text, one) in TEXTS.iter().zip(&alone) {
            for (other_text, other) in TEXTS.iter().zip(&alone) {
                let expected =
                    one.as_ref().zip(other.as_ref()).map(|(a, b)| concat(&[a.as_ref(), b.as_ref()]).unwrap());
                let found = read(&[text, other_text], &to);
                assert_eq!(found.is_some(), expected.is_some(), "{text:?} beside {other_text:?} as {to}");
                if let (Some(found), Some(expected)) = (found, expected) {
                    assert_eq!(&found, &expected, "{text:?} beside {other_text:?} as {to}");
                }
            }
        }
    }
}
