//! A cursor: a place in a partition at which a consumer continues to read, so that sequential reads never seek.
//!
//! Its position counts, not its last record: markers of transactions, aborted records and compacted records have
//! offsets too. librdkafka moves the position over markers as they pass through the queue, but until the first event of
//! this place the position may be that of an earlier place. A hole at the end, without any event in it, is reported
//! only by the end of the partition.

use std::sync::Arc;
use std::time::Duration;

use dovetail_core::clock;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Message, OwnedMessage};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::context::Context;
use crate::log::kafka::batch_builder::Page;
use crate::log::kafka::consumer::Lane;

/// Greatest delay in noticing a marker, which wakes no task.
const MARKER_POLL_INTERVAL: Duration = Duration::from_millis(5);

pub(super) struct Cursor {
    lane: Arc<Lane>,
    topic: Arc<str>,
    partition: i32,
    queue: PartitionQueue<Context>,
    /// Notified when something enters the queue.
    arrived: Arc<Notify>,
    /// Offset at which the next read begins without a seek.
    next: i64,
    /// A record taken from the queue that did not fit into the batch.
    held: Option<OwnedMessage>,
    /// Whether something arrived at this place, so that librdkafka's position is of this place.
    live: bool,
    /// The consumer's number of strays when the cursor was placed.
    strays: u64,
}

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The offset at which the next read begins, greater than this one's.
    To(i64),
    /// The partition ended without a record since the start of the read.
    Ended,
    /// Nothing arrived in time.
    Nothing,
}

impl Cursor {
    /// A new cursor at `from`; an error when the partition's name is invalid.
    pub(super) fn open(lane: Arc<Lane>, topic: &Arc<str>, partition: i32, from: i64) -> KafkaResult<Self> {
        // Split before it is assigned, so that nothing of it takes another way.
        let queue = lane.consumer.split_partition_queue(topic, partition);
        let mut queue = queue.ok_or_else(|| KafkaError::Subscription(format!("no queue for {topic}/{partition}")))?;
        let arrived = Arc::new(Notify::new());
        let signal = Arc::clone(&arrived);
        queue.set_nonempty_callback(move || signal.notify_one());
        lane.assign(topic, partition, from)?;
        let (topic, strays) = (Arc::clone(topic), lane.strays());
        Ok(Self { lane, topic, partition, queue, arrived, next: from, held: None, live: false, strays })
    }

    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Handles the consumer's reports so far, which include the ids of topics that the records read so far belong to.
    /// Returns `false` when those records cannot be relied on.
    pub(super) fn confirm(&self) -> bool {
        self.lane.serve();
        self.lane.strays() == self.strays
    }

    /// Reads on into `page`, which begins at the cursor, and waits until `until` for the first record.
    ///
    /// `placed` means that nothing was read since the cursor was placed, so that an end that is reached is not an old
    /// one.
    pub(super) fn read(&mut self, page: &mut Page, placed: bool, until: Instant) -> KafkaResult<Step> {
        let mut ended = false;
        loop {
            ended |= self.fill(page)?;
            let at = self.at(page);
            if at > page.from() {
                self.next = at;
                return Ok(Step::To(at));
            }
            if ended && placed {
                return Ok(Step::Ended);
            }
            let left = until.saturating_duration_since(clock::now_monotonic());
            if left.is_zero() {
                return Ok(Step::Nothing);
            }
            ended |= self.take(left.min(MARKER_POLL_INTERVAL))?;
        }
    }

    /// The offset up to which the partition is known to reach; does not wait.
    pub(super) fn peek(&mut self) -> KafkaResult<i64> {
        while self.held.is_none() && self.take(Duration::ZERO)? {}
        Ok(match &self.held {
            Some(held) => held.offset() + 1,
            None => self.position().max(self.next),
        })
    }

    /// Waits until something may have arrived. Cancel-safe.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Moves records from the queue into the batch while they fit. Returns `true` when the partition's end was passed.
    fn fill(&mut self, page: &mut Page) -> KafkaResult<bool> {
        if let Some(held) = self.held.take()
            && !page.push(&held)
        {
            self.held = Some(held);
            return Ok(false);
        }
        let mut ended = false;
        loop {
            match self.queue.poll(Duration::ZERO) {
                None => return Ok(ended),
                Some(Ok(message)) => {
                    self.live = true;
                    if !page.push(&message) {
                        self.held = Some(message.detach());
                        return Ok(ended);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => (self.live, ended) = (true, true),
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// Takes one event; a record is held. Returns `true` when it was the partition's end.
    fn take(&mut self, wait: Duration) -> KafkaResult<bool> {
        match self.queue.poll(wait) {
            None => Ok(false),
            Some(Ok(message)) => {
                self.live = true;
                self.held = Some(message.detach());
                Ok(false)
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                self.live = true;
                Ok(true)
            }
            Some(Err(error)) => Err(error),
        }
    }

    /// The offset at which the read after `page` begins.
    fn at(&self, page: &Page) -> i64 {
        match &self.held {
            Some(held) => held.offset(),
            None => self.position().max(page.next()),
        }
    }

    /// librdkafka's position, if it is known to be of this place.
    fn position(&self) -> i64 {
        let position = self.live.then(|| self.lane.position(&self.topic, self.partition));
        position.flatten().unwrap_or(-1)
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        if let Err(error) = self.lane.unassign(&self.topic, self.partition) {
            tracing::debug!(topic = %self.topic, partition = self.partition, %error, "unassign");
        }
    }
}
