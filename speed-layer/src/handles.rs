//! The handles to a stream's partitions: a task behind each, and another one when the topic gets another partition.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use dovetail_core::assignment::{Assignment, LocalAssignment};
use dovetail_core::background;
use dovetail_core::view::View;
use dovetail_ingestion::decoded_log::DecodedLog;
use parking_lot::RwLock;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::SpeedConfig;
use crate::desired_state::Targets;
use crate::partition::{PartitionFold, PartitionMessage};
use crate::purpose::Purpose;
use crate::status::SharedStatus;
use crate::views::{RestoredSlices, Views};

/// The partitions of one stream.
#[derive(Debug)]
pub(crate) struct Handles {
    /// By partition number; a topic gets more, never fewer.
    all: RwLock<Arc<Vec<PartitionHandle>>>,
    /// Grows when the head of any partition moves, or a partition comes or goes.
    pub(crate) moved: watch::Sender<u64>,
    parts: HandleParts,
}

/// The parts that every partition of a stream is opened with.
#[derive(Debug)]
pub(crate) struct HandleParts {
    pub(crate) decoded_log: Arc<DecodedLog>,
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) targets: watch::Receiver<Targets>,
    pub(crate) assignment: Option<watch::Receiver<Assignment>>,
    pub(crate) purpose: Purpose,
    /// The slices with which views begin, by view and partition.
    pub(crate) restored: RestoredSlices,
    /// Bytes of all partitions of all streams.
    pub(crate) total_bytes: Arc<AtomicUsize>,
    pub(crate) config: SpeedConfig,
    pub(crate) tracker: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

/// The handle to a partition's task.
#[derive(Debug, Clone)]
pub(crate) struct PartitionHandle {
    pub(crate) mailbox: mpsc::Sender<PartitionMessage>,
    pub(crate) shared: Arc<SharedStatus>,
}

/// Number of messages that may wait for one partition.
const MESSAGES_WAITING_MAX: usize = 256;

impl Handles {
    /// Opens every partition of the topic, and later ones when they are added.
    pub(crate) fn open_all(parts: HandleParts) -> Arc<Self> {
        let handles = Arc::new(Self { all: RwLock::default(), moved: watch::Sender::default(), parts });
        handles.open_up_to(handles.parts.decoded_log.partitions());
        let HandleParts { tracker, shutdown, .. } = &handles.parts;
        background::spawn(tracker, shutdown, "open_added", Arc::clone(&handles).open_added());
        handles
    }

    pub(crate) fn all(&self) -> Arc<Vec<PartitionHandle>> {
        Arc::clone(&self.all.read())
    }

    /// Opens the partitions with numbers below `there` that are not open.
    fn open_up_to(&self, there: u32) {
        let mut handles = self.all().to_vec();
        for partition in handles.len()..there as usize {
            handles.push(self.open(i32::try_from(partition).unwrap_or(i32::MAX)));
        }
        *self.all.write() = Arc::new(handles);
        self.moved.send_modify(|n| *n += 1);
    }

    /// Opens partitions as they are added to the topic.
    async fn open_added(self: Arc<Self>) {
        let mut count = self.parts.decoded_log.count();
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

    fn open(&self, partition: i32) -> PartitionHandle {
        let HandleParts { decoded_log, views, targets, assignment, total_bytes, config, tracker, shutdown, .. } =
            &self.parts;
        let (purpose, restored) = (self.parts.purpose, &self.parts.restored);
        let (mailbox, messages) = mpsc::channel(MESSAGES_WAITING_MAX);
        let shared = Arc::new(SharedStatus::new(views.len(), purpose, &self.moved));
        let assignment = LocalAssignment::new(&decoded_log.stream().name, partition, assignment.as_ref());
        shared.set_owned(assignment.now());
        let fold = PartitionFold {
            decoded_log: Arc::clone(decoded_log),
            partition,
            views: Views::new(views, partition, purpose, restored),
            mailbox: messages,
            targets: targets.clone(),
            assignment,
            shared: Arc::clone(&shared),
            total_bytes: Arc::clone(total_bytes),
            purpose,
            pause_above: purpose.pause_above(config.memory_limit),
            seal_interval: config.seal_interval,
            shutdown: shutdown.clone(),
        };
        background::spawn_to_end(tracker, "fold", fold.run());
        PartitionHandle { mailbox, shared }
    }
}
