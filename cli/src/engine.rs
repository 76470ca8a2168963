//! All layers in one process: the embedded log, the catalog, the landing, and what runs on them.
//!
//! Folding and landing run on a runtime of their own, so that they do not delay the connections.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use dovetail_batch_layer::{BatchHandle, BatchLayer, BatchParts};
use dovetail_core::catalog::{Catalog, RunState, StreamRow, Trigger, ViewRow};
use dovetail_core::clock::Clock;
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::{Pipeline, PipelineError, PipelineErrors, Stream, hint_of};
use dovetail_core::realtime::Realtime;
use dovetail_core::store::Store;
use dovetail_core::view::{Planned, Planner, View, ViewError};
use dovetail_ingestion::append::Appender;
use dovetail_ingestion::decode::Decoder;
use dovetail_ingestion::feed::Feed;
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::embedded::EmbeddedLog;
use dovetail_serving_layer::{Landing, LandingAt, Serving, ServingParts};
use dovetail_speed_layer::{SpeedLayer, SpeedParts};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::config::Config;
use crate::http::landing_state;

/// A pipeline whose views are planned.
#[derive(Debug)]
pub struct Plan {
    pub pipeline: Pipeline,
    pub planner: Planner,
    pub views: Vec<Planned>,
}

impl Plan {
    /// Reads and plans the pipeline at `path`, or says everything that is wrong with it.
    pub async fn load(path: &Path) -> Result<Self, PipelineErrors> {
        let pipeline = Pipeline::load(path)?;
        let file = path.to_owned();
        let mut planner = Planner::new(&pipeline).await.map_err(|e| PipelineErrors { file: file.clone(), ..e })?;
        let mut views = vec![];
        let mut errors = vec![];
        for view in &pipeline.views {
            match planner.plan(view).await {
                Ok(planned) => views.push(planned),
                Err(error) => {
                    let hint = match &error {
                        ViewError::Plan(error) => hint_of(error),
                        refused @ ViewError::Refused(_) => refused.hint().map(ToOwned::to_owned),
                    };
                    errors.push(PipelineError::in_view(view, error.to_string(), hint));
                }
            }
        }
        for stream in &pipeline.streams {
            if let Err(error) = Decoder::new(Arc::new(stream.clone())) {
                errors.push(PipelineError::in_file(error.to_string(), None));
            }
        }
        PipelineErrors::check(path, errors)?;
        Ok(Self { pipeline, planner, views })
    }

    /// The views that are folded.
    pub fn folded(&self) -> Vec<Arc<View>> {
        let folded = self.views.iter().filter_map(|view| match view {
            Planned::Folded(view) => Some(Arc::clone(view)),
            Planned::Derived(_) => None,
        });
        folded.collect()
    }
}

/// A running process.
#[derive(Debug)]
pub struct Engine {
    pub views: Vec<Arc<View>>,
    pub streams: Vec<Arc<Stream>>,
    pub appenders: HashMap<StreamName, Arc<Appender>>,
    pub log: Arc<dyn Log>,
    pub catalog: Catalog,
    pub store: Store,
    pub batch: BatchHandle,
    pub speed: Arc<SpeedLayer>,
    pub serving: Arc<Serving>,
    embedded: Arc<EmbeddedLog>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    speed_stop: CancellationToken,
}

/// What the batch layer of this process says of its landing.
#[derive(Debug)]
struct Landed(BatchHandle);

impl Landing for Landed {
    fn at(&self, stream: &StreamName, partition: i32) -> Option<LandingAt> {
        let status = self.0.landing_status();
        let at = status.borrow().get(&(stream.clone(), partition)).cloned()?;
        let (state, error) = landing_state(at.state);
        Some(LandingAt { state, error })
    }
}

/// How long a stopping process waits for its tasks.
const STOP_WITHIN: Duration = Duration::from_secs(10);

impl Engine {
    /// Starts everything on the folder that `config` names. Folding and landing run on `work`.
    pub async fn start(plan: Plan, config: &Config, metrics: Option<PrometheusHandle>, work: &Handle) -> Result<Self> {
        let store = Store::local(&config.data_dir().join("store"))?;
        Self::start_on(store, plan, config, metrics, work).await
    }

