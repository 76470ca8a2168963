//! A job that this process runs: its fold, its checkpoints and its lease.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::background;
use dovetail_core::catalog::{Catalog, CatalogError, Job, JobLease};
use dovetail_core::clock::{self, Clock};
use dovetail_core::name::ViewName;
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::Realtime;
use dovetail_core::store::Store;
use dovetail_core::view::View;
use dovetail_ingestion::decoded_log::DecodedLog;
use dovetail_ingestion::log::{Log, LogError};
use dovetail_speed_layer::{JobParts, SpeedLayer};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::checkpoint::{Checkpoints, JobView};
use crate::config::KappaConfig;
use crate::error::JobError;
use crate::leased::{LeaseEnd, LeasedStates};
use crate::restore::{RestoredJob, restore};

/// Parts and neighbours of a job.
#[derive(Debug, Clone)]
pub struct StreamJobParts {
    /// The job as the catalog has it.
    pub job: Job,
    /// The right to run it.
    pub lease: JobLease,
    /// HTTP address of this process for others; empty if it has none.
    pub address: String,
    /// The streams of the job's pipeline.
    pub streams: Vec<Arc<Stream>>,
    /// The folded views of the job's pipeline.
    pub views: Vec<Arc<View>>,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The catalog.
    pub catalog: Catalog,
    /// The store of checkpoints.
    pub store: Store,
    /// The process's clock.
    pub clock: Clock,
    /// The settings.
    pub config: KappaConfig,
    /// The runtime that renews the lease: folding does not delay it there.
    pub control: Handle,
}

/// A running job. It ends when its token is cancelled, or when its lease is lost.
#[derive(Debug)]
pub struct StreamJob {
    job: Job,
    layer: Arc<SpeedLayer>,
    readers: Arc<LeasedStates>,
    views: Vec<JobView>,
    log: Arc<dyn Log>,
    /// The end of the log and the speed of folding, for [`Self::progress`].
    pace: Mutex<JobPace>,
    /// Cancelled when the job is to end; the last checkpoint is taken then.
    stop: CancellationToken,
    /// Cancelled when the job has ended.
    ended: CancellationToken,
    checkpoint: Mutex<CheckpointStatus>,
}

/// The last checkpoint, or why there is none.
#[derive(Debug, Clone, Default)]
struct CheckpointStatus {
    number: Option<u64>,
    failed: Option<String>,
}

#[derive(Debug, Default)]
struct JobPace {
    /// Records folded at the time of the last measurement.
    last: Option<(Instant, u64)>,
    /// Records a second between the last two measurements.
    rate: f64,
    /// Sum of the ends of the log, when they were last known.
    end: u64,
}

/// The progress of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobProgress {
    /// Offsets that the slowest view has folded or begun after, over all partitions.
    pub done: u64,
    /// Offsets up to the ends of the log.
    pub end: u64,
    /// Offsets a second, lately.
    pub rate: f64,
    /// Time to the ends of the log at this rate; none while it folds nothing, zero when it is there.
    pub eta: Option<Duration>,
    /// Bytes of states in memory.
    pub bytes: u64,
    /// The last checkpoint of this or an earlier process.
    pub checkpoint: Option<u64>,
    /// The reason why it does not fold, or takes no checkpoints.
    pub trouble: Option<String>,
}

/// Time for the log to report its ends.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval at which the pace is measured.
const PACE_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of checks for new partitions of the topics.
const PARTITIONS_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Time for the last checkpoint of a job that ends.
const LAST_CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(6);

