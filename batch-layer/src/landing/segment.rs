//! A segment in its buffer: encoded as it grows, so that memory holds compressed bytes, not rows.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{Int64Type, Schema, TimestampMillisecondType};
use bytes::Bytes;
use dovetail_core::encode::{self, ParquetEncoder};
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::column;
use dovetail_ingestion::dead_letters;
use dovetail_ingestion::dead_letters::dead_letter_schema;
use dovetail_ingestion::formats::{DeadLetter, Decoded};
use parquet::errors::ParquetError;

/// A segment to which records are added.
pub(crate) struct Buffer {
    partition: i32,
    range: OffsetRange,
    rows: ParquetEncoder,
    /// The encoder of dead letters, made for the first one.
    dead: Option<ParquetEncoder>,
    row_count: u64,
    dead_count: u64,
    payload_bytes: usize,
    times: TimeRange,
}

/// A complete segment, ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) range: OffsetRange,
    pub(crate) rows: Bytes,
    pub(crate) dead: Option<Bytes>,
    pub(crate) row_count: u64,
    pub(crate) dead_count: u64,
    pub(crate) payload_bytes: usize,
    pub(crate) times: TimeRange,
}

/// Least and greatest time of a segment's records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
}

impl TimeRange {
    pub(crate) fn add(&mut self, first: Option<i64>, last: Option<i64>) {
        self.first = self.first.into_iter().chain(first).min();
        self.last = self.last.into_iter().chain(last).max();
    }
}

impl Buffer {
    /// An empty segment that starts at `start`; `schema` is the stream's decoded one.
    pub(crate) fn new(partition: i32, start: i64, schema: &Schema) -> Result<Self, ParquetError> {
        Ok(Self {
            partition,
            range: OffsetRange::new(start, start),
            rows: encode::segment(schema)?,
            dead: None,
            row_count: 0,
            dead_count: 0,
            payload_bytes: 0,
            times: TimeRange::default(),
        })
    }

    pub(crate) fn range(&self) -> OffsetRange {
        self.range
    }

    /// Bytes of keys and values so far.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Adds the next records.
    ///
    /// # Panics
    /// When `decoded` does not start at the segment's end: the reader asks for exactly that offset.
    pub(crate) fn add(&mut self, decoded: &Decoded) -> Result<(), ParquetError> {
        assert_eq!(decoded.range.start, self.range.end, "records were read from another offset");
        let rows = &decoded.rows;
        if rows.num_rows() > 0 {
            self.rows.write(rows)?;
            let times = rows.column_by_name(column::TIMESTAMP);
            let times = times.and_then(|times| times.as_primitive_opt::<TimestampMillisecondType>());
            self.times.add(times.and_then(min), times.and_then(max));
        }
        self.add_dead(&decoded.dead)?;
        self.row_count += rows.num_rows() as u64;
        self.payload_bytes += payload_bytes(decoded);
        self.range.end = decoded.range.end;
        Ok(())
    }

    fn add_dead(&mut self, dead: &[DeadLetter]) -> Result<(), ParquetError> {
        if dead.is_empty() {
            return Ok(());
        }
        let encoder = match &mut self.dead {
            Some(encoder) => encoder,
            none => none.insert(encode::dead_letters(&dead_letter_schema())?),
        };
        encoder.write(&dead_letters::to_batch(self.partition, dead)?)?;
        let times = dead.iter().map(|letter| letter.timestamp_ms);
        self.times.add(times.clone().min(), times.max());
        self.dead_count += dead.len() as u64;
        Ok(())
    }

    /// Completes the segment.
    pub(crate) fn seal(self) -> Result<Sealed, ParquetError> {
        Ok(Sealed {
            range: self.range,
            rows: encode::finish(self.rows)?,
            dead: self.dead.map(encode::finish).transpose()?,
            row_count: self.row_count,
            dead_count: self.dead_count,
            payload_bytes: self.payload_bytes,
            times: self.times,
        })
    }
}

/// Bytes of keys and values.
pub(crate) fn payload_bytes(decoded: &Decoded) -> usize {
    let bytes = |name| decoded.rows.column_by_name(name).and_then(|c| c.as_binary_opt::<i32>()).map_or(0, span);
    bytes(column::KEY) + bytes(column::VALUE) + dead_letters::payload_bytes(&decoded.dead)
}

fn span(values: &arrow::array::BinaryArray) -> usize {
    match values.value_offsets() {
        [first, .., last] => usize::try_from(last - first).unwrap_or(0),
        _ => 0,
    }
}

/// The part of `decoded` before its first dead letter, and that letter.
pub(crate) fn before_first_dead(decoded: &Decoded) -> Option<(Decoded, &DeadLetter)> {
    let bad = decoded.dead.first()?;
    let rows: &RecordBatch = &decoded.rows;
    let offsets = rows.column_by_name(column::OFFSET).and_then(|c| c.as_primitive_opt::<Int64Type>());
    let good = offsets.map_or(0, |offsets| offsets.values().partition_point(|&offset| offset < bad.offset));
    let before = Decoded {
        partition: decoded.partition,
        range: OffsetRange::new(decoded.range.start, bad.offset),
        rows: rows.slice(0, good),
        dead: vec![],
    };
    Some((before, bad))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, TimestampMillisecondArray};
    use arrow::datatypes::{DataType, Field, TimeUnit};

    use super::*;

    fn decoded(start: i64, end: i64, offsets: &[i64], dead: &[i64]) -> Decoded {
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let fields = [Field::new(column::OFFSET, DataType::Int64, true), Field::new(column::TIMESTAMP, time, true)];
        let times = TimestampMillisecondArray::from_iter_values(offsets.iter().map(|offset| 100 + offset));
        let offsets = Int64Array::from(offsets.to_vec());
        let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(offsets), Arc::new(times.with_timezone("UTC"))];
        let letter = |&offset| DeadLetter {
            offset,
            timestamp_ms: 50,
            key: None,
            value: None,
            headers: None,
            error: "bad".to_owned(),
            detail: None,
        };
        Decoded {
            partition: 0,
            range: OffsetRange::new(start, end),
            rows: RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns).unwrap(),
            dead: dead.iter().map(letter).collect(),
        }
    }

    #[test]
    fn a_segment_covers_offsets_that_hold_no_record() {
        let first = decoded(5, 12, &[5, 8, 9], &[7]);
        let mut buffer = Buffer::new(0, 5, &first.rows.schema()).unwrap();
        buffer.add(&first).unwrap();
        buffer.add(&decoded(12, 20, &[], &[])).unwrap();
        let sealed = buffer.seal().unwrap();
        assert_eq!((sealed.range, sealed.row_count, sealed.dead_count), (OffsetRange::new(5, 20), 3, 1));
        assert_eq!(sealed.times, TimeRange { first: Some(50), last: Some(109) });
        assert!(sealed.dead.is_some());
    }

    #[test]
    fn what_lies_before_a_bad_record_is_cut_at_it() {
        let mixed = decoded(5, 12, &[5, 8, 9], &[7, 10]);
        let (good, bad) = before_first_dead(&mixed).unwrap();
        assert_eq!((good.range, good.rows.num_rows(), bad.offset), (OffsetRange::new(5, 7), 1, 7));
        assert!(before_first_dead(&decoded(0, 3, &[1], &[])).is_none());
    }
}
