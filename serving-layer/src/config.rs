//! What the serving layer is made from and what it may use.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::context::SessionContext;
use dovetail_core::catalog::Catalog;
use dovetail_core::clock::Clock;
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::Realtime;
use dovetail_core::store::Store;
use dovetail_core::view::Planned;
use dovetail_ingestion::log::Log;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::landing_status::Landing;

/// Limits of the serving layer.
#[derive(Debug, Clone)]
pub struct ServingConfig {
    /// Longest time of one query; a session may ask for less.
    pub query_timeout: Duration,
    /// Memory of one query, bytes.
    pub query_memory: usize,
    /// Memory of all queries together, bytes.
    pub total_memory: usize,
    /// Batch states that are kept decoded, bytes.
    pub state_cache_bytes: usize,
    /// Queries that run at the same time; more wait for their turn until their time is over.
    pub max_queries: usize,
    /// Connections of the PostgreSQL wire; more are turned away.
    pub max_connections: usize,
    /// How long a query waits for the speed layer to reach the generation's cut.
    pub catch_up: Duration,
}

/// What the serving layer reads from.
pub struct ServingParts {
    /// In the pipeline's order.
    pub views: Vec<Planned>,
    pub streams: Vec<Arc<Stream>>,
    /// Holds the lookups, under their names ([`dovetail_core::view::Planner::context`]).
    pub lookups: SessionContext,
    pub catalog: Catalog,
    pub store: Store,
    pub realtime: Arc<dyn Realtime>,
    /// For log ends and lag; without it they are unknown.
    pub log: Option<Arc<dyn Log>>,
    /// Without it, what landing does is unknown.
    pub landing: Option<Arc<dyn Landing>>,
    pub clock: Clock,
    /// Renders `/metrics`; without it that is empty.
    pub metrics: Option<PrometheusHandle>,
    pub config: ServingConfig,
}

impl std::fmt::Debug for ServingParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingParts").field("views", &self.views).field("config", &self.config).finish_non_exhaustive()
    }
}
