//! The layers as snapshots read them: the batch layer's states with the cache between queries, and the speed layer's
//! slices.

mod jobs;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::catalog::{Catalog, Run, RunState};
use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::Realtime;
use dovetail_core::store::Store;
use dovetail_core::view::{Planned, View};
use dovetail_ingestion::log::Log;
use parking_lot::RwLock;
use tokio_util::task::TaskTracker;

use self::jobs::CurrentJobRealtime;
pub(crate) use self::jobs::{KAPPA, ServedJobs};
use crate::config::ServingParts;
use crate::error::{QueryError, Reason};
use crate::job_status::JobReport;
use crate::memory::SharedLimit;
use crate::snapshot::batch_states::StateCache;
use crate::snapshot::cache::Cache;
use crate::snapshot::generation::Served;
use crate::snapshot::merged_cache::MergedCache;

/// Time for the log to report the number of partitions of a topic, or their ends.
pub(crate) const LOG_TIMEOUT: Duration = Duration::from_secs(2);

/// The parts of both layers that snapshots need.
#[derive(Debug)]
pub(crate) struct Layers {
    /// In the pipeline's order.
    pub(crate) views: Vec<Planned>,
    pub(crate) streams: Vec<Arc<Stream>>,
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) realtime: Arc<dyn Realtime>,
    /// The log; without it, the number of partitions is that of the stream's definition.
    pub(crate) log: Option<Arc<dyn Log>>,
    pub(crate) states: StateCache,
    pub(crate) bases: MergedCache,
    pub(crate) cache: Arc<Cache>,
    /// The memory shared by all queries and the work beside them.
    pub(crate) memory: SharedLimit,
    /// How long a query waits for the speed layer to reach the generation's cut.
    pub(crate) catch_up: Duration,
    /// The progress of the job, if these are of one.
    pub(crate) report: Option<Arc<dyn JobReport>>,
    served: RwLock<Arc<Served>>,
    jobs: Arc<RwLock<Arc<ServedJobs>>>,
    partitions: RwLock<HashMap<StreamName, u32>>,
}

impl Layers {
    /// Before the first generation is served.
    pub(crate) fn new(parts: &ServingParts) -> Self {
        let jobs: Arc<RwLock<Arc<ServedJobs>>> = Arc::default();
        let realtime = match &parts.realtime {
            Some(realtime) => Arc::clone(realtime),
            None => Arc::new(CurrentJobRealtime(Arc::clone(&jobs))),
        };
        let folded = parts.views.iter().map(|view| view.name().clone());
        let memory = SharedLimit::new(parts.config.total_memory);
        let cache = Cache::new(parts.config.state_cache_bytes, &memory);
        Self {
            states: StateCache::new(parts.store.clone(), &cache, &memory),
            bases: MergedCache::new(folded, &cache, &memory, TaskTracker::new()),
            cache,
            memory,
            views: parts.views.clone(),
            streams: parts.streams.clone(),
            catalog: parts.catalog.clone(),
            store: parts.store.clone(),
            realtime,
            log: parts.log.clone(),
            catch_up: parts.config.catch_up,
            report: None,
            served: RwLock::default(),
            jobs,
            partitions: RwLock::default(),
        }
    }

    /// The layers of a stream job: its states alone, with a cache of its own. Views of a job and of the layers can have
    /// the same names, and mean something else.
    pub(crate) fn of_job(
        &self,
        views: Vec<Planned>,
        streams: Vec<Arc<Stream>>,
        realtime: Arc<dyn Realtime>,
        report: Arc<dyn JobReport>,
    ) -> Self {
        let folded = views.iter().map(|view| view.name().clone());
        let cache = Cache::new(self.cache.limit(), &self.memory);
        Self {
            states: StateCache::new(self.store.clone(), &cache, &self.memory),
            bases: MergedCache::new(folded, &cache, &self.memory, TaskTracker::new()),
            cache,
            memory: self.memory.clone(),
            views,
            streams,
            catalog: self.catalog.clone(),
            store: self.store.clone(),
            realtime,
            log: self.log.clone(),
            catch_up: self.catch_up,
            report: Some(report),
            served: RwLock::default(),
            jobs: Arc::default(),
            partitions: RwLock::default(),
        }
    }

    /// The stream jobs at this moment.
    pub(crate) fn jobs(&self) -> Arc<ServedJobs> {
        Arc::clone(&self.jobs.read())
    }

    pub(crate) fn serve_jobs(&self, jobs: ServedJobs) {
        *self.jobs.write() = Arc::new(jobs);
    }

    pub(crate) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served.read())
    }

    pub(crate) fn serve(&self, served: Arc<Served>) {
        *self.served.write() = served;
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
            None => match tokio::time::timeout(LOG_TIMEOUT, self.partitions_of(stream)).await {
                Ok(Ok(partitions)) => partitions,
                Ok(Err(_)) | Err(_) => stream.options.partitions,
            },
        }
    }

    /// The number last reported.
    fn known_partitions(&self, stream: &StreamName) -> Option<u32> {
        self.partitions.read().get(stream).copied()
    }

    fn has_partitions(&self, stream: &Stream, partitions: u32) {
        let mut known = self.partitions.write();
        known.insert(stream.name.clone(), partitions);
    }

    /// Updates the numbers of partitions. A log that does not answer has removed none.
    pub(crate) async fn poll_partitions(&self) {
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
                .map_err(|error| QueryError::new(Reason::NotReady, error.to_string())),
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
