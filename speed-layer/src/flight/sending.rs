//! The messages of one view to one reader.
//!
//! They are sent in rounds: each looks for new slices in every partition, and the next one waits until the reader has
//! taken all messages. So a reader delays nobody, and slices for which it was too slow are merged by the time that it
//! asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::FlightData;
use dovetail_core::clock;
use dovetail_core::offsets::{Cut, OffsetRange};
use dovetail_core::realtime::{Realtime, RealtimeError, Slice, Stall};
use dovetail_core::realtime_wire::{SlicePart, Status, ViewPartitionStatus, WireMessage};
use dovetail_core::view::{RowErrors, View};
use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::FlightConfig;
use super::encode::{StateEncoder, in_messages};
use crate::SpeedLayer;
use crate::partition::ViewRead;
use crate::view_fold::Subscriber;

/// Number of left-out records per message.
const ERRORS_PER_MESSAGE: usize = 500;
/// Interval of retries of starts that could not be read.
const UNREAD_RETRY_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Sending {
    layer: Arc<SpeedLayer>,
    view: Arc<View>,
    moved: watch::Receiver<u64>,
    starts: Vec<Cut>,
    config: FlightConfig,
    shutdown: CancellationToken,
    /// Keeps boundaries at the ends of the slices sent.
    subscriber: Arc<Subscriber>,
    sent: BTreeMap<i32, SentPartition>,
    /// Messages of the last round that were not taken yet.
    waiting: VecDeque<(RecordBatch, WireMessage)>,
    encoder: StateEncoder,
    encoded: VecDeque<FlightData>,
    last_round: Option<Instant>,
    last_status: Option<Instant>,
}

/// The progress of one partition.
#[derive(Debug, Default)]
struct SentPartition {
    /// Everything below this offset was sent; `None` if nothing was.
    head: Option<i64>,
    /// The least offset from which it could be read.
    start: Option<i64>,
    backlog: Vec<(i64, RealtimeError)>,
}

/// The result of a round in one partition.
enum SendRound {
    NotOurs,
    More(ViewRead),
    Base(ViewRead, Vec<(i64, RealtimeError)>),
    Nothing(Vec<(i64, RealtimeError)>),
}

impl Sending {
    pub(super) fn new(
        (layer, view, moved): (Arc<SpeedLayer>, Arc<View>, watch::Receiver<u64>),
        starts: Vec<Cut>,
        config: FlightConfig,
        shutdown: CancellationToken,
    ) -> (Self, FlightData) {
        let (encoder, schema) = StateEncoder::new(&view.state_schema());
        let sending = Self {
            layer,
            view,
            moved,
            starts,
            config,
            shutdown,
            subscriber: Arc::new(Subscriber),
            sent: BTreeMap::new(),
            waiting: VecDeque::new(),
            encoder,
            encoded: VecDeque::new(),
            last_round: None,
            last_status: None,
        };
        (sending, schema)
    }

    /// The next message.
    ///
    /// # Errors
    /// When the stream has to end.
    pub(super) async fn next(&mut self) -> Result<FlightData, tonic::Status> {
        loop {
            if let Some(data) = self.encoded.pop_front() {
                return Ok(data);
            }
            if let Some((batch, message)) = self.waiting.pop_front() {
                let encoded = self.encoder.encode(&batch, &message);
                let encoded = encoded.map_err(|error| tonic::Status::internal(format!("not encoded: {error}")))?;
                let bytes: usize = encoded.iter().map(|data| data.data_body.len() + data.data_header.len()).sum();
                metrics::counter!("dovetail_flight_sent_bytes_total").increment(bytes as u64);
                self.encoded.extend(encoded);
                continue;
            }
            let shutdown = self.shutdown.clone();
            match shutdown.run_until_cancelled(self.round()).await {
                Some(()) => {}
                None => return Err(tonic::Status::unavailable("the speed layer is shutting down")),
            }
        }
    }

    /// Waits until there may be something new, and collects it.
    async fn round(&mut self) {
        self.wait().await;
        self.moved.borrow_and_update();
        self.last_round = Some(clock::now_monotonic());
        let before = self.standing();
        let ours: Vec<i32> = self.layer.heads(&self.view.name).into_iter().map(|(partition, _)| partition).collect();
        self.sent.retain(|partition, _| ours.contains(partition));
        if !self.starts.is_empty() {
            let found = join_all(ours.iter().map(|&partition| self.find(partition))).await;
            for (partition, found) in ours.into_iter().zip(found) {
                self.take(partition, found);
            }
        }
        let mut from = self.layer.starts(&self.view.name);
        self.sent.iter_mut().for_each(|(partition, sent)| sent.start = from.remove(partition));
        let due = self.last_status.is_none_or(|last| last.elapsed() >= self.config.heartbeat);
        if due || before != self.standing() {
            self.last_status = Some(clock::now_monotonic());
            let status = WireMessage::Status(self.status());
            self.waiting.push_back((RecordBatch::new_empty(self.view.state_schema()), status));
        }
    }

    async fn wait(&mut self) {
        let (Some(last), Some(status)) = (self.last_round, self.last_status) else { return };
        let (soon, heartbeat) = (last + self.config.interval, status + self.config.heartbeat);
        if self.is_behind() {
            return clock::sleep_until(soon).await;
        }
        // A dropped range comes back only with a rollback, which is reported like other news.
        let soon_read = |(_, error): &(i64, RealtimeError)| !matches!(error, RealtimeError::Dropped { .. });
        let again = self.sent.values().any(|sent| sent.backlog.iter().any(soon_read));
        let until = if again { heartbeat.min(last + UNREAD_RETRY_PAUSE) } else { heartbeat };
        tokio::select! {
            () = clock::sleep_until(until.max(soon)) => {}
            Ok(()) = self.moved.changed() => clock::sleep_until(soon).await,
        }
    }

