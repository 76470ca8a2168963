//! Stream jobs of this process: started where the catalog has a job that no process runs, and shown to queries.

mod start;
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use dovetail_core::catalog::{Catalog, CatalogError, CurrentJob, Job};
use dovetail_core::clock::{self, Clock};
use dovetail_core::name::JobName;
use dovetail_core::store::Store;
use dovetail_ingestion::log::Log;
use dovetail_kappa_layer::{KappaConfig, StreamJob, StreamJobParts};
use dovetail_serving_layer::{JobToServe, Serving};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use self::start::{StartError, start};
pub use self::status::{SwitchError, stop, switch};
use crate::process::backends::Backends;
use crate::process::plan::Plan;

/// Parts of the stream jobs of a process.
#[derive(Debug, Clone)]
pub(crate) struct JobsParts {
    pub(crate) backends: Backends,
    pub(crate) serving: Arc<Serving>,
    pub(crate) clock: Clock,
    /// The file of the process's pipeline: lookups of jobs are relative to its folder.
    pub(crate) file: PathBuf,
    /// A name that no other process has.
    pub(crate) holder: String,
    /// HTTP address of this process for others.
    pub(crate) address: String,
    pub(crate) config: KappaConfig,
    /// The runtime that folds.
    pub(crate) runtime: Handle,
}

