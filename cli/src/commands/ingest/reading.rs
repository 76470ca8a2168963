//! The reading of a source into requests, at its pace.

use std::time::Duration;

use anyhow::{Result, ensure};
use dovetail_api::frames;
use dovetail_api::prefix::{Chain, Prefix};
use dovetail_api::records::{MOST_PER_REQUEST, SourcePosition};
use dovetail_connectors::sources::file::{EventTime, Pacer, SourceReader, SourceRecord};
use dovetail_core::clock;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Size at which a request is sent ..
const REQUEST_BYTES: usize = 2 << 20;
/// .. or, for a paced source, the age of its first record.
const REQUEST_AGE: Duration = Duration::from_millis(50);

/// Records between the reader and the server; their numbers are consecutive.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) first: u64,
    /// The line at which each record begins.
    pub(super) lines: Vec<u64>,
    /// The records, each in a frame.
    pub(super) frames: Vec<u8>,
    pub(super) bytes_read: u64,
    /// Number and digest of the source's records up to the last of these.
    pub(super) prefix: Prefix,
}

impl Request {
    fn from(first: u64) -> Self {
        Self { first, lines: vec![], frames: vec![], bytes_read: 0, prefix: Chain::default().prefix() }
    }
}

/// The result of reading.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) chain: Chain,
    /// Line and length of the first records that are too long, and the number of all.
    pub(super) too_long: Vec<(u64, u64)>,
    pub(super) too_long_count: u64,
}

/// Greatest number of records that are named one by one.
pub(super) const NAMED: usize = 10;

/// Reads a source on a thread of its own.
pub(super) struct Reading {
    pub(super) reader: SourceReader,
    pub(super) reached: SourcePosition,
    pub(super) pacer: Pacer,
    pub(super) event_time: Option<EventTime>,
    pub(super) requests: mpsc::Sender<Request>,
    /// The message when the source does not begin with the records that the log has of it.
    pub(super) changed: String,
}

impl Reading {
    /// Reads until the end, or until there is no receiver. Records before an error are delivered.
    pub(super) fn run(mut self) -> (Read, Result<()>) {
        let mut read = Read::default();
        let done = self.read(&mut read);
        (read, done)
    }

    fn read(&mut self, read: &mut Read) -> Result<()> {
        let began = clock::now_monotonic();
        let mut request: Option<Request> = None;
        let mut oldest = began;
        loop {
            let record = match self.reader.next() {
                Some(Ok(record)) => record,
                end => {
                    self.send(&mut request, read.chain.prefix());
                    return end.map_or(Ok(()), |error| Ok(error.map(drop)?));
                }
            };
            if record.number >= self.reached.next && record.too_long.is_none() {
                let wait = self.wait(&record, began);
                let full = |r: &Request| r.frames.len() >= REQUEST_BYTES || r.lines.len() as u64 >= MOST_PER_REQUEST;
                let due = request.as_ref().is_some_and(full) || (!wait.is_zero() && oldest.elapsed() >= REQUEST_AGE);
                if due && !self.send(&mut request, read.chain.prefix()) {
                    return Ok(());
                }
                clock::block_for(wait);
                if request.is_none() {
                    oldest = clock::now_monotonic();
                }
                let request = request.get_or_insert_with(|| Request::from(record.number));
                let fits = frames::push(&mut request.frames, &record.value);
                ensure!(fits, "the record at line {} is too long", record.line);
                request.lines.push(record.line);
                request.bytes_read = self.reader.bytes_read();
            }
            // A record that is too long keeps its number and its place in the chain, and ends a request.
            read.chain.push(&record.value);
            if let Some(before) = self.reached.prefix
                && before.records == read.chain.records()
            {
                ensure!(before == read.chain.prefix(), "{}", self.changed);
            }
            if let Some(bytes) = record.too_long {
                read.too_long_count += 1;
                if read.too_long.len() < NAMED {
                    read.too_long.push((record.line, bytes));
                }
                if !self.send(&mut request, read.chain.prefix()) {
                    return Ok(());
                }
            }
        }
    }

    fn wait(&mut self, record: &SourceRecord, began: Instant) -> Duration {
        if record.number < self.reached.seen {
            return Duration::ZERO;
        }
        let pacer = &mut self.pacer;
        let event_ms = self.event_time.as_ref();
        let event_ms = event_ms.and_then(|e| pacer.needs_event_time().then(|| e.read_ms(&record.value))?);
        pacer.due(event_ms).saturating_sub(began.elapsed())
    }

    /// Hands the request on; returns false without a receiver.
    fn send(&self, request: &mut Option<Request>, prefix: Prefix) -> bool {
        let Some(mut request) = request.take() else { return true };
        request.prefix = prefix;
        self.requests.blocking_send(request).is_ok()
    }
}
