//! The serving layer: what it holds for as long as the process lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::context::SessionContext;
use dovetail_core::background;
use dovetail_core::catalog::{Catalog, Run, RunState};
use dovetail_core::clock::{self, Clock};
use dovetail_core::name::{Generation, StreamName, ViewName};
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::Realtime;
use dovetail_core::store::Store;
use dovetail_core::view::{Planned, View};
use dovetail_ingestion::log::Log;
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::config::{Landing, ServingConfig, ServingParts};
use crate::error::QueryError;
use crate::memory::{Pool, Shared};
use crate::snapshot::batch_states::StateCache;
use crate::snapshot::cache::Cache;
use crate::snapshot::drift;
use crate::snapshot::generation::Served;
use crate::snapshot::merged_cache::Bases;
use crate::sql::lookups::Lookups;
use crate::sql::session;
use crate::sql::statement::Dialect;
use crate::sql::sys::Recounted;
use crate::sql::threads::Threads;

/// The catalog is looked at this often besides when this process changes it: others may publish too.
const CATALOG_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How often it is asked whether a topic got more partitions: less often than the layers ask, which should have taken
/// up what is found here.
const PARTITIONS_POLL_INTERVAL: Duration = Duration::from_secs(15);
/// How long the log may take to answer what `sys` tells of it.
pub(crate) const LOG_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before a generation that the speed layer could not meet is tried again.
const MEET_RETRY_PAUSE: Duration = Duration::from_millis(25);

/// Answers queries.
pub struct Serving {
    pub(crate) inner: Arc<Inner>,
    /// Everything but the tables, which each query brings.
    pub(crate) template: SessionContext,
    /// Made once: it parses the questions it replaces.
    pub(crate) dialect: Dialect,
    pub(crate) threads: Threads,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

/// What snapshots are made of.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) views: Vec<Planned>,
    pub(crate) streams: Vec<Arc<Stream>>,
    pub(crate) lookups: Lookups,
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) realtime: Arc<dyn Realtime>,
    pub(crate) log: Option<Arc<dyn Log>>,
    pub(crate) landing: Option<Arc<dyn Landing>>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) config: ServingConfig,
    pub(crate) states: StateCache,
    pub(crate) bases: Bases,
    pub(crate) cache: Arc<Cache>,
    /// What all queries may use together, and what is done beside them.
    pub(crate) memory: Shared,
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) following: tokio::sync::Mutex<()>,
    pub(crate) started_ms: i64,
    pub(crate) recounted: Recounted,
    served: RwLock<Arc<Served>>,
    partitions: RwLock<HashMap<StreamName, u32>>,
}

impl Serving {
    /// Makes the serving layer and takes up the catalog's current generation.
    ///
    /// # Errors
    /// When the lookups cannot be taken over or the catalog cannot be read.
    pub async fn new(parts: ServingParts) -> Result<Arc<Self>, QueryError> {
        let lookups = Lookups::take(&parts).await?;
        let folded = parts.views.iter().map(|view| view.name().clone());
        let memory = Shared::new(parts.config.total_memory);
        let cache = Cache::new(parts.config.state_cache_bytes, &memory);
        let inner = Arc::new(Inner {
            states: StateCache::new(parts.store.clone(), &cache, &memory),
            bases: Bases::new(folded, &cache, &memory, TaskTracker::new()),
            cache,
            memory,
            turns: Arc::new(Semaphore::new(parts.config.max_queries.max(1))),
            following: tokio::sync::Mutex::default(),
            started_ms: parts.clock.now_ms(),
            recounted: Recounted::default(),
            served: RwLock::default(),
            partitions: RwLock::default(),
            views: parts.views,
            streams: parts.streams,
            lookups,
            catalog: parts.catalog,
            store: parts.store,
            realtime: parts.realtime,
            log: parts.log,
            landing: parts.landing,
            clock: parts.clock,
            metrics: parts.metrics,
            config: parts.config,
        });
        inner.look_for_partitions().await;
        inner.follow().await?;
        let template = session::template(&inner).await?;
        let threads = Threads::new(inner.config.max_queries)?;
        Ok(Arc::new(Self { inner, template, dialect: Dialect::new(), threads }))
    }

    /// Starts what runs beside the queries: following the catalog's current generation, and comparing the layers
    /// when it moves. Ends when `shutdown` is cancelled.
    pub fn run(self: &Arc<Self>, tracker: &TaskTracker, shutdown: CancellationToken) {
        let inner = Arc::clone(&self.inner);
        background::spawn(tracker, &shutdown, "follow_generation", follow(inner, shutdown.clone()));
        background::spawn(tracker, &shutdown, "watch_drift", drift::watch(Arc::clone(&self.inner)));
    }

    /// Moves on to the catalog's current generation now, as [`Serving::run`] does by itself.
    ///
    /// Returns whether it is served: not while the speed layer is on its way to its cut.
    pub async fn follow(&self) -> Result<bool, QueryError> {
        self.inner.follow().await
    }

