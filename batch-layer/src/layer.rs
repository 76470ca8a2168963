//! The start of the batch layer.

use std::collections::HashMap;
use std::sync::Arc;

use dovetail_core::assignment::Assignment;
use dovetail_core::background;
use dovetail_core::catalog::Catalog;
use dovetail_core::clock::Clock;
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_core::view::View;
use dovetail_ingestion::decoded_log::DecodedLog;
use dovetail_ingestion::log::Log;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{BatchConfig, LandingConfig, RunConfig};
use crate::handle::{BatchHandle, HandleState};
use crate::landing::{Board, LandingParts, LandingStatus, SegmentEnd};
use crate::leader::Leader;
use crate::recompute::{RecomputeParts, Reporter};
use crate::runner::{Demand, InProgress, Runner};
use crate::upkeep::Upkeep;
use crate::writer_id::WriterId;

/// Number of requests that may wait.
const DEMANDS_WAITING_MAX: usize = 16;
/// Number of boundaries by which a receiver may be behind.
const ENDS: usize = 4096;

/// The parts and settings of the batch layer.
#[derive(Debug)]
pub struct BatchParts {
    /// The pipeline's streams.
    pub streams: Vec<Arc<Stream>>,
    /// The views that are folded.
    pub views: Vec<Arc<View>>,
    /// The decoded logs of the streams to land.
    pub decoded_logs: HashMap<StreamName, Arc<DecodedLog>>,
    /// The catalog of landing, runs and generations.
    pub catalog: Catalog,
    /// The store of segments, states and manifests.
    pub store: Store,
    /// The clock for the age of segments and for messages.
    pub clock: Clock,
    /// The assigned partitions, when other processes land the others; `None` lands all.
    pub assignment: Option<watch::Receiver<Assignment>>,
    /// The log to trim once generations cover it; `None` where it has its own retention, as Kafka does.
    pub trim: Option<Arc<dyn Log>>,
    /// Runtime on which runs fold: one of their own keeps them from delaying queries.
    pub work: Handle,
    /// The settings.
    pub config: BatchConfig,
}

/// The batch layer of one process.
#[derive(Debug)]
pub struct BatchLayer;

impl BatchLayer {
    /// Starts segment writers, runs and upkeep on `tracker`; all of it ends after `shutdown`.
    pub fn start(parts: BatchParts, tracker: &TaskTracker, shutdown: CancellationToken) -> BatchHandle {
        let writer = Arc::new(WriterId::default());
        let (ends, _) = broadcast::channel(ENDS);
        let (demands, waiting) = mpsc::channel(DEMANDS_WAITING_MAX);
        let landing = match &parts.config.landing {
            Some(config) => start_landing(&parts, config, &writer, &ends, tracker, &shutdown),
            None => watch::channel(LandingStatus::new()).1,
        };
        let in_progress = InProgress::default();
        let progress = match &parts.config.runs {
            Some(config) => start_runs(&parts, config, &writer, waiting, &in_progress, tracker, shutdown),
            None => Reporter::new().subscribe(),
        };
        let BatchParts { catalog, store, .. } = parts;
        let inner = HandleState { catalog, store, demands, in_progress, progress, landing, ends };
        BatchHandle { inner: Arc::new(inner) }
    }
}

fn start_landing(
    parts: &BatchParts,
    config: &LandingConfig,
    writer: &Arc<WriterId>,
    ends: &broadcast::Sender<SegmentEnd>,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) -> watch::Receiver<LandingStatus> {
    let landing = Arc::new(LandingParts {
        catalog: parts.catalog.clone(),
        store: parts.store.clone(),
        clock: parts.clock.clone(),
        config: config.clone(),
        writer: Arc::clone(writer),
        board: Board::new(),
        ends: ends.clone(),
        shutdown: shutdown.clone(),
    });
    for decoded_log in parts.decoded_logs.values() {
        let there = decoded_log.partitions();
        let segment_writers = landing.segment_writers(decoded_log, 0..there, parts.assignment.as_ref());
        segment_writers
            .into_iter()
            .for_each(|segment_writer| background::spawn_to_end(tracker, "land", segment_writer.run()));
        let (landing, decoded_log, assignment) =
            (Arc::clone(&landing), Arc::clone(decoded_log), parts.assignment.clone());
        background::spawn(
            tracker,
            shutdown,
            "land_added",
            land_added(landing, decoded_log, there, assignment, tracker.clone()),
        );
    }
    landing.board.subscribe()
}

/// Lands partitions from number `landed` on, as they are added to the topic.
async fn land_added(
    landing: Arc<LandingParts>,
    decoded_log: Arc<DecodedLog>,
    mut landed: u32,
    assignment: Option<watch::Receiver<Assignment>>,
    tracker: TaskTracker,
) {
    let mut count = decoded_log.count();
    loop {
        let there = *count.borrow_and_update();
        for segment_writer in landing.segment_writers(&decoded_log, landed..there, assignment.as_ref()) {
            background::spawn_to_end(&tracker, "land", segment_writer.run());
        }
        landed = there;
        if count.changed().await.is_err() {
            return;
        }
    }
}

fn start_runs(
    parts: &BatchParts,
    config: &RunConfig,
    writer: &Arc<WriterId>,
    demands: mpsc::Receiver<Demand>,
    in_progress: &InProgress,
    tracker: &TaskTracker,
    shutdown: CancellationToken,
) -> watch::Receiver<crate::recompute::FoldProgress> {
    let BatchParts { streams, views, catalog, store, clock, .. } = parts;
    let reporter = Reporter::new();
    let progress = reporter.subscribe();
    let recompute = RecomputeParts {
        streams: streams.iter().map(|stream| (stream.name.clone(), Arc::clone(stream))).collect(),
        views: views.clone(),
        catalog: catalog.clone(),
        store: store.clone(),
        clock: clock.clone(),
        config: config.clone(),
        reporter,
    };
    let upkeep = Upkeep {
        streams: streams.clone(),
        views: views.clone(),
        log: parts.trim.clone(),
        catalog: catalog.clone(),
        store: store.clone(),
        clock: clock.clone(),
        config: config.clone(),
        writer: Arc::clone(writer),
        deleted_again: tokio::sync::Mutex::default(),
    };
    let (owner, lease) = (config.owner.clone(), config.leader_lease);
    let leader = Leader::start(catalog.clone(), owner, lease, tracker, shutdown.clone());
    // A run that is due does not wait for upkeep: the catalog refuses changes of one that would harm the other.
    let _on_work = parts.work.enter();
    background::spawn(tracker, &shutdown, "keep_up", upkeep.keep_up(leader.clone()));
    let in_progress = in_progress.clone();
    let runner = Runner { recompute: Arc::new(recompute), demands, in_progress, leader, shutdown };
    background::spawn_to_end(tracker, "run", runner.run());
    progress
}
