//! Values -> partitions of the log: by key where the stream has one, else spread evenly.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{BinaryArray, StringArray, TimestampMillisecondArray};
use dovetail_core::clock::Clock;
use dovetail_core::pipeline::{Format, Stream};
use dovetail_core::record::Records;
use futures::future::try_join_all;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::log::{Log, LogError, SourceMark};

/// Most records of one request of a source: how far an interrupted one can be incomplete.
pub const MOST_PER_REQUEST: u64 = 20_000;

/// Where in a source the values of a request come from.
#[derive(Debug, Clone)]
pub struct From {
    pub source: String,
    /// Number of the first value.
    pub first: u64,
}

/// Appends values to a stream's topic.
#[derive(Debug)]
pub struct Appender {
    log: Arc<dyn Log>,
    stream: Arc<Stream>,
    clock: Clock,
    partitions: u32,
    /// Where the next request without key and source goes.
    turn: AtomicU32,
}

impl Appender {
    /// For a stream whose topic exists.
    pub async fn open(log: Arc<dyn Log>, stream: Arc<Stream>, clock: Clock) -> Result<Self, LogError> {
        let partitions = log.partitions(&stream.topic).await?;
        Ok(Self { log, stream, clock, partitions, turn: AtomicU32::new(0) })
    }

    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Appends `values` and returns, once they are durable, how many were not there before.
    ///
    /// With `from`, values that an earlier request of the source appended are left out, so the same request may be
    /// sent again. One source sends one request at a time, of at most [`MOST_PER_REQUEST`] values.
    pub async fn append(&self, values: &[&[u8]], from: Option<&From>) -> Result<u64, LogError> {
        let mut parts = vec![vec![]; self.partitions as usize];
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        for (number, value) in (from.map_or(0, |from| from.first)..).zip(values) {
            let key = self.stream.options.key.as_deref().and_then(|column| key_of(&self.stream, column, value));
            let partition = match (&key, from) {
                (Some(key), _) => crc32fast::hash(key) % self.partitions,
                (None, Some(_)) => (number % u64::from(self.partitions)) as u32,
                (None, None) => turn % self.partitions,
            };
            parts[partition as usize].push(Value { number, key, value });
        }
        let appends = (0..).zip(parts).map(|(partition, part)| self.append_part(partition, part, from));
        Ok(try_join_all(appends).await?.into_iter().sum())
    }

    async fn append_part(&self, partition: i32, mut part: Vec<Value<'_>>, from: Option<&From>) -> Result<u64, LogError> {
        let topic = &self.stream.topic;
        if let Some(from) = from
            && let Some(last) = self.log.source_position(topic, partition, &from.source).await?
        {
            part.retain(|value| value.number > last);
        }
        let (Some(first), Some(last)) = (part.first(), part.last()) else { return Ok(0) };
        let mark =
            from.map(|from| SourceMark { source: from.source.clone(), first: first.number, last: last.number });
        let records = records(&part, self.clock.now_ms());
        Ok(self.log.append(topic, partition, records, mark).await?.width().unsigned_abs())
    }

    /// From which of its records on `source` has to send: everything before is in the log.
    pub async fn position(&self, source: &str) -> Result<u64, LogError> {
        let mut next = 0;
        for partition in 0..self.partitions.cast_signed() {
            if let Some(last) = self.log.source_position(&self.stream.topic, partition, source).await? {
                next = next.max(last + 1);
            }
        }
        // All requests but the last are complete; of the last, some partitions may be missing.
        Ok(next.saturating_sub(MOST_PER_REQUEST))
    }
}

#[derive(Clone)]
struct Value<'v> {
    number: u64,
    key: Option<Vec<u8>>,
    value: &'v [u8],
}

fn records(part: &[Value<'_>], now_ms: i64) -> Records {
    Records {
        timestamps: TimestampMillisecondArray::from_value(now_ms, part.len()),
        keys: part.iter().map(|v| v.key.as_deref()).collect::<BinaryArray>(),
        values: BinaryArray::from_iter_values(part.iter().map(|v| v.value)),
        headers: StringArray::new_null(part.len()),
    }
}

/// The text of the key column; none where it is absent or the value is broken.
fn key_of(stream: &Stream, column: &str, value: &[u8]) -> Option<Vec<u8>> {
    match stream.format {
        Format::Json => {
            let mut json = serde_json::Deserializer::from_slice(value);
            json.deserialize_map(KeyColumn(column)).ok().flatten()
        }
        Format::Csv => {
            let (index, _) = stream.columns.column_with_name(column)?;
            let mut line = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(value);
            let record = line.byte_records().next()?.ok()?;
            record.get(index).map(<[u8]>::to_vec)
        }
    }
}

/// Finds one field of an object and skips the others.
struct KeyColumn<'c>(&'c str);

impl<'de> Visitor<'de> for KeyColumn<'_> {
    type Value = Option<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(field) = map.next_key::<Cow<'de, str>>()? {
            if field == self.0 {
                let value: serde_json::Value = map.next_value()?;
                found = match value {
                    serde_json::Value::Null => None,
                    serde_json::Value::String(text) => Some(text.into_bytes()),
                    other => Some(other.to_string().into_bytes()),
                };
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}