    /// Whether records were folded that were not sealed yet at the last round.
    fn is_behind(&self) -> bool {
        self.layer.heads(&self.view.name).into_iter().any(|(partition, head)| {
            let sent = self.sent.get(&partition).and_then(|sent| sent.head);
            sent.is_some() && sent < head
        })
    }

    async fn find(&self, partition: i32) -> SendRound {
        let nothing = SentPartition::default();
        let sent = self.sent.get(&partition).unwrap_or(&nothing);
        if let Some(head) = sent.head
            && !self.within_reach(partition, &sent.backlog).await
        {
            match self.read(partition, head, true).await {
                None => return SendRound::NotOurs,
                Some(Ok(read)) => return SendRound::More(read),
                // The partition was begun anew.
                Some(Err(_)) => {}
            }
        }
        let starts: BTreeSet<i64> = self.starts.iter().map(|start| start.get(partition)).collect();
        let (mut base, mut backlog): (Option<ViewRead>, Vec<_>) = (None, vec![]);
        for start in starts {
            match &base {
                Some(read) if read.has_boundary(start) => {}
                Some(_) => match self.read(partition, start, false).await {
                    None => return SendRound::NotOurs,
                    Some(Err(error)) => backlog.push((start, error)),
                    // It has just become readable: the next round sends it.
                    Some(Ok(read)) => backlog.push((start, self.catching_up(partition, read.head, start))),
                },
                None => match self.read(partition, start, true).await {
                    None => return SendRound::NotOurs,
                    Some(Err(error)) => backlog.push((start, error)),
                    Some(Ok(read)) => base = Some(read),
                },
            }
        }
        match base {
            Some(read) => SendRound::Base(read, backlog),
            None => SendRound::Nothing(backlog),
        }
    }

    async fn read(&self, partition: i32, start: i64, goes_on: bool) -> Option<Result<ViewRead, RealtimeError>> {
        let subscriber = goes_on.then_some(&self.subscriber);
        self.layer.read_partition(&self.view.name, partition, start, subscriber).await
    }

    /// Whether a start can be read that could not be before.
    async fn within_reach(&self, partition: i32, backlog: &[(i64, RealtimeError)]) -> bool {
        for (start, _) in backlog {
            if matches!(self.read(partition, *start, false).await, Some(Ok(_))) {
                return true;
            }
        }
        false
    }

    fn catching_up(&self, partition: i32, head: i64, start: i64) -> RealtimeError {
        let behind = (start - head).max(0);
        RealtimeError::CatchingUp { view: self.view.name.clone(), partition, head, behind }
    }

    fn take(&mut self, partition: i32, found: SendRound) {
        match found {
            SendRound::NotOurs => {
                self.sent.remove(&partition);
            }
            SendRound::Nothing(backlog) => {
                self.sent.insert(partition, SentPartition { backlog, ..SentPartition::default() });
            }
            SendRound::Base(read, backlog) => {
                self.sent
                    .insert(partition, SentPartition { head: Some(read.head), backlog, ..SentPartition::default() });
                self.send(partition, read, true);
            }
            SendRound::More(read) => {
                self.sent.entry(partition).or_default().head = Some(read.head);
                self.send(partition, read, false);
            }
        }
    }

    fn send(&mut self, partition: i32, read: ViewRead, base: bool) {
        let ViewRead { mut slices, head, cuts } = read;
        if slices.is_empty() && base {
            // An empty slice is news, too.
            slices.push(Slice::empty(partition, OffsetRange::new(head, head)));
        }
        let last = slices.len();
        for (slice, i) in slices.into_iter().zip(1..) {
            let nothing = || RecordBatch::new_empty(self.view.state_schema());
            let mut parts: Vec<_> = in_messages(&slice.state).into_iter().map(|b| (b, RowErrors::default())).collect();
            parts.extend(slice.errors.in_parts(ERRORS_PER_MESSAGE).map(|errors| (nothing(), errors)));
            if parts.is_empty() {
                parts.push((nothing(), RowErrors::default()));
            }
            let n = parts.len();
            for ((batch, errors), j) in parts.into_iter().zip(1..) {
                let (end, done) = (j == n, j == n && i == last);
                let pinned = if done { cuts.iter().copied().collect() } else { vec![] };
                let part = SlicePart { partition, range: slice.range, base, end, done, errors, pinned };
                self.waiting.push_back((batch, WireMessage::Part(part)));
            }
        }
        metrics::counter!("dovetail_flight_sent_slices_total").increment(last as u64);
    }

    /// The parts of the status whose change a reader should learn at once.
    fn standing(&self) -> Vec<(i32, Vec<i64>, Option<i64>)> {
        let backlog = |sent: &SentPartition| sent.backlog.iter().map(|(start, _)| *start).collect();
        self.sent.iter().map(|(&partition, sent)| (partition, backlog(sent), sent.start)).collect()
    }

    fn status(&self) -> Status {
        let mut stalled: BTreeMap<i32, Stall> = self.layer.stalled(&self.view.name).into_iter().collect();
        let heads = self.layer.heads(&self.view.name).into_iter();
        let partitions = heads.map(|(partition, head)| ViewPartitionStatus {
            partition,
            head,
            start: self.sent.get(&partition).and_then(|sent| sent.start),
            backlog: self.sent.get(&partition).map(|sent| sent.backlog.clone()).unwrap_or_default(),
            stalled: stalled.remove(&partition),
        });
        Status { partitions: partitions.collect() }
    }
}

impl ViewRead {
    fn has_boundary(&self, offset: i64) -> bool {
        self.head == offset || self.slices.iter().any(|slice| slice.range.start == offset)
    }
}
