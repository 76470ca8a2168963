//! One view from one member: a stream that is kept open, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::Ticket;
use arrow_flight::flight_service_client::FlightServiceClient;
use dovetail_core::realtime_wire::Ask;
use dovetail_core::slices::Slices;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;

use super::bytes::Total;
use super::receive::{Received, Receiver, Update, describe};
use super::view::{Held, RemoteView};

/// Pauses between two tries.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// What a message may have above all that there is room for, so that it is seen how much does not fit.
const MESSAGE: usize = 4 << 20;

pub(super) struct Link {
    pub(super) member: String,
    pub(super) view: Arc<RemoteView>,
    pub(super) channel: Channel,
    pub(super) stale_after: Duration,
    pub(super) total: Arc<Total>,
}

/// What the stream has given of one partition, as it grows.
struct Growing {
    start: i64,
    head: i64,
    slices: Slices,
}

/// Why a stream was ended.
enum Ended {
    /// Other floors are wanted.
    Again,
    Failed(String),
}

/// What was taken.
enum Took {
    Slices,
    Status,
}

impl Link {
    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        let mut pause = FIRST;
        loop {
            match self.stream(&mut pause).await {
                Ended::Again => continue,
                Ended::Failed(why) => {
                    tracing::debug!(view = %self.view.name(), member = self.member, why, "no stream");
                    self.view.down(&self.member, &why);
                }
            }
            metrics::counter!("dovetail_remote_reconnects_total", "member" => self.member.clone()).increment(1);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Asks once, and takes what comes. `pause` starts anew when something does.
    async fn stream(&self, pause: &mut Duration) -> Ended {
        let mut wanted = self.view.floors();
        let floors = wanted.borrow_and_update().clone();
        let view = &self.view.view;
        let ask = Ask { view: view.name.clone(), fingerprint: view.fingerprint.clone(), floors: floors.clone() };
        let ticket = match serde_json::to_vec(&ask) {
            Ok(ticket) => Ticket { ticket: ticket.into() },
            Err(error) => return Ended::Failed(error.to_string()),
        };
        let mut client = FlightServiceClient::new(self.channel.clone());
        client = client.max_decoding_message_size(self.total.limit().saturating_add(MESSAGE));
        let stream = match timeout(self.stale_after, client.do_get(ticket)).await {
            Ok(Ok(stream)) => stream.into_inner(),
            Ok(Err(status)) => return Ended::Failed(describe(&status)),
            Err(_) => return Ended::Failed(format!("no answer in {:?}", self.stale_after)),
        };
        self.view.opened(&self.member, &floors);
        let mut receiver = Receiver::new(stream);
        let mut growing = BTreeMap::new();
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
                Ok(Ok(received)) => self.take(&mut growing, received),
                Ok(Err(why)) => Err(why),
                Err(_) => Err(format!("not heard for {:?}", self.stale_after)),
            };
            match taken {
                // A partition that it has only now may lack a boundary that the others have.
                Ok(Took::Status) if self.view.has_to_ask(&self.member) => return Ended::Again,
                Ok(_) => *pause = FIRST,
                Err(why) => return Ended::Failed(why),
            }
        }
    }

    fn take(&self, growing: &mut BTreeMap<i32, Growing>, received: Received) -> Result<Took, String> {
        let now = Instant::now();
        let took = match received {
            Received::Waiting(bytes) => {
                self.check_room(bytes)?;
                Took::Slices
            }
            Received::Status(status) => {
                growing.retain(|partition, _| status.partitions.iter().any(|p| p.partition == *partition));
                self.view.status(&self.member, status, now);
                Took::Status
            }
            Received::Update(update) => {
                let partition = update.partition;
                let grown = self.grow(growing.remove(&partition), update)?;
                self.view.hold(&self.member, partition, self.held(&grown)?);
                growing.insert(partition, grown);
                Took::Slices
            }
        };
        self.view.heard(&self.member, now);
        Ok(took)
    }

    /// The partition with what is new.
    fn grow(&self, before: Option<Growing>, update: Update) -> Result<Growing, String> {
        let Update { partition, base, slices, pinned } = update;
        let Some((first, _)) = slices.first() else { return Err("an update without a slice".to_owned()) };
        let mut grown = match before.filter(|_| !base) {
            Some(before) if before.head == first.start => before,
            None if base => self.based(partition, first.start),
            Some(Growing { head, .. }) => {
                return Err(format!("partition {partition} goes on at {} instead of {head}", first.start));
            }
            None => return Err(format!("partition {partition} goes on at {} without a base", first.start)),
        };
        metrics::counter!("dovetail_remote_slices_total").increment(slices.len() as u64);
        for (range, state) in slices {
            let bytes: usize = state.iter().map(|batch| batch.get_array_memory_size()).sum();
            metrics::counter!("dovetail_remote_received_bytes_total").increment(bytes as u64);
            grown.slices.push(partition, range, state);
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

    /// A partition that starts at `at`, behind what is still wanted of what came before the member let go of it.
    fn based(&self, partition: i32, at: i64) -> Growing {
        let mut based = Growing { start: at, head: at, slices: Slices::default() };
        for slice in self.view.wanted_below(&self.member, partition, at) {
            based.start = based.start.min(slice.range.start);
            based.slices.push(partition, slice.range, slice.state.as_ref().clone());
        }
        based
    }

    fn compact(&self, grown: &mut Growing, boundaries: &BTreeSet<i64>) -> Result<(), String> {
        let compacted = grown.slices.compact(&self.view.view, boundaries);
        compacted.map_err(|error| format!("slices cannot be merged: {}", error.strip_backtrace()))
    }

    /// What readers see.
    fn held(&self, grown: &Growing) -> Result<Held, String> {
        let bytes = grown.slices.bytes();
        let slices = grown.slices.from(grown.start);
        // What it replaces still counts, and is let go of right after.
        self.check_room(0)?;
        Ok(Held { start: grown.start, head: grown.head, slices, bytes: self.total.count(bytes), lost: None })
    }

    fn check_room(&self, more: usize) -> Result<(), String> {
        if self.total.fits(more) {
            return Ok(());
        }
        // Others may use what it had.
        self.view.forget(&self.member);
        metrics::counter!("dovetail_remote_over_limit_total").increment(1);
        Err(format!("its slices do not fit into the {} bytes that there are for those of all", self.total.limit()))
    }
}
