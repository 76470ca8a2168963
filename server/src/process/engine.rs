//! The engine: the layers of one process, all of them or one.
//!
//! Folding and landing run on a runtime of their own, so that they do not delay the connections.

mod bridge;
mod job_runtime;
mod landings;
mod streams;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use dovetail_batch_layer::{BatchHandle, BatchLayer, BatchParts, collect_garbage};
use dovetail_core::assignment::Assignment;
use dovetail_core::background;
use dovetail_core::catalog::{Catalog, CatalogError, MemberLayer, Patience};
use dovetail_core::clock::{self, Clock};
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::Realtime;
use dovetail_core::store::Store;
use dovetail_core::view::View;
use dovetail_ingestion::append::Appender;
use dovetail_ingestion::log::Log;
use dovetail_serving_layer::{LandingReport, RemoteParts, RemoteRealtime, Serving, ServingParts, SpeedMember};
use dovetail_speed_layer::{SpeedLayer, SpeedParts};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::streams::{Streams, look_for_partitions, open_streams, register};
use crate::config::Config;
use crate::jobs::kappa::{JobsParts, StreamJobs};
use crate::process::backends::Backends;
use crate::process::engine::job_runtime::JobRuntime;
use crate::process::membership;
use crate::process::membership::{Addresses, Membership};
use crate::process::plan::Plan;
use crate::process::roles::Roles;

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    /// The layers that it runs.
    pub roles: Roles,
    /// The folded views of the pipeline.
    pub views: Vec<Arc<View>>,
    /// The streams of the pipeline.
    pub streams: Vec<Arc<Stream>>,
    /// The appenders by stream; empty where this process does not ingest.
    pub appenders: HashMap<StreamName, Arc<Appender>>,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The catalog.
    pub catalog: Catalog,
    /// The object store.
    pub store: Store,
    /// The process's clock.
    pub clock: Clock,
    /// Renders the metrics, if they are recorded.
    pub metrics: Option<PrometheusHandle>,
    batch: Option<BatchHandle>,
    speed: Option<Arc<SpeedLayer>>,
    serving: Option<Arc<Serving>>,
    jobs: Option<(Arc<StreamJobs>, JobRuntime)>,
    backends: Backends,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    speed_stop: CancellationToken,
}

/// Time for which a stopping process waits for its tasks.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// Interval of polls for changes of the catalog by other processes.
const CATALOG_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The surroundings of an engine, besides the pipeline.
#[derive(Debug)]
pub struct Surroundings<'c> {
    /// The log, the catalog and the store.
    pub backends: Backends,
    /// The layers to run.
    pub roles: Roles,
    /// The addresses for other processes; only used with one role.
    pub addresses: Addresses,
    /// The settings.
    pub config: &'c Config,
    /// Renders the metrics, if they are recorded.
    pub metrics: Option<PrometheusHandle>,
    /// Runtime for folding and landing.
    pub work: Handle,
}

/// Variable with a shift of this process's clock, for tests of hosts whose clocks differ.
const CLOCK_AHEAD_MS: &str = "DOVETAIL_TEST_CLOCK_AHEAD_MS";

fn clock() -> Result<Clock> {
    let Ok(ahead_ms) = std::env::var(CLOCK_AHEAD_MS) else { return Ok(Clock::System) };
    let ahead_ms = ahead_ms.parse().with_context(|| format!("`{CLOCK_AHEAD_MS}` is milliseconds, not `{ahead_ms}`"))?;
    Ok(Clock::Wrong { ahead_ms })
}

impl Engine {
    /// Starts all layers by the settings of `config`.
    pub async fn start(plan: Plan, config: &Config, metrics: Option<PrometheusHandle>, work: &Handle) -> Result<Self> {
        let backends = Backends::open(config).await?;
        let (roles, work) = (Roles::All, work.clone());
        Self::start_on(&plan, Surroundings { backends, roles, addresses: Addresses::default(), config, metrics, work })
            .await
    }

    /// Starts the layers of `surroundings`.
    pub async fn start_on(plan: &Plan, surroundings: Surroundings<'_>) -> Result<Self> {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let started = Self::start_with(plan, surroundings, &tracker, &shutdown).await;
        if started.is_err() {
            // The failed attempt leaves no task beside the next one.
            shutdown.cancel();
            tracker.close();
            if tokio::time::timeout(STOP_TIMEOUT, tracker.wait()).await.is_err() {
                tracing::warn!("tasks of an engine that did not start have not ended");
            }
        }
        started
    }

