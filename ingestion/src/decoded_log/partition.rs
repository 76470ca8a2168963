//! One partition of the decoded log; readers of different offsets do not wait for each other.

use std::sync::Arc;

use dovetail_core::pipeline::Stream;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use parking_lot::{Mutex, MutexGuard};

use super::recent::Recent;
use super::{FeedConfig, FeedError};
use crate::formats::{DecodeError, Decoded, Decoder};
use crate::log::Log;

/// A batch that is read and decoded once for all readers of the same offset. Its waiters drive it, so that no reader
/// depends on the progress of another; it ends when the last waiter gives up.
type Reading = Shared<Work>;
type Work = BoxFuture<'static, Result<Arc<Decoded>, Refused>>;

/// The error for the first waiter that takes it; the others read for themselves.
type Refused = Arc<Mutex<Option<FeedError>>>;

#[derive(Debug)]
pub(super) struct Partition {
    log: Arc<dyn Log>,
    stream: Arc<Stream>,
    number: i32,
    config: FeedConfig,
    /// Locked for look-ups only, never while the log is read or records are decoded.
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    recent: Recent,
    /// The readings in progress by their start offset; no more than there are readers.
    readings: Vec<(i64, WeakShared<Work>)>,
    /// Idle decoders: as many as there ever were readings at once.
    decoders: Vec<Decoder>,
}

impl Partition {
    pub(super) fn new(
        log: Arc<dyn Log>,
        stream: Arc<Stream>,
        number: i32,
        config: &FeedConfig,
    ) -> Result<Self, DecodeError> {
        // The first decoder also shows that the stream can be decoded.
        let held = Held { decoders: vec![Decoder::new(Arc::clone(&stream))?], ..Held::default() };
        Ok(Self { log, stream, number, config: config.clone(), held: Mutex::new(held) })
    }

    /// Decoded records at or after `from`; an empty range at the log's end.
    pub(super) async fn read(self: Arc<Self>, from: i64) -> Result<Arc<Decoded>, FeedError> {
        loop {
            let reading = match self.find_or_begin(from) {
                Found::Kept(decoded) => return Ok(decoded),
                Found::Reading(reading) => reading,
            };
            let refused = match reading.await {
                Ok(decoded) => return Ok(decoded),
                Err(refused) => refused,
            };
            if let Some(error) = refused.lock().take() {
                return Err(error);
            }
        }
    }

    /// Finds `from` in the cache or among the readings in progress, or else begins a reading.
    fn find_or_begin(self: &Arc<Self>, from: i64) -> Found {
        let mut held = self.held();
        if let Some(kept) = held.recent.find(from) {
            return Found::Kept(kept.starting_at(from));
        }
        let same = held.readings.iter().find(|(start, _)| *start == from);
        if let Some(reading) = same.and_then(|(_, reading)| reading.upgrade()) {
            return Found::Reading(reading);
        }
        let partition = Arc::clone(self);
        let reading = async move { partition.decode(from).await }.boxed().shared();
        // Readings without a waiter are gone.
        held.readings.retain(|(start, reading)| *start != from && reading.upgrade().is_some());
        held.readings.extend(reading.downgrade().map(|weak| (from, weak)));
        Found::Reading(reading)
    }

    async fn decode(&self, from: i64) -> Result<Arc<Decoded>, Refused> {
        let decoded = self.decoded(from).await;
        let mut held = self.held();
        held.readings.retain(|(start, _)| *start != from);
        match decoded {
            Ok((decoded, payload)) => {
                held.recent.keep(&decoded, payload, self.config.cache_bytes);
                Ok(decoded)
            }
            Err(error) => Err(Arc::new(Mutex::new(Some(error)))),
        }
    }

    /// Reads and decodes; also returns the bytes of the records.
    async fn decoded(&self, from: i64) -> Result<(Arc<Decoded>, usize), FeedError> {
        let fetched = self.log.read(&self.stream.topic, self.number, from, self.config.batch_bytes).await?;
        let free = self.held().decoders.pop();
        let mut decoder = match free {
            Some(decoder) => decoder,
            None => Decoder::new(Arc::clone(&self.stream))?,
        };
        let decoded = decoder.decode(self.number, &fetched);
        self.held().decoders.push(decoder);
        Ok((Arc::new(decoded?), fetched.records.payload_bytes()))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }

    /// Number of batches in the cache, and their bytes.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        let held = self.held();
        (held.recent.len(), held.recent.bytes())
    }
}

enum Found {
    Kept(Arc<Decoded>),
    Reading(Reading),
}
