//! One view from one member: a stream that is kept open, and the slices that it brings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::Ticket;
use arrow_flight::flight_service_client::FlightServiceClient;
use dovetail_core::backoff::Backoff;
use dovetail_core::clock;
use dovetail_core::offsets::Cut;
use dovetail_core::realtime::Slice;
use dovetail_core::realtime_wire::RealtimeRequest;
use dovetail_core::slices::Slices;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::Channel;

use super::bytes::{CountedBytes, Total};
use super::receive::{Received, Receiver, Update, describe};
use super::view::{RemotePartition, RemoteView};

/// First pause between two attempts.
const LINK_RETRY_FIRST: Duration = Duration::from_millis(50);
const LINK_RETRY_MAX: Duration = Duration::from_secs(1);

/// First pause between two attempts while the member's slices do not fit: they have to be sent anew each time.
const NO_ROOM_RETRY_FIRST: Duration = Duration::from_millis(500);
const NO_ROOM_RETRY_MAX: Duration = Duration::from_secs(60);

/// Bytes that a message may have beyond the memory limit, so that the error can say by how much it was exceeded.
const MESSAGE_BYTES_OVER: usize = 4 << 20;

/// The wanted starts, as a value to watch.
type Starts = watch::Receiver<Vec<Cut>>;

pub(super) struct MemberLink {
    pub(super) member: String,
    pub(super) view: Arc<RemoteView>,
    pub(super) channel: Channel,
    pub(super) stale_after: Duration,
    pub(super) total: Arc<Total>,
}

/// The slices of one partition that the stream has brought, as they grow.
struct Growing {
    start: i64,
    head: i64,
    slices: Slices,
}

/// The reason why a stream was ended.
enum Ended {
    /// Other starts are wanted.
    Again,
    Failed(String),
    NoRoom(Overflow),
}

/// The size that did not fit, as received until then.
#[derive(Debug, Clone, Copy)]
struct Overflow {
    bytes: usize,
}

/// The reason why a message was not accepted.
enum NotTaken {
    Wrong(String),
    NoRoom(Overflow),
}

impl From<String> for NotTaken {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

/// The kind of an accepted message.
enum Took {
    Slices,
    Status,
}

impl MemberLink {
    /// Runs until the future is dropped.
    pub(super) async fn run(self) {
        let (mut pauses, mut wanted) = (Pauses::new(), self.view.starts());
        loop {
            match self.stream(&mut wanted, &mut pauses).await {
                Ended::Again => continue,
                Ended::Failed(why) => {
                    tracing::debug!(view = %self.view.name(), member = self.member, why, "no stream");
                    self.view.down(&self.member, &why);
                    clock::sleep(pauses.failed.next_pause()).await;
                }
                Ended::NoRoom(refused) => self.wait_for_room(refused, &mut wanted, &mut pauses).await,
            }
            metrics::counter!("dovetail_remote_reconnects_total", "member" => self.member.clone()).increment(1);
        }
    }

    /// Waits until there is room, or until the wanted starts change: then the member has less to send. The pause grows
    /// each time, since only a part of the refused size is known.
    async fn wait_for_room(&self, refused: Overflow, wanted: &mut Starts, pauses: &mut Pauses) {
        let pause = pauses.no_room.next_pause();
        let (member, bytes, limit) = (&self.member, refused.bytes, self.total.limit());
        tracing::warn!(view = %self.view.name(), member, bytes, limit, ?pause, "no room for its slices");
        let room = async {
            clock::sleep(pause).await;
            // When the local slices do not change any more, an attempt is made from time to time.
            let _ = timeout(NO_ROOM_RETRY_MAX, self.total.until_fits(refused.bytes)).await;
        };
        let moved = async {
            let _ = wanted.changed().await;
            clock::sleep(NO_ROOM_RETRY_FIRST).await;
        };
        tokio::select! {
            () = room => {}
            () = moved => {}
        }
    }

    /// Sends one request, and receives the answer. Pauses start anew when everything that existed has arrived.
    async fn stream(&self, wanted: &mut Starts, pauses: &mut Pauses) -> Ended {
        let starts = wanted.borrow_and_update().clone();
        let view = &self.view.view;
        let ask =
            RealtimeRequest { view: view.name.clone(), fingerprint: view.fingerprint.clone(), starts: starts.clone() };
        let ticket = match serde_json::to_vec(&ask) {
            Ok(ticket) => Ticket { ticket: ticket.into() },
            Err(error) => return Ended::Failed(error.to_string()),
        };
        let mut client = FlightServiceClient::new(self.channel.clone());
        client = client.max_decoding_message_size(self.total.limit().saturating_add(MESSAGE_BYTES_OVER));
        let stream = match timeout(self.stale_after, client.do_get(ticket)).await {
            Ok(Ok(stream)) => stream.into_inner(),
            Ok(Err(status)) => return Ended::Failed(describe(&status)),
            Err(_) => return Ended::Failed(format!("no answer in {:?}", self.stale_after)),
        };
        self.view.opened(&self.member, &starts);
        let mut receiver = Receiver::new(stream);
        let mut growing = BTreeMap::new();
        // Slices that wait for the rest of their partition.
        let mut waiting = vec![];
        loop {
            let received = tokio::select! {
                received = timeout(self.stale_after, receiver.next(view)) => received,
                changed = wanted.changed() => match changed {
                    Ok(()) if self.view.has_to_ask(&self.member) => return Ended::Again,
                    Ok(()) => continue,
                    Err(_) => return Ended::Failed("the reader is shutting down".to_owned()),
                },
            };
            let taken = match received {
                Ok(Ok(received)) => self.take(&mut growing, &mut waiting, received),
                Ok(Err(why)) => Err(why.into()),
                Err(_) => Err(format!("not heard for {:?}", self.stale_after).into()),
            };
            match taken {
                // A partition that the member has only just got may lack a boundary that the others have.
                Ok(Took::Status) if self.view.has_to_ask(&self.member) => return Ended::Again,
                Ok(Took::Status) => pauses.reset(),
                Ok(Took::Slices) => {}
                Err(NotTaken::Wrong(why)) => return Ended::Failed(why),
                Err(NotTaken::NoRoom(refused)) => return Ended::NoRoom(refused),
            }
        }
    }

