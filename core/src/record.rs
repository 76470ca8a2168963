//! Records of the log, in columns: the value buffer of a batch is contiguous, so it can be decoded, landed and
//! sliced without a copy per record.

use arrow::array::{Array, BinaryArray, Int64Array, StringArray, TimestampMillisecondArray};

use crate::offsets::OffsetRange;

/// Names of the columns that every stream has besides the declared ones.
pub mod column {
    pub const PARTITION: &str = "_partition";
    pub const OFFSET: &str = "_offset";
    pub const TIMESTAMP: &str = "_timestamp";
    pub const KEY: &str = "_key";
    pub const HEADERS: &str = "_headers";
    pub const VALUE: &str = "_value";

    /// All of them, in the order in which a stream has them.
    pub const METADATA: [&str; 6] = [PARTITION, OFFSET, TIMESTAMP, KEY, HEADERS, VALUE];
}

/// Records without offsets yet: what is appended. All columns have the same length.
#[derive(Debug, Clone)]
pub struct Records {
    /// When the record was produced, milliseconds since the epoch, no nulls.
    pub timestamps: TimestampMillisecondArray,
    /// Null where a record has no key.
    pub keys: BinaryArray,
    /// Null is a tombstone.
    pub values: BinaryArray,
    /// A JSON object of header name -> value; null where a record has none.
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

/// What one read of a partition returned.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// One per record, ascending, may skip numbers.
    pub offsets: Int64Array,
    pub records: Records,
    /// `[where the read began, where the next one begins)`; the end can lie past the last record's successor
    /// (transaction markers, compacted records), also when no record was read.
    pub range: OffsetRange,
}