    /// Memory for verifying: within what all queries may use together.
    pub fn memory_to_verify(&self) -> Arc<Pool> {
        Pool::of("verify", &self.inner.memory)
    }

    /// The generation that is served.
    pub fn generation(&self) -> Generation {
        self.inner.served().generation()
    }
}

async fn follow(inner: Arc<Inner>, shutdown: CancellationToken) {
    let mut changes = inner.catalog.changes();
    let mut looked = clock::now_monotonic();
    loop {
        if looked.elapsed() >= PARTITIONS_POLL_INTERVAL {
            inner.look_for_partitions().await;
            looked = clock::now_monotonic();
        }
        let pause = match inner.follow().await {
            Ok(true) => CATALOG_POLL_INTERVAL,
            Ok(false) => MEET_RETRY_PAUSE,
            Err(error) => {
                warn!(%error, "the current generation cannot be followed");
                CATALOG_POLL_INTERVAL
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = clock::sleep(pause) => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

impl Inner {
    pub(crate) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served.read())
    }

    pub(crate) fn serve(&self, served: Arc<Served>) {
        *self.served.write() = served;
    }

    /// The views that have states.
    pub(crate) fn folded(&self) -> impl Iterator<Item = &Arc<View>> {
        self.views.iter().filter_map(|view| match view {
            Planned::Folded(view) => Some(view),
            Planned::Derived(_) => None,
        })
    }

    pub(crate) fn view(&self, name: &str) -> Option<&Planned> {
        self.views.iter().find(|view| view.name().as_str() == name)
    }

    pub(crate) fn stream(&self, name: &StreamName) -> Option<&Arc<Stream>> {
        self.streams.iter().find(|stream| stream.name == *name)
    }

    /// How many partitions the stream of `view` has.
    pub(crate) async fn partitions(&self, view: &View) -> Result<u32, QueryError> {
        if let Some(known) = self.known_partitions(&view.stream) {
            return Ok(known);
        }
        let Some(stream) = self.stream(&view.stream) else { return Ok(0) };
        let partitions = self.partitions_of(stream).await?;
        self.has_partitions(stream, partitions);
        Ok(partitions)
    }

    /// How many partitions the stream has, as far as that can be told without waiting for long.
    pub(crate) async fn partitions_at_once(&self, stream: &Stream) -> u32 {
        match self.known_partitions(&stream.name) {
            Some(known) => known,
            None => match tokio::time::timeout(LOG_TIMEOUT, self.partitions_of(stream)).await {
                Ok(Ok(partitions)) => partitions,
                Ok(Err(_)) | Err(_) => stream.options.partitions,
            },
        }
    }

    /// The number that was last heard of.
    fn known_partitions(&self, stream: &StreamName) -> Option<u32> {
        self.partitions.read().get(stream).copied()
    }

    fn has_partitions(&self, stream: &Stream, partitions: u32) {
        let mut known = self.partitions.write();
        known.insert(stream.name.clone(), partitions);
    }

    /// Takes note of partitions that were added. A log that does not answer has taken none away.
    async fn look_for_partitions(&self) {
        for stream in &self.streams {
            if let Ok(Ok(partitions)) = tokio::time::timeout(LOG_TIMEOUT, self.partitions_of(stream)).await {
                self.has_partitions(stream, partitions);
            }
        }
    }

    pub(crate) async fn partitions_of(&self, stream: &Stream) -> Result<u32, QueryError> {
        match &self.log {
            Some(log) => log
                .partitions(&stream.topic)
                .await
                .map_err(|error| QueryError::new(crate::error::Reason::NotReady, error.to_string())),
            None => Ok(stream.options.partitions),
        }
    }

    /// How far the run has come that fills `view`, in words.
    pub(crate) async fn filling(&self, view: &View) -> Option<String> {
        let run = self.running().await.filter(|run| run.views.is_empty() || names(run, &view.name))?;
        let landed = match self.stream(&view.stream) {
            Some(stream) => self.catalog.landed_totals(&stream.topic).await.ok(),
            None => None,
        };
        let Run { id, rows, segments, .. } = run;
        Some(match landed {
            Some(all) => {
                let percent = rows.saturating_mul(100).checked_div(all.rows).map_or(100, |percent| percent.min(100));
                format!(
                    "run {id} has folded {rows} of {} rows ({percent} %), {segments} of {} segments",
                    all.rows, all.segments
                )
            }
            None => format!("run {id} has folded {rows} rows of {segments} segments"),
        })
    }

    /// The run in progress.
    pub(crate) async fn running(&self) -> Option<Run> {
        let runs = self.catalog.runs(1).await.ok()?;
        runs.into_iter().find(|run| run.state == RunState::Running)
    }
}

fn names(run: &Run, view: &ViewName) -> bool {
    run.views.contains(view)
}