    fn take(
        &self,
        growing: &mut BTreeMap<i32, Growing>,
        waiting: &mut Vec<CountedBytes>,
        received: Received,
    ) -> Result<Took, NotTaken> {
        let now = clock::now_monotonic();
        let took = match received {
            Received::Waiting { partition, bytes } => {
                let counted: usize = waiting.iter().map(CountedBytes::bytes).sum();
                let more = bytes.saturating_sub(counted);
                self.check_room(partition, more, bytes)?;
                waiting.push(self.total.count(more));
                Took::Slices
            }
            Received::Status(status) => {
                growing.retain(|partition, _| status.partitions.iter().any(|p| p.partition == *partition));
                self.view.status(&self.member, status, now);
                Took::Status
            }
            Received::Update(update) => {
                let partition = update.partition;
                waiting.clear();
                let grown = self.grow(growing.remove(&partition), update)?;
                self.view.hold(&self.member, partition, self.held(partition, &grown)?);
                growing.insert(partition, grown);
                Took::Slices
            }
        };
        self.view.heard(&self.member, now);
        Ok(took)
    }

    /// The partition with the new slices.
    fn grow(&self, before: Option<Growing>, update: Update) -> Result<Growing, String> {
        let Update { partition, base, slices, pinned } = update;
        let Some((first, ..)) = slices.first() else { return Err("an update without a slice".to_owned()) };
        let mut grown = match before.filter(|_| !base) {
            Some(before) if before.head == first.start => before,
            None if base => self.based(partition, first.start),
            Some(Growing { head, .. }) => {
                return Err(format!("partition {partition} goes on at {} instead of {head}", first.start));
            }
            None => return Err(format!("partition {partition} goes on at {} without a base", first.start)),
        };
        metrics::counter!("dovetail_remote_slices_total").increment(slices.len() as u64);
        for (range, state, errors) in slices {
            let bytes: usize = state.iter().map(|batch| batch.get_array_memory_size()).sum();
            metrics::counter!("dovetail_remote_received_bytes_total").increment(bytes as u64);
            grown.slices.push(Slice { partition, range, state: Arc::new(state), errors: Arc::new(errors) });
            grown.head = range.end;
        }
        let (mut boundaries, least) = self.view.boundaries(partition);
        boundaries.extend(pinned);
        self.compact(&mut grown, &boundaries)?;
        if let Some(least) = least.filter(|&least| grown.start < least && grown.slices.has_boundary(least)) {
            grown.slices.retire(least);
            grown.start = least;
        }
        Ok(grown)
    }

    /// A partition that starts at `at`, behind the slices that are still wanted and that the member has dropped.
    fn based(&self, partition: i32, at: i64) -> Growing {
        let mut based = Growing { start: at, head: at, slices: Slices::default() };
        for slice in self.view.wanted_below(&self.member, partition, at) {
            based.start = based.start.min(slice.range.start);
            based.slices.push(slice);
        }
        based
    }

    fn compact(&self, grown: &mut Growing, boundaries: &BTreeSet<i64>) -> Result<(), String> {
        let compacted = grown.slices.compact(&self.view.view, boundaries);
        compacted.map_err(|error| format!("slices cannot be merged: {}", error.strip_backtrace()))
    }

    /// The state that readers see.
    fn held(&self, partition: i32, grown: &Growing) -> Result<RemotePartition, NotTaken> {
        let bytes = grown.slices.bytes();
        let slices = grown.slices.from(grown.start);
        // The replaced slices count until right after.
        let before = self.view.bytes_of(&self.member, partition);
        self.check_room(partition, bytes.saturating_sub(before), bytes)?;
        Ok(RemotePartition { start: grown.start, head: grown.head, slices, bytes: self.total.count(bytes), lost: None })
    }

    /// Checks that there is room for `more` bytes, if the partition has `whole` bytes in all.
    fn check_room(&self, partition: i32, more: usize, whole: usize) -> Result<(), NotTaken> {
        if self.total.fits(more) {
            return Ok(());
        }
        metrics::counter!("dovetail_remote_over_limit_total").increment(1);
        // Its own bytes become free for others.
        let bytes = self.view.no_room(&self.member, partition, whole, self.total.limit());
        Err(NotTaken::NoRoom(Overflow { bytes }))
    }
}

/// The pause before the next attempt.
struct Pauses {
    failed: Backoff,
    no_room: Backoff,
}

impl Pauses {
    fn new() -> Self {
        Self {
            failed: Backoff::new(LINK_RETRY_FIRST, LINK_RETRY_MAX),
            no_room: Backoff::new(NO_ROOM_RETRY_FIRST, NO_ROOM_RETRY_MAX),
        }
    }

    fn reset(&mut self) {
        self.failed.reset();
        self.no_room.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_without_room_grow_and_have_a_bound() {
        let mut pauses = Pauses::new();
        let all: Vec<u64> = (0..9).map(|_| pauses.no_room.next_pause().as_millis() as u64).collect();
        assert_eq!(all, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(pauses.failed.next_pause(), LINK_RETRY_FIRST, "what fails otherwise is tried as soon as ever");
    }
}
