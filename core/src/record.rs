//! Records of the log, in columns: the value buffer of a batch is contiguous, so it can be decoded, landed and
//! sliced without a copy per record.

use arrow::array::{Array, BinaryArray, Int64Array, StringArray, TimestampMillisecondArray};

use crate::offsets::OffsetRange;

/// Names of the columns that every stream has besides the declared ones.
pub mod column {
    /// Number of the partition, INT.
    pub const PARTITION: &str = "_partition";
    /// Offset in the partition, BIGINT.
    pub const OFFSET: &str = "_offset";
    /// Time of production, TIMESTAMP in milliseconds, UTC.
    pub const TIMESTAMP: &str = "_timestamp";
    /// The record's key, BYTEA; null without one.
    pub const KEY: &str = "_key";
    /// The record's headers, a JSON object as text; null without any.
    pub const HEADERS: &str = "_headers";
    /// The record's value, BYTEA; null for a tombstone.
    pub const VALUE: &str = "_value";

    /// All of these, in the order in which a stream has them.
    pub const METADATA: [&str; 6] = [PARTITION, OFFSET, TIMESTAMP, KEY, HEADERS, VALUE];
}

/// Records without offsets, to be appended. All columns have the same length.
#[derive(Debug, Clone)]
pub struct Records {
    /// Times of production, in milliseconds since the Unix epoch, without nulls.
    pub timestamps: TimestampMillisecondArray,
    /// Keys; null for a record without one.
    pub keys: BinaryArray,
    /// Values; null for a tombstone.
    pub values: BinaryArray,
    /// JSON objects of header name -> value; null for a record without headers.
    pub headers: StringArray,
}

impl Records {
    /// Records that have only a value and a time.
    pub fn from_values<'a>(timestamp_ms: i64, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let values = BinaryArray::from_iter_values(values);
        let n = values.len();
        Self {
            timestamps: TimestampMillisecondArray::from_value(timestamp_ms, n),
            keys: BinaryArray::new_null(n),
            values,
            headers: StringArray::new_null(n),
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records `from .. from + len`, without a copy.
    pub fn slice(&self, from: usize, len: usize) -> Self {
        Self {
            timestamps: self.timestamps.slice(from, len),
            keys: self.keys.slice(from, len),
            values: self.values.slice(from, len),
            headers: self.headers.slice(from, len),
        }
    }

    /// Bytes of keys and values.
    pub fn payload_bytes(&self) -> usize {
        span(self.keys.value_offsets()) + span(self.values.value_offsets())
    }
}

fn span(offsets: &[i32]) -> usize {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => (last - first) as usize,
        _ => 0,
    }
}

/// The result of one read of a partition.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The records' offsets, ascending; numbers may be skipped.
    pub offsets: Int64Array,
    /// The records, one per offset.
    pub records: Records,
    /// `[start of the read, start of the next one)`. The end can lie past the last record's successor (transaction
    /// markers, compacted records), also when no record was read.
    pub range: OffsetRange,
}
