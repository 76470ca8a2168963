//! The parts and limits of the serving layer.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::context::SessionContext;
use dovetail_core::catalog::Catalog;
use dovetail_core::clock::Clock;
use dovetail_core::name::JobName;
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::Realtime;
use dovetail_core::store::Store;
use dovetail_core::view::Planned;
use dovetail_ingestion::log::Log;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::job_status::JobReport;
use crate::landing_status::LandingReport;

/// Limits of the serving layer.
#[derive(Debug, Clone)]
pub struct ServingConfig {
    /// Longest time of one query; a session may set a shorter one.
    pub query_timeout: Duration,
    /// Memory of one query, bytes.
    pub query_memory: usize,
    /// Memory of all queries together, bytes.
    pub total_memory: usize,
    /// Memory for decoded batch states, merged copies and answers, bytes.
    pub state_cache_bytes: usize,
    /// Queries that run at the same time; others wait until their time is over.
    pub max_queries: usize,
    /// Connections of the PostgreSQL wire; further ones are refused.
    pub max_connections: usize,
    /// Time for which a query waits until the speed layer has reached the generation's cut.
    pub catch_up: Duration,
}

/// The parts that the serving layer reads from.
pub struct ServingParts {
    /// The planned views, in the pipeline's order.
    pub views: Vec<Planned>,
    /// The pipeline's streams.
    pub streams: Vec<Arc<Stream>>,
    /// Context with the lookups, under their names ([`dovetail_core::view::Planner::context`]).
    pub lookups: SessionContext,
    /// The catalog of generations.
    pub catalog: Catalog,
    /// The store of batch states and segments.
    pub store: Store,
    /// The speed layer, of this process or of others; `None` where a stream job alone keeps the views: its answers are
    /// those of `public` then.
    pub realtime: Option<Arc<dyn Realtime>>,
    /// The log, for its ends and for lag; `None` leaves them unknown.
    pub log: Option<Arc<dyn Log>>,
    /// The batch layer's landing; `None` leaves its state unknown.
    pub landing: Option<Arc<dyn LandingReport>>,
    /// The clock for ages.
    pub clock: Clock,
    /// Renders `/metrics`; `None` leaves that empty.
    pub metrics: Option<PrometheusHandle>,
    /// The limits.
    pub config: ServingConfig,
}

impl std::fmt::Debug for ServingParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingParts").field("views", &self.views).field("config", &self.config).finish_non_exhaustive()
    }
}

/// A stream job that queries can read.
pub struct JobToServe {
    /// Its name, which is also that of its schema.
    pub name: JobName,
    /// The planned views of its pipeline, in order.
    pub views: Vec<Planned>,
    /// The streams of its pipeline.
    pub streams: Vec<Arc<Stream>>,
    /// Context with the lookups of its pipeline, under their names.
    pub lookups: SessionContext,
    /// Its states, from offset 0.
    pub realtime: Arc<dyn Realtime>,
    /// Its progress.
    pub report: Arc<dyn JobReport>,
}

impl std::fmt::Debug for JobToServe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobToServe").field("name", &self.name).finish_non_exhaustive()
    }
}
