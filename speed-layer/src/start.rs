//! Starting the speed layer: a task per partition, and one that watches the catalog.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dovetail_core::assignment::Assignment;
use dovetail_core::background;
use dovetail_core::catalog::{Catalog, CatalogError};
use dovetail_core::name::StreamName;
use dovetail_core::view::View;
use dovetail_ingestion::decoded_log::DecodedLog;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::SpeedConfig;
use crate::desired_state;
use crate::desired_state::Targets;
use crate::handles::{HandleParts, Handles};
use crate::layer::{KnownView, SpeedLayer};
use crate::purpose::Purpose;
use crate::views::RestoredSlices;
use crate::watch_catalog::Follow;

/// The parts and settings of the speed layer.
#[derive(Debug)]
pub struct SpeedParts {
    /// The views to fold.
    pub views: Vec<Arc<View>>,
    /// The decoded log of every stream that a view reads.
    pub decoded_logs: HashMap<StreamName, Arc<DecodedLog>>,
    /// The catalog of generations and cuts.
    pub catalog: Catalog,
    /// The assigned partitions, when other processes fold the others; `None` folds all.
    pub assignment: Option<watch::Receiver<Assignment>>,
    /// The settings.
    pub config: SpeedConfig,
}

impl SpeedLayer {
    /// Starts folding at the cuts of the current generation.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn start(
        parts: SpeedParts,
        tracker: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Arc<Self>, CatalogError> {
        let SpeedParts { views, decoded_logs, catalog, assignment, config } = parts;
        // Before the first poll, so that later changes are not missed.
        let changes = catalog.changes();
        let topics: BTreeMap<_, _> =
            decoded_logs.iter().map(|(s, decoded_log)| (s.clone(), decoded_log.stream().topic.clone())).collect();
        let first = desired_state::read(&catalog, &views, &topics, &Targets::default()).await?;
        let (apply, targets) = watch::channel(first);
        let fold = FoldParts {
            views: views.clone(),
            decoded_logs,
            targets,
            assignment,
            purpose: Purpose::Realtime,
            restored: RestoredSlices::default(),
            config: config.clone(),
        };
        let layer = Arc::new(Self::open(fold, tracker, shutdown));
        let follow = Follow { layer: Arc::clone(&layer), catalog, views, topics, config, apply };
        // A catalog that does not answer must not keep the process from ending.
        background::spawn(tracker, shutdown, "watch_catalog", follow.run(changes));
        Ok(layer)
    }

    /// Opens the partitions of all streams.
    pub(crate) fn open(parts: FoldParts, tracker: &TaskTracker, shutdown: &CancellationToken) -> Self {
        let FoldParts { views, decoded_logs, targets, assignment, purpose, restored, config } = parts;
        let mut layer = Self {
            views: HashMap::new(),
            streams: HashMap::new(),
            total_bytes: Arc::default(),
            pressure: Arc::default(),
            job: None,
        };
        for (stream, decoded_log) in decoded_logs {
            let mine: Vec<Arc<View>> = views.iter().filter(|v| v.stream == stream).cloned().collect();
            for (i, view) in mine.iter().enumerate() {
                layer.views.insert(view.name.clone(), KnownView { view: Arc::clone(view), number: i });
            }
            let handles = Handles::open_all(HandleParts {
                decoded_log,
                restored: mine.iter().filter_map(|v| Some((v.name.clone(), restored.get(&v.name)?.clone()))).collect(),
                views: mine,
                targets: targets.clone(),
                assignment: assignment.clone(),
                purpose,
                total_bytes: Arc::clone(&layer.total_bytes),
                config: config.clone(),
                tracker: tracker.clone(),
                shutdown: shutdown.clone(),
            });
            layer.streams.insert(stream, handles);
        }
        layer
    }
}

/// What partitions are opened with.
pub(crate) struct FoldParts {
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) decoded_logs: HashMap<StreamName, Arc<DecodedLog>>,
    pub(crate) targets: watch::Receiver<Targets>,
    pub(crate) assignment: Option<watch::Receiver<Assignment>>,
    pub(crate) purpose: Purpose,
    pub(crate) restored: RestoredSlices,
    pub(crate) config: SpeedConfig,
}