/// The stream jobs of this process.
#[derive(Debug)]
pub struct StreamJobs {
    parts: JobsParts,
    running: Mutex<BTreeMap<JobName, HeldJob>>,
    /// Held while jobs are started and ended: two looks at once would start a job twice.
    looking: tokio::sync::Mutex<()>,
    /// The reasons why jobs could not be started here.
    failed: Mutex<BTreeMap<JobName, String>>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

/// A job that this process runs.
#[derive(Debug, Clone)]
struct HeldJob {
    job: Arc<StreamJob>,
    plan: Arc<Plan>,
}

/// A job of this process, for verification.
#[derive(Debug)]
pub(crate) struct RunningJob {
    pub(crate) job: Job,
    pub(crate) plan: Arc<Plan>,
    pub(crate) is_current: bool,
}

/// Interval of checks for jobs that no process runs. Changes of the catalog are seen at once.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

impl StreamJobs {
    pub(crate) fn new(parts: JobsParts, tracker: &TaskTracker, shutdown: &CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            parts,
            running: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
            tracker: tracker.clone(),
            shutdown: shutdown.clone(),
        })
    }

    fn catalog(&self) -> &Catalog {
        &self.parts.backends.catalog
    }

    fn log(&self) -> &Arc<dyn Log> {
        &self.parts.backends.log
    }

    fn store(&self) -> &Store {
        &self.parts.backends.store
    }

    /// Runs jobs until the process stops.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut changes = self.catalog().changes();
        loop {
            changes.mark_unchanged();
            if let Err(error) = self.look().await {
                warn!(error = format!("{error:#}"), "the stream jobs stay as they are");
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = clock::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Starts and ends jobs by the catalog, and shows them to queries.
    pub(crate) async fn look(&self) -> Result<()> {
        let _looking = self.looking.lock().await;
        let (jobs, current) = (self.catalog().jobs().await?, self.catalog().current_job().await?);
        let now_ms = self.catalog().now_ms().await?;
        self.end_those_without(&jobs).await;
        for job in &jobs {
            let is_free = job.until_ms <= now_ms || job.holder == self.parts.holder;
            if !self.running.lock().contains_key(&job.name) && is_free && !self.shutdown.is_cancelled() {
                let started = self.begin(job).await;
                let mut failed = self.failed.lock();
                match started {
                    Ok(()) => _ = failed.remove(&job.name),
                    Err(error) => {
                        let why = format!("{error:#}");
                        if failed.insert(job.name.clone(), why.clone()).as_ref() != Some(&why) {
                            warn!(job = %job.name, why, "the job does not start; it is tried again");
                        }
                    }
                }
            }
        }
        self.show(current).await
    }

    /// Ends the jobs that are not in the catalog any more, or not as they were, and forgets those that have ended.
    async fn end_those_without(&self, jobs: &[Job]) {
        let same = |running: &HeldJob| {
            jobs.iter().any(|job| job.name == running.job.job().name && job.created_ms == running.job.job().created_ms)
        };
        let gone: Vec<HeldJob> = {
            let mut running = self.running.lock();
            let gone = running.values().filter(|of| of.job.has_ended() || !same(of)).cloned().collect();
            running.retain(|_, of| !of.job.has_ended() && same(of));
            gone
        };
        self.failed.lock().retain(|name, _| jobs.iter().any(|job| job.name == *name));
        join_all(gone.iter().map(|of| async {
            of.job.stop();
            of.job.ended().await;
        }))
        .await;
    }

    /// Takes a job and begins to fold it. Another process may take it first.
    async fn begin(&self, job: &Job) -> Result<()> {
        let JobsParts { holder, address, config, clock, file, runtime, .. } = &self.parts;
        // Before the lease is taken, which does not wait for it.
        let plan = Plan::parse_apart(job.pipeline.clone(), file.clone()).await;
        let plan = plan.with_context(|| format!("the pipeline of job `{}` cannot be planned here", job.name))?;
        self.parts.backends.prepare_topics(&plan.pipeline.streams).await?;
        let Some(lease) = self.catalog().hold_job(&job.name, holder, address, config.lease).await? else {
            return Ok(());
        };
        let begun = async {
            let parts = StreamJobParts {
                job: job.clone(),
                lease: lease.clone(),
                address: address.clone(),
                streams: plan.pipeline.streams.iter().cloned().map(Arc::new).collect(),
                views: plan.folded(),
                log: Arc::clone(self.log()),
                catalog: self.catalog().clone(),
                store: self.store().clone(),
                clock: clock.clone(),
                config: config.clone(),
                control: Handle::current(),
            };
            let (tracker, stop) = (self.tracker.clone(), self.shutdown.child_token());
            let job = runtime.spawn(async move { StreamJob::start(parts, &tracker, stop).await }).await??;
            anyhow::Ok(HeldJob { job, plan: Arc::new(plan) })
        };
        match begun.await {
            Ok(running) => {
                self.running.lock().insert(job.name.clone(), running);
                Ok(())
            }
            Err(error) => {
                // Another process may be able to run it.
                let _ = self.catalog().give_up_job(&lease).await;
                Err(error)
            }
        }
    }

    /// Shows the jobs to queries, all in one step.
    async fn show(&self, current: CurrentJob) -> Result<()> {
        let running = self.running.lock().clone();
        let jobs = running.into_iter().map(|(name, HeldJob { job, plan })| JobToServe {
            name,
            views: plan.views.clone(),
            streams: plan.pipeline.streams.iter().cloned().map(Arc::new).collect(),
            lookups: plan.planner.context().clone(),
            realtime: job.realtime(),
            report: Arc::new(status::Report(job)),
        });
        let failed = self.failed.lock().clone();
        Ok(self.parts.serving.serve_jobs(current.job, jobs.collect(), failed).await?)
    }

    /// The jobs that this process runs.
    pub(crate) async fn running(&self) -> Result<Vec<RunningJob>, CatalogError> {
        let current = self.catalog().current_job().await?.job;
        let held = self.running.lock().clone();
        Ok(held
            .into_iter()
            .map(|(name, HeldJob { job, plan })| RunningJob {
                is_current: Some(&name) == current.as_ref(),
                job: job.job().clone(),
                plan,
            })
            .collect())
    }

    /// Ensures that the process's own pipeline has a job: the first one, where there is none.
    pub(crate) async fn ensure_first(&self, plan: &Plan) -> Result<()> {
        let jobs = self.catalog().jobs().await?;
        if jobs.is_empty() {
            let name = JobName::parse(FIRST)?;
            self.catalog().create_job(&name, &plan.text, &BTreeMap::new()).await?;
            info!(job = %name, "the first stream job folds from the beginning of the log");
        } else if jobs.iter().all(|job| job.pipeline != plan.text) {
            warn!(
                "the pipeline is not that of any stream job: the jobs go on with their own; start this one beside them \
                 with `dovetail job start {} --as NAME`",
                plan.file.display()
            );
        }
        Ok(())
    }
}

/// The name of the first job.
const FIRST: &str = "main";
