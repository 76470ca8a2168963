//! The handles to a stream's partitions: a task behind each, and another one when the topic gets another partition.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use dovetail_core::assignment::{Owned, OwnedHere};
use dovetail_core::background;
use dovetail_core::view::View;
use dovetail_ingestion::decoded_log::Feed;
use parking_lot::RwLock;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::SpeedConfig;
use crate::desired_state::Targets;
use crate::partition::{Message, PartitionFold};
use crate::status::Shared;
use crate::views::Views;

/// The partitions of one stream.
#[derive(Debug)]
pub(crate) struct Doors {
    /// By partition number; a topic gets more, never fewer.
    all: RwLock<Arc<Vec<Door>>>,
    /// Grows when the head of any partition moves, or a partition comes or goes.
    pub(crate) moved: watch::Sender<u64>,
    parts: DoorParts,
}

/// The parts that every partition of a stream is opened with.
#[derive(Debug)]
pub(crate) struct DoorParts {
    pub(crate) feed: Arc<Feed>,
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) targets: watch::Receiver<Targets>,
    pub(crate) owned: Option<watch::Receiver<Owned>>,
    /// Bytes of all partitions of all streams.
    pub(crate) total_bytes: Arc<AtomicUsize>,
    pub(crate) config: SpeedConfig,
    pub(crate) tracker: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

/// The handle to a partition's task.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) inbox: mpsc::Sender<Message>,
    pub(crate) shared: Arc<Shared>,
}

/// Number of messages that may wait for one partition.
const MESSAGES_WAITING_MAX: usize = 256;

impl Doors {
    /// Opens every partition of the topic, and later ones when they are added.
    pub(crate) fn open_all(parts: DoorParts) -> Arc<Self> {
        let doors = Arc::new(Self { all: RwLock::default(), moved: watch::Sender::default(), parts });
        doors.open_up_to(doors.parts.feed.partitions());
        let DoorParts { tracker, shutdown, .. } = &doors.parts;
        background::spawn(tracker, shutdown, "open_added", Arc::clone(&doors).open_added());
        doors
    }

    pub(crate) fn all(&self) -> Arc<Vec<Door>> {
        Arc::clone(&self.all.read())
    }

    /// Opens the partitions with numbers below `there` that are not open.
    fn open_up_to(&self, there: u32) {
        let mut doors = self.all().to_vec();
        for partition in doors.len()..there as usize {
            doors.push(self.open(i32::try_from(partition).unwrap_or(i32::MAX)));
        }
        *self.all.write() = Arc::new(doors);
        self.moved.send_modify(|n| *n += 1);
    }

    /// Opens partitions as they are added to the topic.
    async fn open_added(self: Arc<Self>) {
        let mut count = self.parts.feed.count();
        loop {
            let there = *count.borrow_and_update();
            if there as usize > self.all().len() {
                self.open_up_to(there);
            }
            if count.changed().await.is_err() {
                return;
            }
        }
    }

    fn open(&self, partition: i32) -> Door {
        let DoorParts { feed, views, targets, owned, total_bytes, config, tracker, shutdown } = &self.parts;
        let (inbox, messages) = mpsc::channel(MESSAGES_WAITING_MAX);
        let shared = Arc::new(Shared::new(views.len(), &self.moved));
        let owned = OwnedHere::new(&feed.stream().name, partition, owned.as_ref());
        shared.set_owned(owned.now());
        let fold = PartitionFold {
            feed: Arc::clone(feed),
            partition,
            views: Views::new(views, partition),
            inbox: messages,
            targets: targets.clone(),
            owned,
            shared: Arc::clone(&shared),
            total_bytes: Arc::clone(total_bytes),
            pause_above: config.memory_limit.saturating_mul(2),
            seal_interval: config.seal_interval,
            shutdown: shutdown.clone(),
        };
        background::spawn_to_end(tracker, "fold", fold.run());
        Door { inbox, shared }
    }
}
