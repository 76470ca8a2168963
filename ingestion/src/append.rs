//! Appends values to partitions of the log: by key where the stream has one, else spread evenly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{BinaryArray, StringArray, TimestampMillisecondArray};
use dovetail_core::clock::Clock;
use dovetail_core::pipeline::Stream;
use dovetail_core::record::Records;
use futures::future::try_join_all;

use self::count::Count;
use self::key::KeyColumn;
use self::sources::Sources;
use crate::log::{Appended, Batch, Log, LogError, Prefix, SourceMark, Spread, TakenUp};

mod count;
mod key;
mod sources;
#[cfg(test)]
mod tests;

pub use self::count::PARTITIONS_SETTLE_AFTER;

pub use dovetail_api::records::MOST_PER_REQUEST;

/// Number of attempts to plan a request, before its sender has to send it again.
const PLANS: usize = 8;

/// Greatest size of one append to a partition, unless a single value is larger: Arrow counts to 2 GiB.
const PIECE_BYTES: usize = 64 << 20;

/// The place of a request's values in their source.
#[derive(Debug, Clone)]
pub struct From {
    /// Name of the source, stable across restarts of the sender.
    pub source: String,
    /// Number of the first value.
    pub first: u64,
    /// The number and digest of the source's records up to these, if the sender said so.
    pub prefix: Option<Prefix>,
}

/// The progress of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Number of the record from which the source has to send: everything before is in the log.
    pub resume: u64,
    /// No record from this number on is in the log. Those before it are, except for some of the last request.
    pub seen: u64,
    /// The prefix of the source that contains the records in the log, if the sender said so.
    pub prefix: Option<Prefix>,
}

/// Appends values to a stream's topic.
///
/// A value's partition depends on the number of partitions of the topic, which may grow. Records of a source that are
/// sent again have to go to the same partition as before, so each mark in the log holds the source's [`Spread`]: the
/// number of partitions, and the record number from which it applies. Records up to the highest number in the log are
/// spread as the mark of that one says; later ones are in no partition yet, and are spread over all. A source sends one
/// request at a time, so everything below the last request is in the log, and is left out whatever its partition.
///
/// | sender | meets | result |
/// |---|---|---|
/// | the same request twice in this process | one another | the second waits for the first |
/// | a process that has not heard of new partitions | a mark that names them | it asks the brokers, and refuses until they name them too |
/// | the same, and the first request over the new partitions went to none of the old ones | no such mark | it cannot know: so new partitions are used only when they have been known for [`PARTITIONS_SETTLE_AFTER`], and the brokers have told one another |
///
/// A request whose sender is gone can still be in flight from one process while another takes its source over: the log
/// ensures that the request is either counted or never arrives, see [`Log::take_up`].
#[derive(Debug)]
pub struct Appender {
    log: Arc<dyn Log>,
    stream: Arc<Stream>,
    key: Option<KeyColumn>,
    clock: Clock,
    count: Count,
    /// The partition of the next request without key and source.
    turn: AtomicU32,
    sources: Sources,
}

/// The records of a source that are in the log.
struct Known {
    /// Its last number in each partition.
    lasts: Vec<Option<u64>>,
    /// No record from this number on is in the log.
    seen: u64,
    /// All records below this number are in the log.
    sure: u64,
    prefix: Option<Prefix>,
    /// The spread of the records from `sure` on.
    spread: Spread,
    /// See [`TakenUp::hold`].
    hold: u64,
}

/// The purpose of a question for a source's progress.
#[derive(Debug, Clone, Copy)]
enum Asked {
    ToAppend,
    ToTell,
}

impl Appender {
    /// Opens an appender for a stream whose topic exists.
    pub async fn open(log: Arc<dyn Log>, stream: Arc<Stream>, clock: Clock) -> Result<Self, LogError> {
        let count = Count::new(log.partitions(&stream.topic).await?);
        let key = KeyColumn::of(&stream);
        Ok(Self { log, stream, key, clock, count, turn: AtomicU32::new(0), sources: Sources::default() })
    }

    /// The stream that values are appended to.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Appends `values` and returns, once they are durable, the number of those that were not in the log before.
    ///
    /// Values of one key keep their order. With `from`, values that an earlier request of the source appended are left
    /// out, so the same request may be sent again; a source sends one request at a time. More than [`MOST_PER_REQUEST`]
    /// values are split into several requests, one after the other.
    ///
    /// # On a crash
    /// Requests already appended stay in the log. A source sends all of them again, and those are left out; values
    /// without numbers may be in the log twice when they are sent again.
    pub async fn append(&self, values: &[&[u8]], from: Option<&From>) -> Result<u64, LogError> {
        let Some(from) = from else { return self.append_unnumbered(values).await };
        let mut appended = 0;
        let mut first = from.first;
        for values in values.chunks(MOST_PER_REQUEST as usize) {
            appended += self.append_request(values, first, from).await?;
            first += values.len() as u64;
        }
        Ok(appended)
    }

    async fn append_unnumbered(&self, values: &[&[u8]]) -> Result<u64, LogError> {
        let partitions = self.count.lately(self.log.as_ref(), &self.stream.topic).await;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % partitions;
        let mut appended = 0;
        for values in values.chunks(MOST_PER_REQUEST as usize) {
            let mut parts = vec![vec![]; partitions as usize];
            for (number, value) in (0..).zip(values) {
                let key = self.key_of(value);
                let partition = key.as_ref().map_or(turn, |key| crc32fast::hash(key) % partitions);
                parts[partition as usize].push(Value { number, key, value });
            }
            try_join_all((0..).zip(&parts).map(|(partition, part)| self.append_part(partition, part))).await?;
            appended += values.len() as u64;
        }
        Ok(appended)
    }