    async fn start_with(
        plan: &Plan,
        surroundings: Surroundings<'_>,
        tracker: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self> {
        let Surroundings { backends, roles, addresses, config, metrics, work } = surroundings;
        if roles.one().is_some() && backends.is_alone() {
            bail!(
                "the embedded log is for one process: name the brokers of a Kafka cluster in `[kafka] brokers`, or \
                 run everything in one process with `dovetail up`"
            );
        }
        let Backends { log, catalog, store, .. } = backends.clone();
        let clock = clock()?;
        let streams: Vec<Arc<Stream>> = plan.pipeline.streams.iter().cloned().map(Arc::new).collect();
        let views = plan.folded();
        backends.prepare(&plan.pipeline.streams).await?;
        register(&catalog, &streams, plan, &clock).await?;
        let Streams { decoded_logs, appenders, shared } = open_streams(&log, &streams, roles, config, &clock).await?;
        if !backends.is_alone() {
            look_for_partitions(&decoded_logs, tracker, shutdown);
        }
        let assignment = match roles.one() {
            Some(layer) => {
                let id = member_id(layer);
                let lease = config.member.lease;
                let addresses = addresses.clone();
                let member = Membership { catalog: catalog.clone(), layer, id, addresses, shared, lease };
                Some(join(member, tracker, shutdown).await?)
            }
            None => None,
        };

        let speed_stop = shutdown.child_token();
        let speed = roles.has(MemberLayer::Speed).then(|| SpeedParts {
            views: views.clone(),
            decoded_logs: decoded_logs.clone(),
            catalog: catalog.clone(),
            assignment: assignment.clone(),
            config: config.speed(),
        });
        let batch = match roles.has(MemberLayer::Batch) {
            true => Some(BatchParts {
                streams: streams.clone(),
                views: views.clone(),
                decoded_logs,
                catalog: catalog.clone(),
                store: store.clone(),
                clock: clock.clone(),
                assignment,
                // Kafka has a retention of its own.
                // Stream jobs read the log from its beginning.
                trim: (backends.is_alone() && config.log.trims() && !roles.has_jobs()).then(|| Arc::clone(&log)),
                work: work.clone(),
                config: config.batch()?,
            }),
            false => None,
        };
        let layers = start_layers(speed, batch, tracker.clone(), shutdown.clone(), speed_stop.clone());
        let (speed, batch) = work.spawn(layers).await.map_err(|e| anyhow!("the layers did not start: {e}"))??;
        if let (Some(speed), Some(batch)) = (&speed, &batch) {
            bridge::boundaries(speed, batch, &streams, tracker, shutdown);
        }
        if let Some(speed) = &speed {
            bridge::pressure(speed, &catalog, tracker, shutdown);
        }

        let serving = match roles.has(MemberLayer::Serve) {
            true => {
                let realtime: Option<Arc<dyn Realtime>> = match (&speed, roles) {
                    (Some(speed), _) => Some(Arc::<SpeedLayer>::clone(speed)),
                    (None, Roles::Kappa) => None,
                    (None, _) => Some(remote(&views, &catalog, config, tracker, shutdown)),
                };
                let landing: Option<Arc<dyn LandingReport>> = match (&batch, roles) {
                    (Some(batch), _) => Some(Arc::new(landings::LocalLandings(batch.clone()))),
                    (None, Roles::Kappa) => None,
                    (None, _) => Some(landings::remote_landings(&catalog, tracker, shutdown)?),
                };
                let parts = ServingParts {
                    views: plan.views.clone(),
                    streams: streams.clone(),
                    lookups: plan.planner.context().clone(),
                    catalog: catalog.clone(),
                    store: store.clone(),
                    realtime,
                    log: Some(Arc::clone(&log)),
                    landing,
                    clock: clock.clone(),
                    metrics: metrics.clone(),
                    config: config.serving(),
                };
                let serving = Serving::new(parts).await?;
                serving.run(tracker, shutdown.clone());
                Some(serving)
            }
            false => None,
        };
        let jobs = match (&serving, roles.has_jobs()) {
            (Some(serving), true) => {
                let runtime = JobRuntime::new(config.job_threads())?;
                let parts = JobsParts {
                    backends: backends.clone(),
                    serving: Arc::clone(serving),
                    clock: clock.clone(),
                    file: plan.file.clone(),
                    holder: format!("kappa-{}-{:08x}", std::process::id(), clock::random::<u32>()),
                    address: addresses.http.clone(),
                    config: config.jobs(),
                    runtime: runtime.handle(),
                };
                let jobs = StreamJobs::new(parts, tracker, shutdown);
                if batch.is_none() {
                    let patience = Patience { grace: config.batch.garbage_grace, staging: config.batch.staging_limit };
                    let collecting =
                        collect_garbage(catalog.clone(), store.clone(), patience, config.batch.upkeep_every);
                    background::spawn(tracker, shutdown, "collect_garbage", collecting);
                }
                jobs.ensure_first(plan).await?;
                background::spawn(tracker, shutdown, "stream_jobs", Arc::clone(&jobs).run());
                if !backends.is_alone() {
                    let others = catalog.clone();
                    let following = async move { others.follow_others(CATALOG_POLL_INTERVAL).await };
                    background::spawn(tracker, shutdown, "follow_others", following);
                }
                Some((jobs, runtime))
            }
            _ => None,
        };
        let engine = Self {
            roles,
            jobs,
            views,
            streams,
            appenders,
            log,
            catalog,
            store,
            clock,
            metrics,
            batch,
            speed,
            serving,
            backends,
            tracker: tracker.clone(),
            shutdown: shutdown.clone(),
            speed_stop,
        };
        Ok(engine)
    }

    /// The batch layer, if this process runs it.
    pub fn batch(&self) -> Result<&BatchHandle> {
        self.batch.as_ref().context("this process runs no batch layer")
    }

    /// The speed layer, if this process runs it.
    pub fn speed(&self) -> Result<&Arc<SpeedLayer>> {
        self.speed.as_ref().context("this process runs no speed layer")
    }

    /// The serving layer, if this process runs it.
    pub fn serving(&self) -> Result<&Arc<Serving>> {
        self.serving.as_ref().context("this process runs no serving layer")
    }

    /// The stream jobs, if this process runs any.
    pub fn jobs(&self) -> Result<&Arc<StreamJobs>> {
        let none = "this process runs no stream jobs: start it with `dovetail kappa`, or `dovetail up --kappa`";
        self.jobs.as_ref().map(|(jobs, _)| jobs).context(none)
    }

    /// Stops the speed layer alone. Batch runs and `batch.VIEW` go on; merged views report that it is gone.
    pub fn stop_speed(&self) {
        self.speed_stop.cancel();
    }

    /// Cancelled when the process is to stop.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// The tracker of the process's tasks.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Stops cleanly: work that takes longer than some seconds is abandoned, and read again from the log next time.
    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.tracker.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.tracker.wait()).await.is_err() {
            tracing::warn!("some tasks did not stop in time");
        }
        self.backends.close().await;
    }
}

