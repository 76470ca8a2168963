//! The serving layer's state for the life of the process.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::context::SessionContext;
use dovetail_core::background;
use dovetail_core::catalog::CatalogError;
use dovetail_core::name::{Generation, JobName};
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{JobToServe, ServingConfig, ServingParts};
use crate::error::QueryError;
use crate::memory::Pool;
use crate::snapshot::drift;
use crate::snapshot::layers::{Layers, ServedJobs};
use crate::snapshot::watch_generation::Follower;
use crate::sql::lookups::Lookups;
use crate::sql::recounted::Recounted;
use crate::sql::statement::Dialect;
use crate::sql::sys::{JobRow, job_rows};
use crate::sql::tables::Tables;
use crate::sql::template::template;
use crate::sql::threads::Threads;

/// Answers queries.
pub struct Serving {
    pub(crate) layers: Arc<Layers>,
    pub(crate) tables: Arc<Tables>,
    follower: Arc<Follower>,
    /// The query context without the tables, which each query adds.
    pub(crate) template: SessionContext,
    /// Made once, because it parses the questions that it replaces.
    pub(crate) dialect: Dialect,
    pub(crate) threads: Threads,
    /// Permits of the queries that may run at the same time.
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) config: ServingConfig,
    pub(crate) metrics: Option<PrometheusHandle>,
    /// The time of the start, in milliseconds since the Unix epoch.
    pub(crate) started_ms: i64,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

impl Serving {
    /// Makes the serving layer and serves the catalog's current generation.
    ///
    /// # Errors
    /// When the lookups cannot be registered or the catalog cannot be read.
    pub async fn new(parts: ServingParts) -> Result<Arc<Self>, QueryError> {
        let lookups = Lookups::take(&parts.lookups, &parts.streams, &parts.views).await?;
        let public_is_kappa = parts.realtime.is_none();
        let layers = Arc::new(Layers::new(&parts));
        let follower = Follower::new(&layers);
        layers.poll_partitions().await;
        follower.follow().await?;
        let started_ms = parts.clock.now_ms();
        let tables = Arc::new(Tables {
            layers: Arc::clone(&layers),
            lookups: Arc::new(lookups),
            job_lookups: RwLock::default(),
            public_is_kappa,
            landing: parts.landing,
            clock: parts.clock,
            recounted: Recounted::default(),
        });
        let template = template(&tables).await?;
        let threads = Threads::new(parts.config.max_queries)?;
        Ok(Arc::new(Self {
            layers,
            tables,
            follower,
            template,
            dialect: Dialect::new(),
            threads,
            turns: Arc::new(Semaphore::new(parts.config.max_queries.max(1))),
            config: parts.config,
            metrics: parts.metrics,
            started_ms,
        }))
    }

    /// Starts the tasks beside the queries: watching the catalog's current generation, and comparing the layers when it
    /// changes. They end when `shutdown` is cancelled.
    pub fn run(self: &Arc<Self>, tracker: &TaskTracker, shutdown: CancellationToken) {
        background::spawn(tracker, &shutdown, "follow_generation", Arc::clone(&self.follower).run());
        background::spawn(tracker, &shutdown, "watch_drift", drift::watch(Arc::clone(&self.layers)));
    }

    /// Moves to the catalog's current generation now, as [`Serving::run`] does by itself.
    ///
    /// Returns whether it is served: not while the speed layer has not reached its cut.
    pub async fn follow(&self) -> Result<bool, QueryError> {
        self.follower.follow().await
    }

    /// Replaces the stream jobs that queries read, all in one step. Queries that have begun keep the jobs that they
    /// began with. `failed` has the reasons why jobs could not be started here.
    ///
    /// # Errors
    /// When the lookups of a job cannot be registered.
    pub async fn serve_jobs(
        &self,
        current: Option<JobName>,
        jobs: Vec<JobToServe>,
        failed: BTreeMap<JobName, String>,
    ) -> Result<(), QueryError> {
        let before = self.layers.jobs();
        let mut served = ServedJobs { current, failed, ..ServedJobs::default() };
        let mut lookups = BTreeMap::new();
        for JobToServe { name, views, streams, lookups: context, realtime, report } in jobs {
            let known = before.all.get(&name).filter(|layers| Arc::ptr_eq(&layers.realtime, &realtime));
            let taken = match (known, self.tables.job_lookups.read().get(&name).cloned()) {
                (Some(_), Some(lookups)) => Some(lookups),
                _ => None,
            };
            let taken = match taken {
                Some(lookups) => lookups,
                None => Arc::new(Lookups::take(&context, &streams, &views).await?),
            };
            let layers = match known {
                Some(layers) => Arc::clone(layers),
                None => Arc::new(self.layers.of_job(views, streams, realtime, report)),
            };
            lookups.insert(name.clone(), taken);
            served.all.insert(name, layers);
        }
        *self.tables.job_lookups.write() = lookups;
        self.layers.serve_jobs(served);
        Ok(())
    }

    /// All stream jobs, the oldest first, with the progress of those that this process runs.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn jobs(&self) -> Result<Vec<JobRow>, CatalogError> {
        job_rows(&self.layers).await
    }

    /// A memory pool for `verify`, within the limit of all queries.
    pub fn memory_to_verify(&self) -> Arc<Pool> {
        Pool::of("verify", &self.layers.memory)
    }

    /// The served generation.
    pub fn generation(&self) -> Generation {
        self.layers.served().generation()
    }
}
