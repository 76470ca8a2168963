//! Values -> partitions of the log: by key where the stream has one, else spread evenly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{BinaryArray, StringArray, TimestampMillisecondArray};
use dovetail_core::clock::Clock;
use dovetail_core::pipeline::Stream;
use dovetail_core::record::Records;
use futures::future::try_join_all;

use self::key::KeyColumn;
use crate::log::{Log, LogError, SourceMark};

mod key;
#[cfg(test)]
mod tests;

/// Most records of one request of a source: how far an interrupted one can be incomplete.
pub const MOST_PER_REQUEST: u64 = 20_000;

/// Most bytes of one append to a partition, unless a single value is larger: Arrow counts to 2 GiB.
const PIECE_BYTES: usize = 64 << 20;

/// Where in a source the values of a request come from.
#[derive(Debug, Clone)]
pub struct From {
    pub source: String,
    /// Number of the first value.
    pub first: u64,
}

/// How far a source has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From which of its records on it has to send: everything before is in the log.
    pub resume: u64,
    /// No record from here on is in the log; those in between are, but for a few of one request.
    pub seen: u64,
}

/// Appends values to a stream's topic.
#[derive(Debug)]
pub struct Appender {
    log: Arc<dyn Log>,
    stream: Arc<Stream>,
    key: Option<KeyColumn>,
    clock: Clock,
    partitions: u32,
    /// Where the next request without key and source goes.
    turn: AtomicU32,
}

impl Appender {
    /// For a stream whose topic exists.
    pub async fn open(log: Arc<dyn Log>, stream: Arc<Stream>, clock: Clock) -> Result<Self, LogError> {
        let partitions = log.partitions(&stream.topic).await?;
        let key = KeyColumn::of(&stream);
        Ok(Self { log, stream, key, clock, partitions, turn: AtomicU32::new(0) })
    }

    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Appends `values` and returns, once they are durable, how many were not there before.
    ///
    /// Values of one key keep their order. With `from`, values that an earlier request of the source appended are
    /// left out, so the same request may be sent again; one source sends one request at a time. More than
    /// [`MOST_PER_REQUEST`] values are as many requests, one after the other.
    pub async fn append(&self, values: &[&[u8]], from: Option<&From>) -> Result<u64, LogError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut appended = 0;
        let mut first = from.map_or(0, |from| from.first);
        for values in values.chunks(MOST_PER_REQUEST as usize) {
            let parts = self.parts(values, first, turn, from.is_some());
            let source = from.map(|from| from.source.as_str());
            let appends = (0..).zip(parts).map(|(partition, part)| self.append_part(partition, part, source));
            appended += try_join_all(appends).await?.into_iter().sum::<u64>();
            first += values.len() as u64;
        }
        Ok(appended)
    }

    /// Which values go to which partition. Where one of a source goes depends on nothing but it and its number: it
    /// goes there again.
    fn parts<'v>(&self, values: &[&'v [u8]], first: u64, turn: u32, numbered: bool) -> Vec<Vec<Value<'v>>> {
        let mut parts = vec![vec![]; self.partitions as usize];
        for (number, value) in (first..).zip(values) {
            let key = self.key.as_ref().and_then(|column| column.key(value));
            let partition = match &key {
                Some(key) => crc32fast::hash(key) % self.partitions,
                None if numbered => (number % u64::from(self.partitions)) as u32,
                None => turn % self.partitions,
            };
            parts[partition as usize].push(Value { number, key, value });
        }
        parts
    }

    async fn append_part(
        &self,
        partition: i32,
        mut part: Vec<Value<'_>>,
        source: Option<&str>,
    ) -> Result<u64, LogError> {
        let mut appended = 0;
        loop {
            if let Some(source) = source
                && !part.is_empty()
                && let Some(last) = self.log.source_position(&self.stream.topic, partition, source).await?
            {
                part.retain(|value| value.number > last);
            }
            match self.append_pieces(partition, &part, source, &mut appended).await {
                // A request of the source whose sender is gone came through meanwhile: it is left out too.
                Err(LogError::SourceOverlap { .. }) => {}
                done => return done.map(|()| appended),
            }
        }
    }

    async fn append_pieces(
        &self,
        partition: i32,
        part: &[Value<'_>],
        source: Option<&str>,
        appended: &mut u64,
    ) -> Result<(), LogError> {
        for piece in pieces(part) {
            if piece.is_empty() {
                continue;
            }
            let numbers = || piece.iter().map(|value| value.number).collect();
            let mark = |source: &str| SourceMark { source: source.to_owned(), numbers: numbers() };
            let records = records(piece, self.clock.now_ms());
            let range = self.log.append(&self.stream.topic, partition, records, source.map(mark)).await?;
            // The range can be wider: others append as well.
            *appended += if range.is_empty() { 0 } else { piece.len() as u64 };
        }
        Ok(())
    }

    /// How far `source` has come.
    pub async fn position(&self, source: &str) -> Result<Position, LogError> {
        let mut next = 0;
        for partition in 0..self.partitions.cast_signed() {
            if let Some(last) = self.log.source_position(&self.stream.topic, partition, source).await? {
                next = next.max(last + 1);
            }
        }
        // All requests but the last are complete; of the last, some partitions may be missing.
        Ok(Position { resume: next.saturating_sub(MOST_PER_REQUEST), seen: next })
    }
}

#[derive(Clone)]
struct Value<'v> {
    number: u64,
    key: Option<Vec<u8>>,
    value: &'v [u8],
}

/// Cuts `part` where it is too large for one batch of the log.
fn pieces<'p, 'v>(part: &'p [Value<'v>]) -> impl Iterator<Item = &'p [Value<'v>]> {
    let mut rest = part;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|value| {
            bytes += value.value.len() + value.key.as_ref().map_or(0, Vec::len);
            bytes <= PIECE_BYTES
        });
        let take = fits.count().max(1);
        let piece = rest.get(..take)?;
        rest = &rest[take..];
        Some(piece)
    })
}

fn records(part: &[Value<'_>], now_ms: i64) -> Records {
    Records {
        timestamps: TimestampMillisecondArray::from_value(now_ms, part.len()),
        keys: part.iter().map(|v| v.key.as_deref()).collect::<BinaryArray>(),
        values: BinaryArray::from_iter_values(part.iter().map(|v| v.value)),
        headers: StringArray::new_null(part.len()),
    }
}
