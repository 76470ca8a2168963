//! Dead letters as Parquet: the records of a segment's range that did not decode, whole, with the reason.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};

use crate::formats::DeadLetter;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("partition", DataType::Int32, true),
        Field::new("offset", DataType::Int64, true),
        Field::new("timestamp_ms", DataType::Int64, true),
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, true),
        Field::new("error", DataType::Utf8, true),
        Field::new(HEADERS, DataType::Utf8, true),
        Field::new(DETAIL, DataType::Utf8, true),
    ]))
});

/// The columns that objects of earlier versions lack.
const HEADERS: &str = "headers";
const DETAIL: &str = "detail";

/// Columns of the objects that hold dead letters.
pub fn dead_letter_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// Bytes of keys and values of the letters.
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
        Arc::new(StringArray::from_iter(dead.iter().map(|letter| letter.headers.as_deref()))),
        Arc::new(StringArray::from_iter(dead.iter().map(|letter| letter.detail.as_deref()))),
    ];
    RecordBatch::try_new(dead_letter_schema(), columns)
}

/// The rows of an object with the present columns: dead letters of earlier versions lack some; everything else stays as
/// it is.
pub fn of_today(rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let today = dead_letter_schema();
    let lacks = |name: &str| matches!(name, HEADERS | DETAIL) && rows.column_by_name(name).is_none();
    let earlier = today.fields().iter().map(|field| field.name()).filter(|name| !lacks(name));
    if rows.num_columns() == today.fields().len()
        || !rows.schema().fields().iter().map(|field| field.name()).eq(earlier)
    {
        return Ok(rows);
    }
    let none: ArrayRef = Arc::new(StringArray::new_null(rows.num_rows()));
    let column = |field: &Arc<Field>| ArrayRef::clone(rows.column_by_name(field.name()).unwrap_or(&none));
    let columns = today.fields().iter().map(column).collect();
    RecordBatch::try_new(today, columns)
}

/// Turns dead letters back into records, for another attempt to decode them.
pub fn to_records(letters: RecordBatch) -> Result<Fetched, ArrowError> {
    let letters = of_today(letters)?;
    let offsets = letters.column(1).as_primitive::<Int64Type>().clone();
    let times = letters.column(2).as_primitive::<Int64Type>();
    let records = Records {
        timestamps: TimestampMillisecondArray::new(times.values().clone(), None),
        keys: letters.column(3).as_binary().clone(),
        values: letters.column(4).as_binary().clone(),
        headers: letters.column(6).as_string().clone(),
    };
    Ok(Fetched { range: span(&offsets), offsets, records })
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
        let headers = r#"{"who": "é"}"#;
        let letter = |offset, key: Option<&[u8]>, value: Option<&[u8]>| DeadLetter {
            offset,
            timestamp_ms: 1000 + offset,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: key.map(|_| headers.to_owned()),
            error: "no object".to_owned(),
            detail: Some("EOF".to_owned()),
        };
        let letters = [letter(5, Some(b"k"), Some(b"{")), letter(9, None, None)];
        assert_eq!(payload_bytes(&letters), 2);
        let batch = to_batch(3, &letters).unwrap();
        let fetched = to_records(batch.clone()).unwrap();
        assert_eq!(fetched.range, OffsetRange::new(5, 10));
        assert_eq!(fetched.offsets.values(), &[5, 9]);
        assert_eq!(fetched.records.timestamps.values(), &[1005, 1009]);
        assert_eq!(fetched.records.values.value(0), b"{");
        assert!(fetched.records.keys.is_null(1) && fetched.records.values.is_null(1));
        assert_eq!(fetched.records.headers.iter().collect::<Vec<_>>(), [Some(headers), None]);
        // The form that earlier versions wrote.
        let with_headers = of_today(batch.project(&[0, 1, 2, 3, 4, 5, 6]).unwrap()).unwrap();
        assert_eq!((with_headers.schema(), with_headers.column(7).null_count()), (dead_letter_schema(), 2));
        assert_eq!(with_headers.column(6), batch.column(6));
        let earlier = batch.project(&[0, 1, 2, 3, 4, 5]).unwrap();
        assert_eq!(of_today(earlier.clone()).unwrap().schema(), dead_letter_schema());
        let fetched = to_records(earlier).unwrap();
        assert_eq!(fetched.records.values.value(0), b"{");
        assert_eq!(fetched.records.headers.null_count(), 2);
    }
}
