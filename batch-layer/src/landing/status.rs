//! The state of landing, for people and for `sys.partitions`.

use std::collections::BTreeMap;

use dovetail_core::name::StreamName;
use metrics::gauge;
use tokio::sync::watch;

/// The state of every partition that this process lands.
pub type LandingStatus = BTreeMap<(StreamName, i32), PartitionLanding>;

/// The state of one partition's landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLanding {
    /// The stream's topic.
    pub topic: String,
    /// Its state.
    pub state: LandingState,
    /// Everything below this offset is landed.
    pub next_offset: i64,
    /// Time of the change to this state, in milliseconds since the Unix epoch.
    pub since_ms: i64,
}

/// The state of a segment writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LandingState {
    /// It determines the offset to continue at.
    Starting,
    /// It reads and writes segments.
    Landing,
    /// The log, the store or the catalog fails: it retries until that succeeds, and reads nothing meanwhile.
    Stalled {
        /// The failure.
        reason: String,
    },
    /// It needs help: a record is bad and the stream says to stop, or the log and the landing no longer fit together.
    Stopped {
        /// The offset at which it stopped.
        offset: i64,
        /// The cause, and what to do about it.
        error: String,
    },
    /// The process is ending, or the partition is assigned to another one.
    Ended,
}

#[derive(Debug)]
pub(crate) struct Board(watch::Sender<LandingStatus>);

impl Board {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(LandingStatus::new()))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<LandingStatus> {
        self.0.subscribe()
    }

    /// Adds a partition; an existing one stays as it is.
    pub(crate) fn add(&self, stream: &StreamName, partition: i32, topic: &str, now_ms: i64) {
        let state = LandingState::Starting;
        let landing = PartitionLanding { topic: topic.to_owned(), state, next_offset: 0, since_ms: now_ms };
        self.0.send_modify(|status| {
            status.entry((stream.clone(), partition)).or_insert(landing);
        });
    }

    pub(crate) fn remove(&self, stream: &StreamName, partition: i32) {
        self.0.send_if_modified(|status| status.remove(&(stream.clone(), partition)).is_some());
    }

    /// Sets a state; an unchanged state keeps its time.
    pub(crate) fn set_state(&self, stream: &StreamName, partition: i32, state: LandingState, now_ms: i64) {
        self.change(stream, partition, |landing| {
            if landing.state == state {
                return false;
            }
            let stalled = f64::from(u8::from(matches!(state, LandingState::Stalled { .. })));
            gauge!("dovetail_landing_stalled", "topic" => landing.topic.clone(), "partition" => partition.to_string())
                .set(stalled);
            landing.state = state;
            landing.since_ms = now_ms;
            true
        });
    }

    pub(crate) fn set_next_offset(&self, stream: &StreamName, partition: i32, next_offset: i64) {
        self.change(stream, partition, |landing| {
            let moved = landing.next_offset != next_offset;
            landing.next_offset = next_offset;
            moved
        });
    }

    fn change(&self, stream: &StreamName, partition: i32, change: impl FnOnce(&mut PartitionLanding) -> bool) {
        let key = (stream.clone(), partition);
        self.0.send_if_modified(|status| status.get_mut(&key).is_some_and(change));
    }
}
