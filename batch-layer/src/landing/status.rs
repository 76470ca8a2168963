//! What the landers are doing, for people and for `sys.partitions`.

use std::collections::BTreeMap;

use dovetail_core::name::StreamName;
use metrics::gauge;
use tokio::sync::watch;

/// Every partition that this process lands.
pub type LandingStatus = BTreeMap<(StreamName, i32), PartitionLanding>;

/// One partition's landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLanding {
    pub topic: String,
    pub state: LandingState,
    /// Everything below is landed.
    pub next_offset: i64,
    /// Since when it is in this state.
    pub since_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LandingState {
    /// Finds out where to continue.
    Starting,
    Landing,
    /// Something it needs does not answer: it tries again until it does, and reads nothing meanwhile.
    Stalled {
        reason: String,
    },
    /// It does not go on by itself: a record is bad and the stream says to stop, or the log and the landing no
    /// longer fit together.
    Stopped {
        offset: i64,
        error: String,
    },
    /// The process is ending.
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

    /// A partition that is there already stays as it is.
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

    /// Notes a state; one that it is in already keeps its time.
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