    /// Appends the values of one request of a source that the log does not have yet.
    ///
    /// # On a crash
    /// Kafka has all of the request or nothing of it; the embedded log has all or some, each record with its number.
    /// The client sends the request again, and records in the log are left out.
    async fn append_request(&self, values: &[&[u8]], first: u64, from: &From) -> Result<u64, LogError> {
        let From { source, prefix, .. } = from;
        let alone = self.sources.turn(source);
        let _alone = alone.lock().await;
        let mut appended = 0;
        for _ in 0..PLANS {
            let known = self.known(source, Asked::ToAppend).await?;
            if known.seen == 0 && first > 0 {
                self.refuse_forgotten(source, first).await?;
            }
            let parts = self.parts(values, first, &known);
            let spread = known.spread.with_prefix(*prefix);
            let pieces =
                (0..).zip(&parts).flat_map(|(partition, part)| pieces(part).map(move |piece| (partition, piece)));
            let batches = pieces.map(|(partition, piece)| {
                let numbers = piece.iter().map(|value| value.number).collect();
                let mark = SourceMark { source: source.clone(), numbers, spread: spread.clone() };
                Batch { partition, records: records(piece, self.clock.now_ms()), mark }
            });
            let request = self.log.append_request(&self.stream.topic, batches.collect(), known.hold);
            let Appended { records, again } = request.await?;
            appended += records;
            if !again {
                return Ok(appended);
            }
        }
        Err(self.contended(source))
    }

    /// The records of `source` in all partitions of the log.
    async fn known(&self, source: &str, asked: Asked) -> Result<Known, LogError> {
        let topic = self.stream.topic.as_str();
        let TakenUp { positions, hold } = match asked {
            Asked::ToAppend => self.take_up(source).await?,
            Asked::ToTell => {
                let there = self.count.now(self.log.as_ref(), topic).await?.cast_signed();
                let positions = (0..there).map(|partition| self.log.source_position(topic, partition, source));
                TakenUp { positions: try_join_all(positions).await?, hold: 0 }
            }
        };
        let there = u32::try_from(positions.len()).unwrap_or(u32::MAX);
        let last = positions.iter().flatten().max_by_key(|position| position.last);
        let spread = last.map(|position| position.spread.clone()).unwrap_or_default();
        let prefix = spread.prefix();
        if spread.most() > there {
            let (topic, source_id) = (topic.to_owned(), source.to_owned());
            return Err(LogError::PartitionsUnheard { topic, source_id, existing: there, spread: spread.most() });
        }
        let seen = last.map_or(0, |position| position.last.saturating_add(1));
        let sure = seen.saturating_sub(MOST_PER_REQUEST);
        let spread = spread.then(sure, seen, self.count.used());
        let lasts = positions.iter().map(|position| position.as_ref().map(|position| position.last)).collect();
        Ok(Known { lasts, seen, sure, prefix, spread, hold })
    }

    /// Takes the source over, and then reads the number of partitions: the process that had it before may have used new
    /// ones.
    async fn take_up(&self, source: &str) -> Result<TakenUp, LogError> {
        let topic = self.stream.topic.as_str();
        for _ in 0..PLANS {
            let TakenUp { hold, .. } = self.log.take_up(topic, source, 0..0).await?;
            let there = self.count.now(self.log.as_ref(), topic).await?;
            let taken = self.log.take_up(topic, source, 0..there.cast_signed()).await?;
            if taken.hold == hold {
                return Ok(taken);
            }
        }
        Err(self.contended(source))
    }

    fn contended(&self, source: &str) -> LogError {
        LogError::Contended { topic: self.stream.topic.clone(), source_id: source.to_owned() }
    }

    /// Distributes the values over the partitions, without those that are in the log.
    fn parts<'v>(&self, values: &[&'v [u8]], first: u64, known: &Known) -> Vec<Vec<Value<'v>>> {
        let mut parts = vec![vec![]; known.lasts.len()];
        for (number, value) in (first..).zip(values).filter(|(number, _)| *number >= known.sure) {
            let partitions = known.spread.at(number);
            let key = self.key_of(value);
            let partition = match &key {
                Some(key) => crc32fast::hash(key) % partitions,
                None => (number % u64::from(partitions)) as u32,
            } as usize;
            if known.lasts[partition].is_none_or(|last| number > last) {
                parts[partition].push(Value { number, key, value });
            }
        }
        parts
    }

    /// Refuses a source that begins in its middle when its position may have been forgotten.
    async fn refuse_forgotten(&self, source: &str, first: u64) -> Result<(), LogError> {
        let topic = &self.stream.topic;
        let Some(most) = self.log.forgets_sources(topic).await? else { return Ok(()) };
        Err(LogError::SourceForgotten { topic: topic.clone(), source_id: source.to_owned(), first, most })
    }

    fn key_of(&self, value: &[u8]) -> Option<Vec<u8>> {
        self.key.as_ref().and_then(|column| column.key(value))
    }

    async fn append_part(&self, partition: i32, part: &[Value<'_>]) -> Result<(), LogError> {
        for piece in pieces(part) {
            self.log.append(&self.stream.topic, partition, records(piece, self.clock.now_ms()), None).await?;
        }
        Ok(())
    }

    /// The progress of `source`. Waits until the log has searched for all of it.
    pub async fn position(&self, source: &str) -> Result<Position, LogError> {
        loop {
            match self.known(source, Asked::ToTell).await {
                // All requests but the last are complete; of the last, some partitions may be missing.
                Ok(known) => return Ok(Position { resume: known.sure, seen: known.seen, prefix: known.prefix }),
                // Each attempt searches further, and the log reports it.
                Err(LogError::Searching { .. }) => {}
                Err(error) => return Err(error),
            }
        }
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
