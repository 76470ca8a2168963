//! The serving layer's state for the life of the process.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use datafusion::execution::context::SessionContext;
use dovetail_core::catalog::{Catalog, Run, RunState};
use dovetail_core::clock::Clock;
use dovetail_core::name::{Generation, StreamName, ViewName};
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::Realtime;
use dovetail_core::store::Store;
use dovetail_core::view::{Planned, View};
use dovetail_ingestion::log::Log;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
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

/// Interval of polls of the catalog, besides the changes of this process: other processes publish too.
const LOOK: Duration = Duration::from_millis(500);
/// Interval of checks for new partitions of topics: longer than that of the layers, which should own new partitions
/// before they are found here.
const PARTITIONS: Duration = Duration::from_secs(15);
/// Time for the log to answer questions of `sys`.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// Pause before the next attempt to serve a generation that the speed layer could not meet.
const AGAIN: Duration = Duration::from_millis(25);

/// Answers queries.
pub struct Serving {
    pub(crate) inner: Arc<Inner>,
    /// The query context without the tables, which each query adds.
    pub(crate) template: SessionContext,
    /// Made once, because it parses the questions that it replaces.
    pub(crate) dialect: Dialect,
    pub(crate) threads: Threads,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

/// The parts that snapshots are made from.
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
    /// The memory shared by all queries and the work beside them.
    pub(crate) memory: Shared,
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) following: tokio::sync::Mutex<()>,
    pub(crate) started_ms: i64,
    pub(crate) recounted: Recounted,
    served: RwLock<Arc<Served>>,
    partitions: RwLock<HashMap<StreamName, u32>>,
}

impl Serving {
    /// Makes the serving layer and serves the catalog's current generation.
    ///
    /// # Errors
    /// When the lookups cannot be registered or the catalog cannot be read.
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

    /// Starts the tasks beside the queries: watching the catalog's current generation, and comparing the layers when it
    /// changes. They end when `shutdown` is cancelled.
    pub fn run(self: &Arc<Self>, tracker: &TaskTracker, shutdown: CancellationToken) {
        let inner = Arc::clone(&self.inner);
        tracker.spawn(follow(inner, shutdown.clone()));
        tracker.spawn(drift::watch(Arc::clone(&self.inner), shutdown));
    }

    /// Moves to the catalog's current generation now, as [`Serving::run`] does by itself.
    ///
    /// Returns whether it is served: not while the speed layer has not reached its cut.
    pub async fn follow(&self) -> Result<bool, QueryError> {
        self.inner.follow().await
    }

    /// A memory pool for `verify`, within the limit of all queries.
    pub fn memory_to_verify(&self) -> Arc<Pool> {
        Pool::of("verify", &self.inner.memory)
    }

    /// The served generation.
    pub fn generation(&self) -> Generation {
        self.inner.served().generation()
    }
}

async fn follow(inner: Arc<Inner>, shutdown: CancellationToken) {
    let mut changes = inner.catalog.changes();
    let mut looked = Instant::now();
    loop {
        if looked.elapsed() >= PARTITIONS {
            inner.look_for_partitions().await;
            looked = Instant::now();
        }
        let pause = match inner.follow().await {
            Ok(true) => LOOK,
            Ok(false) => AGAIN,
            Err(error) => {
                warn!(%error, "the current generation cannot be followed");
                LOOK
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

impl Inner {
    pub(crate) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn serve(&self, served: Arc<Served>) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = served;
    }

    /// The views with states.
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

    /// The number of partitions of the stream of `view`.
    pub(crate) async fn partitions(&self, view: &View) -> Result<u32, QueryError> {
        if let Some(known) = self.known_partitions(&view.stream) {
            return Ok(known);
        }
        let Some(stream) = self.stream(&view.stream) else { return Ok(0) };
        let partitions = self.partitions_of(stream).await?;
        self.has_partitions(stream, partitions);
        Ok(partitions)
    }

    /// The number of partitions of the stream, as far as the log reports it within a short time.
    pub(crate) async fn partitions_at_once(&self, stream: &Stream) -> u32 {
        match self.known_partitions(&stream.name) {
            Some(known) => known,
            None => match tokio::time::timeout(PATIENCE, self.partitions_of(stream)).await {
                Ok(Ok(partitions)) => partitions,
                Ok(Err(_)) | Err(_) => stream.options.partitions,
            },
        }
    }

    /// The number last reported.
    fn known_partitions(&self, stream: &StreamName) -> Option<u32> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).get(stream).copied()
    }

    fn has_partitions(&self, stream: &Stream, partitions: u32) {
        let mut known = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(stream.name.clone(), partitions);
    }

    /// Updates the numbers of partitions. A log that does not answer has removed none.
    async fn look_for_partitions(&self) {
        for stream in &self.streams {
            if let Ok(Ok(partitions)) = tokio::time::timeout(PATIENCE, self.partitions_of(stream)).await {
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

    /// The progress of the run that fills `view`, in words.
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