/// An id that no other process has had or will have.
fn member_id(layer: MemberLayer) -> String {
    format!("{layer}-{}-{:08x}", std::process::id(), clock::random::<u32>())
}

/// Joins the layer as a member, and watches for changes that other processes make to the catalog.
async fn join(
    member: Membership,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<watch::Receiver<Assignment>, CatalogError> {
    let others = member.catalog.clone();
    let following = async move { others.follow_others(CATALOG_POLL_INTERVAL).await };
    background::spawn(tracker, shutdown, "follow_others", following);
    member.join(tracker, shutdown.clone()).await
}

/// The speed layers of other processes.
fn remote(
    views: &[Arc<View>],
    catalog: &Catalog,
    config: &Config,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) -> Arc<dyn Realtime> {
    let members = membership::follow(
        catalog.clone(),
        MemberLayer::Speed,
        config.member.lease / 4,
        |member| Some(SpeedMember { id: member.id, address: member.flight? }),
        tracker,
        shutdown.clone(),
    );
    RemoteRealtime::start(RemoteParts { views: views.to_vec(), members, config: config.remote() }, tracker, shutdown)
}

async fn start_layers(
    speed: Option<SpeedParts>,
    batch: Option<BatchParts>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    speed_stop: CancellationToken,
) -> Result<(Option<Arc<SpeedLayer>>, Option<BatchHandle>)> {
    let speed = match speed {
        Some(speed) => Some(SpeedLayer::start(speed, &tracker, &speed_stop).await?),
        None => None,
    };
    let batch = batch.map(|batch| BatchLayer::start(batch, &tracker, shutdown));
    Ok((speed, batch))
}