    /// Starts everything with the landing in `store`, whatever it is.
    pub async fn start_on(
        store: Store,
        plan: Plan,
        config: &Config,
        metrics: Option<PrometheusHandle>,
        work: &Handle,
    ) -> Result<Self> {
        let folder = config.data_dir();
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        let embedded = open_log(&folder.join("log"), config).await?;
        let log: Arc<dyn Log> = Arc::<EmbeddedLog>::clone(&embedded);
        let catalog = Catalog::open(&format!("sqlite:{}", folder.join("catalog.db").display())).await?;
        // One process at a time has the log open, so whoever ran a recompute before is dead, whatever its lease says.
        let died = catalog.runs(1).await?.into_iter().filter(|run| run.state == RunState::Running);
        for run in died {
            warn!(run = run.id, rows = run.rows, "a batch run died with its process; what was published before stays");
        }
        catalog.expire_runs(i64::MAX).await?;
        let clock = Clock::System;
        let streams: Vec<Arc<Stream>> = plan.pipeline.streams.iter().cloned().map(Arc::new).collect();
        let views = plan.folded();
        register(&catalog, &streams, &plan, &clock).await?;
        let (feeds, appenders) = open_streams(&log, &streams, config, &clock).await?;
        let tracker = TaskTracker::new();
        let shutdown = CancellationToken::new();

        let speed_parts = SpeedParts {
            views: views.clone(),
            feeds: feeds.clone(),
            catalog: catalog.clone(),
            owned: None,
            config: config.speed(),
        };
        let batch_parts = BatchParts {
            streams: streams.clone(),
            views: views.clone(),
            feeds,
            catalog: catalog.clone(),
            store: store.clone(),
            clock: clock.clone(),
            trim: config.log.trims().then(|| Arc::clone(&log)),
            work: work.clone(),
            config: config.batch()?,
        };
        let speed_stop = shutdown.child_token();
        let layers = start_layers((speed_parts, speed_stop.clone()), batch_parts, tracker.clone(), shutdown.clone());
        let (speed, batch) = work.spawn(layers).await.map_err(|e| anyhow!("the layers did not start: {e}"))??;
        bridge(&speed, &batch, &streams, &tracker, &shutdown);

        let serving = Serving::new(ServingParts {
            views: plan.views,
            streams: streams.clone(),
            lookups: plan.planner.context().clone(),
            catalog: catalog.clone(),
            store: store.clone(),
            realtime: Arc::<SpeedLayer>::clone(&speed) as Arc<dyn Realtime>,
            log: Some(Arc::clone(&log)),
            landing: Some(Arc::new(Landed(batch.clone()))),
            clock,
            metrics,
            config: config.serving(),
        });
        let serving = serving.await?;
        serving.run(&tracker, shutdown.clone());
        Ok(Self {
            views,
            streams,
            appenders,
            log,
            catalog,
            store,
            batch,
            speed,
            serving,
            embedded,
            tracker,
            shutdown,
            speed_stop,
        })
    }

    /// Stops the speed layer alone. Batch runs and `batch.VIEW` go on; the merged views say that it is gone.
    pub fn stop_speed(&self) {
        self.speed_stop.cancel();
    }

    /// Cancelled when the process is to stop.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Where tasks of this process are spawned.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Stops cleanly: what takes longer than ten seconds is abandoned, and read again from the log next time.
    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.tracker.close();
        if tokio::time::timeout(STOP_WITHIN, self.tracker.wait()).await.is_err() {
            tracing::warn!("some tasks did not stop in time");
        }
        let embedded = Arc::clone(&self.embedded);
        if let Err(error) = tokio::task::spawn_blocking(move || embedded.close()).await {
            tracing::error!(%error, "the log did not close");
        }
        self.catalog.close().await;
    }
}

async fn open_log(folder: &Path, config: &Config) -> Result<Arc<EmbeddedLog>> {
    let (folder, config) = (folder.to_owned(), config.log());
    let open = tokio::task::spawn_blocking(move || EmbeddedLog::open(&folder, &config));
    Ok(Arc::new(open.await??))
}

async fn register(catalog: &Catalog, streams: &[Arc<Stream>], plan: &Plan, clock: &Clock) -> Result<()> {
    for stream in streams {
        let row = StreamRow {
            name: stream.name.clone(),
            topic: stream.topic.clone(),
            schema_fingerprint: stream.fingerprint(),
        };
        catalog.register_stream(&row).await?;
    }
    for view in plan.folded() {
        let row = ViewRow {
            name: view.name.clone(),
            fingerprint: view.fingerprint.clone(),
            sql: view.sql.clone(),
            created_ms: clock.now_ms(),
        };
        catalog.register_view(&row).await?;
    }
    Ok(())
}

type Streams = (HashMap<StreamName, Arc<Feed>>, HashMap<StreamName, Arc<Appender>>);

async fn open_streams(log: &Arc<dyn Log>, streams: &[Arc<Stream>], config: &Config, clock: &Clock) -> Result<Streams> {
    let (mut feeds, mut appenders) = (HashMap::new(), HashMap::new());
    for stream in streams {
        log.create_topic(&stream.topic, stream.options.partitions).await?;
        let feed = Feed::open(Arc::clone(log), Arc::clone(stream), config.feed()).await?;
        feeds.insert(stream.name.clone(), Arc::new(feed));
        let appender = Appender::open(Arc::clone(log), Arc::clone(stream), clock.clone()).await?;
        appenders.insert(stream.name.clone(), Arc::new(appender));
    }
    Ok((feeds, appenders))
}

async fn start_layers(
    (speed, speed_stop): (SpeedParts, CancellationToken),
    batch: BatchParts,
    tracker: TaskTracker,
    shutdown: CancellationToken,
) -> Result<(Arc<SpeedLayer>, BatchHandle)> {
    let speed = SpeedLayer::start(speed, &tracker, &speed_stop).await?;
    let batch = BatchLayer::start(batch, &tracker, shutdown).await?;
    Ok((speed, batch))
}

/// What one layer tells the other, when both live in this process. Neither needs it.
fn bridge(
    speed: &Arc<SpeedLayer>,
    batch: &BatchHandle,
    streams: &[Arc<Stream>],
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let names: HashMap<String, StreamName> = streams.iter().map(|s| (s.topic.clone(), s.name.clone())).collect();
    let (layer, mut ends, stop) = (Arc::clone(speed), batch.segment_ends(), shutdown.clone());
    tracker.spawn(async move {
        loop {
            let end = tokio::select! {
                () = stop.cancelled() => return,
                end = ends.recv() => end,
            };
            match end {
                Ok(end) => {
                    if let Some(stream) = names.get(&end.topic) {
                        layer.expect_boundary(stream, end.partition, end.end);
                    }
                }
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    let (pressure, batch, stop) = (speed.pressure(), batch.clone(), shutdown.clone());
    tracker.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = pressure.notified() => {}
            }
            if batch.request_incremental(Trigger::Memory).is_err() {
                return;
            }
        }
    });
}
