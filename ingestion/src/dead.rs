//! Dead letters as Parquet: the records of a segment's range that did not decode, with the reason.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};

use crate::decode::DeadLetter;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("partition", DataType::Int32, true),
        Field::new("offset", DataType::Int64, true),
        Field::new("timestamp_ms", DataType::Int64, true),
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, true),
        Field::new("error", DataType::Utf8, true),
    ]))
});

/// Columns of the objects that hold dead letters.
pub fn dead_letter_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// Bytes of keys and values.
pub fn payload_bytes(dead: &[DeadLetter]) -> usize {
    let bytes = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
    dead.iter().map(|letter| bytes(&letter.key) + bytes(&letter.value)).sum()
}

/// The letters of a partition as a batch of [`dead_letter_schema`].
pub fn to_batch(partition: i32, dead: &[DeadLetter]) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_value(partition, dead.len())),
        Arc::new(Int64Array::from_iter_values(dead.iter().map(|letter| letter.offset))),
        Arc::new(Int64Array::from_iter_values(dead.iter().map(|letter| letter.timestamp_ms))),
        Arc::new(BinaryArray::from_iter(dead.iter().map(|letter| letter.key.as_deref()))),
        Arc::new(BinaryArray::from_iter(dead.iter().map(|letter| letter.value.as_deref()))),
        Arc::new(StringArray::from_iter_values(dead.iter().map(|letter| &letter.error))),
    ];
    RecordBatch::try_new(dead_letter_schema(), columns)
}

/// Dead letters as records again, for another attempt to decode them. Their headers were not kept.
pub fn to_records(letters: &RecordBatch) -> Fetched {
    let offsets = letters.column(1).as_primitive::<Int64Type>().clone();
    let times = letters.column(2).as_primitive::<Int64Type>();
    let records = Records {
        timestamps: TimestampMillisecondArray::new(times.values().clone(), None),
        keys: letters.column(3).as_binary().clone(),
        values: letters.column(4).as_binary().clone(),
        headers: StringArray::new_null(letters.num_rows()),
    };
    Fetched { range: span(&offsets), offsets, records }
}

/// The range from the first to the last of `offsets`.
pub fn span(offsets: &Int64Array) -> OffsetRange {
    let last = offsets.len().checked_sub(1);
    match last {
        Some(last) => OffsetRange::new(offsets.value(0), offsets.value(last) + 1),
        None => OffsetRange::new(0, 0),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;

    #[test]
    fn letters_become_the_records_they_were() {
        let letter = |offset, key: Option<&[u8]>, value: Option<&[u8]>| DeadLetter {
            offset,
            timestamp_ms: 1000 + offset,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            error: "no object".to_owned(),
        };
        let letters = [letter(5, Some(b"k"), Some(b"{")), letter(9, None, None)];
        assert_eq!(payload_bytes(&letters), 2);
        let fetched = to_records(&to_batch(3, &letters).unwrap());
        assert_eq!(fetched.range, OffsetRange::new(5, 10));
        assert_eq!(fetched.offsets.values(), &[5, 9]);
        assert_eq!(fetched.records.timestamps.values(), &[1005, 1009]);
        assert_eq!(fetched.records.values.value(0), b"{");
        assert!(fetched.records.keys.is_null(1) && fetched.records.values.is_null(1));
    }
}