impl StreamJob {
    /// Restores the last checkpoint and begins to fold.
    ///
    /// # Errors
    /// When the checkpoint cannot be read, or the log has lost records that the job needs.
    pub async fn start(
        parts: StreamJobParts,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, JobError> {
        let StreamJobParts { job, lease, address, streams, views, log, catalog, store, clock, config, control } = parts;
        let topic = |view: &View| streams.iter().find(|stream| stream.name == view.stream).map(|s| s.topic.clone());
        let views: Vec<JobView> =
            views.into_iter().filter_map(|view| Some(JobView { topic: topic(&view)?, view })).collect();
        // The lease was taken a moment before this.
        let end = LeaseEnd::new(clock::now_monotonic() + config.lease);
        let restoring = async {
            let restored = restore(&job, &views, &catalog, &store).await?;
            check_log(&job, &views, &restored.slices, log.as_ref()).await?;
            Ok::<_, JobError>(restored)
        };
        // Reading a large checkpoint can take longer than a lease.
        let RestoredJob { slices, last, number } = tokio::select! {
            restored = restoring => restored?,
            () = renew(&catalog, &lease, &address, config.lease, &end) => {
                return Err(CatalogError::JobLost { job: lease.job.to_string() }.into());
            }
        };
        let (folding, ended) = (CancellationToken::new(), CancellationToken::new());
        let mut decoded_logs = HashMap::new();
        for stream in streams.iter().filter(|stream| views.iter().any(|of| of.view.stream == stream.name)) {
            let decoded_log =
                DecodedLog::open(Arc::clone(&log), Arc::clone(stream), config.decoded_log.clone()).await?;
            let decoded_log = Arc::new(decoded_log);
            background::spawn(tracker, &folding, "look_for_partitions", look(Arc::clone(&decoded_log)));
            decoded_logs.insert(stream.name.clone(), decoded_log);
        }
        let fold = JobParts {
            views: views.iter().map(|of| Arc::clone(&of.view)).collect(),
            decoded_logs,
            restored: slices,
            config: config.fold.clone(),
        };
        let layer = SpeedLayer::start_job(fold, tracker, &folding);
        info!(job = %job.name, checkpoint = ?number.map(|n| n.0), "job folds");
        let this = Arc::new(Self {
            job,
            readers: Arc::new(LeasedStates { layer: Arc::clone(&layer), end: end.clone() }),
            layer: Arc::clone(&layer),
            views: views.clone(),
            log,
            pace: Mutex::default(),
            stop: stop.clone(),
            ended: ended.clone(),
            checkpoint: Mutex::new(CheckpointStatus { number: number.map(|number| number.0), failed: None }),
        });
        background::spawn(tracker, &folding, "measure_job", Arc::clone(&this).measure());
        let checkpoints =
            Checkpoints { views, layer, catalog, store, clock, keep: config.keep_checkpoints.max(1), last };
        let running = Arc::clone(&this).run(checkpoints, lease, address, config, (tracker.clone(), control, end));
        background::spawn_to_end(tracker, "job", async move {
            running.await;
            folding.cancel();
            ended.cancel();
        });
        Ok(this)
    }

    /// The job as the catalog had it at the start.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The states of its views, for readers: everything from offset 0.
    pub fn realtime(&self) -> Arc<dyn Realtime> {
        Arc::<LeasedStates>::clone(&self.readers)
    }

    /// Ends the job: it takes a last checkpoint and gives its lease up.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether the job has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits until the job has ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// The progress at this moment; the ends of the log are those last known where it does not answer.
    pub async fn progress(&self) -> JobProgress {
        let ends = self.ends().await;
        let done = self.done();
        let mut pace = self.pace.lock();
        let silent = ends.is_none().then(|| "the log does not answer".to_owned());
        pace.end = ends.unwrap_or(pace.end);
        let end = pace.end.max(done);
        let left = end - done;
        let eta = match (left, pace.rate) {
            (0, _) => Some(Duration::ZERO),
            (_, rate) if rate > 0.0 => Duration::try_from_secs_f64(left as f64 / rate).ok(),
            _ => None,
        };
        let CheckpointStatus { number, failed } = self.checkpoint.lock().clone();
        let trouble = self.not_folding().or(silent).or(failed);
        JobProgress { done, end, rate: pace.rate, eta, bytes: self.layer.bytes() as u64, checkpoint: number, trouble }
    }

    fn not_folding(&self) -> Option<String> {
        self.views
            .iter()
            .find_map(|of| self.layer.stalled(&of.view.name).into_iter().next().map(|(_, stall)| stall.why))
    }

    fn done(&self) -> u64 {
        self.layer.status().iter().map(|status| status.head.unsigned_abs()).sum()
    }

    async fn measure(self: Arc<Self>) {
        loop {
            let (done, now) = (self.done(), clock::now_monotonic());
            {
                let mut pace = self.pace.lock();
                if let Some((then, before)) = pace.last {
                    let seconds = now.duration_since(then).as_secs_f64().max(0.001);
                    pace.rate = done.saturating_sub(before) as f64 / seconds;
                }
                pace.last = Some((now, done));
            }
            let labels = [("job", self.job.name.to_string())];
            let progress = self.progress().await;
            metrics::gauge!("dovetail_job_offsets_behind", &labels)
                .set(progress.end.saturating_sub(progress.done) as f64);
            metrics::gauge!("dovetail_job_bytes", &labels).set(progress.bytes as f64);
            clock::sleep(PACE_INTERVAL).await;
        }
    }

    /// Sum of the ends of the log; none where it does not answer in time.
    async fn ends(&self) -> Option<u64> {
        let topics: BTreeSet<&str> = self.views.iter().map(|of| of.topic.as_str()).collect();
        let ends = async {
            let mut sum = 0;
            for topic in topics {
                for partition in 0..self.log.partitions(topic).await?.cast_signed() {
                    sum += self.log.bounds(topic, partition).await?.end.unsigned_abs();
                }
            }
            Ok::<_, LogError>(sum)
        };
        timeout(LOG_TIMEOUT, ends).await.ok()?.ok()
    }

    /// Takes checkpoints and renews the lease until the job is to end or its lease is lost. A lost lease ends the job at
    /// once: another process folds it.
    async fn run(
        self: Arc<Self>,
        mut checkpoints: Checkpoints,
        lease: JobLease,
        address: String,
        config: KappaConfig,
        (tracker, control, end): (TaskTracker, Handle, LeaseEnd),
    ) {
        let catalog = checkpoints.catalog.clone();
        let lost = {
            let (lease, catalog, stop) = (lease.clone(), catalog.clone(), self.stop.clone());
            let renewing = async move { renew(&catalog, &lease, &address, config.lease, &end).await };
            async move { stop.run_until_cancelled(renewing).await.is_some() }
        };
        let mut lost = tracker.spawn_on(lost, &control);
        loop {
            tokio::select! {
                lost = &mut lost => match lost {
                    Ok(false) => break,
                    Ok(true) | Err(_) => {
                        warn!(job = %self.job.name, "another process has taken the job");
                        return;
                    }
                },
                () = clock::sleep(config.checkpoint_interval) => {
                    if self.checkpoint(&mut checkpoints, &lease).await.is_err() {
                        return;
                    }
                }
            }
        }
        let last = timeout(LAST_CHECKPOINT_TIMEOUT, self.checkpoint(&mut checkpoints, &lease)).await;
        if last.is_err() {
            warn!(job = %self.job.name, "the last checkpoint took too long: the next process folds again what came since");
        }
        if let Err(error) = catalog.give_up_job(&lease).await {
            warn!(job = %self.job.name, %error, "the lease of the job ends by itself");
        }
    }

    /// Takes a checkpoint; an error only if the job belongs to another process.
    async fn checkpoint(&self, checkpoints: &mut Checkpoints, lease: &JobLease) -> Result<(), ()> {
        let labels = [("job", self.job.name.to_string())];
        match checkpoints.take(lease).await {
            Ok(taken) => {
                let mut status = self.checkpoint.lock();
                status.failed = None;
                if let Some(taken) = taken {
                    status.number = Some(taken.number.0);
                    metrics::counter!("dovetail_checkpoints_total", &labels).increment(1);
                    metrics::counter!("dovetail_checkpoint_bytes_total", &labels).increment(taken.bytes);
                    tracing::debug!(job = %self.job.name, number = %taken.number, bytes = taken.bytes, "checkpoint");
                }
                Ok(())
            }
            Err(JobError::Catalog(CatalogError::JobLost { .. } | CatalogError::Missing { .. })) => {
                warn!(job = %self.job.name, "the job was removed, or another process has taken it");
                Err(())
            }
            Err(error) => {
                metrics::counter!("dovetail_checkpoints_failed_total", &labels).increment(1);
                warn!(job = %self.job.name, %error, "no checkpoint was taken; it is tried again");
                self.checkpoint.lock().failed = Some(format!("the last checkpoint failed: {error}"));
                Ok(())
            }
        }
    }
}

/// Renews the lease until it is lost.
async fn renew(catalog: &Catalog, lease: &JobLease, address: &str, time: Duration, end: &LeaseEnd) {
    let mut renewed = clock::now_monotonic();
    loop {
        clock::sleep(time / 4).await;
        let asked = clock::now_monotonic();
        match catalog.hold_job(&lease.job, &lease.holder, address, time).await {
            Ok(Some(held)) if held.epoch == lease.epoch => {
                renewed = asked;
                end.extend_to(asked + time);
            }
            Ok(_) | Err(CatalogError::Missing { .. }) => return,
            Err(error) if renewed.elapsed() >= time => {
                warn!(job = %lease.job, %error, "the lease could not be renewed in time");
                return;
            }
            Err(_) => {}
        }
    }
}

async fn look(decoded_log: Arc<DecodedLog>) {
    loop {
        clock::sleep(PARTITIONS_POLL_INTERVAL).await;
        if let Err(error) = decoded_log.look().await {
            tracing::debug!(%error, "whether the topic got more partitions is not known");
        }
    }
}

/// Refuses to begin where the log has lost records that the job needs.
async fn check_log(
    job: &Job,
    views: &[JobView],
    slices: &HashMap<ViewName, Vec<dovetail_core::realtime::Slice>>,
    log: &dyn Log,
) -> Result<(), JobError> {
    for of in views {
        let restored = slices.get(&of.view.name).map_or(&[][..], Vec::as_slice);
        for partition in 0..log.partitions(&of.topic).await?.cast_signed() {
            let next = restored.iter().find(|slice| slice.partition == partition).map_or(0, |slice| slice.range.end);
            let first = log.bounds(&of.topic, partition).await?.start;
            if next < first {
                let (job, topic, gone) = (job.name.clone(), of.topic.clone(), first - next);
                return Err(JobError::Lost { job, topic, partition, next, first, gone });
            }
        }
    }
    Ok(())
}
