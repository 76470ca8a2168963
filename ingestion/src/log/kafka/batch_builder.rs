//! The batch of a read: records in columns, or only the marks of sources.

use arrow::array::{Array, BinaryBuilder, Int64Array, StringBuilder, TimestampMillisecondArray};
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};
use rdkafka::message::{Message, Timestamp};

use super::headers;
use crate::log::Spread;

/// Greatest size in bytes: Arrow counts to 2 GiB.
const MOST_BYTES: usize = 1 << 30;
/// Bytes allocated at first: most reads at the log's end return little.
const FIRST_BYTES: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct FetchBuilder {
    from: i64,
    most_bytes: usize,
    bytes: usize,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    keys: BinaryBuilder,
    values: BinaryBuilder,
    headers: StringBuilder,
    marks: Option<Vec<Mark>>,
}

/// The source of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) offset: i64,
    pub(super) source: String,
    pub(super) number: u64,
    pub(super) spread: Spread,
}

impl FetchBuilder {
    pub(super) fn new(from: i64, most_bytes: usize) -> Self {
        let first = most_bytes.min(FIRST_BYTES);
        Self {
            from,
            most_bytes: most_bytes.min(MOST_BYTES),
            bytes: 0,
            offsets: Vec::new(),
            timestamps: Vec::new(),
            keys: BinaryBuilder::new(),
            values: BinaryBuilder::with_capacity(0, first),
            headers: StringBuilder::new(),
            marks: None,
        }
    }

    /// A batch that keeps nothing but marks.
    pub(super) fn of_marks(from: i64, most_bytes: usize) -> Self {
        Self { marks: Some(Vec::new()), ..Self::new(from, most_bytes) }
    }

    /// The same batch without its content.
    pub(super) fn emptied(self) -> Self {
        let marks = self.marks.map(|_| Vec::new());
        Self { marks, ..Self::new(self.from, self.most_bytes) }
    }

    pub(super) fn from(&self) -> i64 {
        self.from
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next offset expected.
    pub(super) fn next(&self) -> i64 {
        self.offsets.last().map_or(self.from, |last| last + 1)
    }

    /// Adds a record, unless the batch has some already and would become too large.
    pub(super) fn push<M: Message>(&mut self, message: &M) -> bool {
        let (key, value) = (message.key(), message.payload());
        let bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        if self.bytes + bytes > self.most_bytes && !self.offsets.is_empty() {
            return false;
        }
        self.bytes += bytes;
        self.offsets.push(message.offset());
        if let Some(marks) = &mut self.marks {
            if let Some((source, number, spread)) = message.headers().and_then(headers::source) {
                push_mark(marks, message.offset(), source, number, spread);
            }
            return true;
        }
        let said = message.headers().map(headers::said).unwrap_or_default();
        self.timestamps.push(said.timestamp_ms.unwrap_or_else(|| millis(message.timestamp())));
        self.keys.append_option(key);
        self.values.append_option(value);
        self.headers.append_option(said.json);
        true
    }

    pub(super) fn into_marks(self) -> Vec<Mark> {
        self.marks.unwrap_or_default()
    }

    /// The batch read, up to `end`.
    pub(super) fn finish(mut self, end: i64) -> Fetched {
        let records = Records {
            timestamps: TimestampMillisecondArray::from(self.timestamps),
            keys: self.keys.finish(),
            values: self.values.finish(),
            headers: self.headers.finish(),
        };
        debug_assert_eq!(records.keys.len(), self.offsets.len());
        let offsets = Int64Array::from(self.offsets);
        Fetched { offsets, records, range: OffsetRange::new(self.from, end.max(self.from)) }
    }
}

/// Adds a mark. For successive records of one source the last mark is enough.
fn push_mark(marks: &mut Vec<Mark>, offset: i64, source: &str, number: u64, spread: Spread) {
    match marks.last_mut().filter(|last| last.source == source && last.number <= number) {
        Some(last) => (last.offset, last.number, last.spread) = (offset, number, spread),
        None => marks.push(Mark { offset, source: source.to_owned(), number, spread }),
    }
}

/// Milliseconds since the epoch; a record without a time gets 0.
fn millis(timestamp: Timestamp) -> i64 {
    timestamp.to_millis().unwrap_or(0)
}
