//! A run: choose a cut, fold the segments below it, publish the states of all its views at once.
//!
//! ```text
//! decide ─► start the run ─► fold each view ─► states ─► manifest ─► publish
//!                 └ lease renewed, cancel heard ┘          └ nothing interrupts ┘
//! ```
//! Up to the last step the served generation is unchanged; the objects of a failed run become garbage.

mod choose_cut;
mod error;
mod fold;
mod progress;
mod publish;
mod scan;
mod state_files;
mod unreadable_segment;
mod view_errors;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::context::SessionContext;
use datafusion::prelude::SessionConfig;
use dovetail_core::catalog::{
    Catalog, CatalogError, GenerationRow, Moment, NewRun, Run, RunEnd, RunKind, RunSign, RunState, Trigger,
};
use dovetail_core::clock::{self, Clock};
use dovetail_core::manifest::{Manifest, ViewStates};
use dovetail_core::name::{Generation, StreamName, ViewName};
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_core::view::View;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use metrics::{counter, histogram};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::RunConfig;
use crate::recompute::choose_cut::{Choice, Landed, Situation, ViewFold};
use crate::recompute::state_files::{Output, Written};

pub use self::error::RunError;
pub(crate) use self::progress::Reporter;
pub use self::progress::{Phase, Progress};
pub(crate) use crate::recompute::choose_cut::unfilled;
#[cfg(test)]
pub(crate) use crate::recompute::state_files::read as read_states;

/// The parts that runs work with.
#[derive(Debug)]
pub(crate) struct Recompute {
    pub(crate) streams: HashMap<StreamName, Arc<Stream>>,
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) config: RunConfig,
    pub(crate) reporter: Reporter,
}

/// A request for a run.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) kind: RunKind,
    /// The views to fold; `None` for all.
    pub(crate) views: Option<Vec<ViewName>>,
    pub(crate) trigger: Trigger,
}

/// Number of views folded at the same time: while one waits for the disk or merges on one core, another folds.
const VIEWS_AT_ONCE: usize = 2;
/// Number of attempts to choose. The state that a run is based on changes seldom; if it always has changed, the run is
/// tried again later.
const CHOICES: usize = 10;
/// Interval at which a run renews its lease, reports its progress and learns of a cancellation by another process.
const HEARTBEAT_INTERVAL_MAX: Duration = Duration::from_secs(1);
const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// The end of a run that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The run published a generation.
    Published(Box<Run>),
    /// Every view covers the whole landing: there was nothing to publish.
    NothingNew,
}

/// A run that has begun, its choice, and the generation that it is based on.
struct Started {
    run: Run,
    choice: Choice,
    current: Generation,
}

/// The results of a run's views.
#[derive(Default)]
struct Folded {
    views: Vec<(ViewName, ViewStates)>,
    /// The views that could not be folded, and why.
    failed: Option<String>,
}

impl Recompute {
    /// Runs `request`, unless another run is in progress. `moment` is the time at which it was due.
    ///
    /// # On a crash
    /// The run's lease passes, and another process marks the run as failed. Its objects, staged under its number, are
    /// collected then; the current generation is unchanged unless the pointer had moved.
    pub(crate) async fn run(
        &self,
        request: &Request,
        moment: Option<Moment>,
        cancel: &CancellationToken,
    ) -> Result<Outcome, RunError> {
        self.know_views(request)?;
        self.catalog.expire_runs().await?;
        let Some(Started { run, choice, current }) = self.start(request, moment).await? else {
            return Ok(Outcome::NothingNew);
        };
        let started = clock::now_monotonic();
        let (run_id, kind) = (run.id, run.kind);
        info!(run = run_id, %kind, trigger = %run.trigger, views = choice.folds.len(), "run started");
        let written = Written::default();
        let ended = self.work(run, choice, current, &written, cancel).await;
        self.reporter.phase(Phase::Ended);
        histogram!("dovetail_recompute_seconds", "kind" => kind.as_str()).record(started.elapsed().as_secs_f64());
        match ended {
            Ok(run) => {
                counter!("dovetail_runs_total", "state" => run.state.as_str()).increment(1);
                self.discard(&written).await;
                Ok(Outcome::Published(Box::new(run)))
            }
            Err(error) => self.give_up(run_id, cancelled(error), &written).await,
        }
    }

    /// Chooses the work and starts a run; `None` where there is nothing to do.
    async fn start(&self, request: &Request, moment: Option<Moment>) -> Result<Option<Started>, RunError> {
        let mut choices = 0;
        loop {
            let basis = self.catalog.basis().await?;
            let (current, manifest) = self.current().await?;
            let landed = self.landed().await?;
            let choice = choose_cut::choose(&Situation {
                kind: request.kind,
                wanted: request.views.as_deref(),
                views: &self.views,
                landed: &landed,
                current: manifest.as_ref(),
            });
            if choice.folds.is_empty() {
                return Ok(None);
            }
            let new = NewRun {
                kind: request.kind,
                trigger: request.trigger,
                views: choice.folds.iter().map(|fold| fold.view.name.clone()).collect(),
                cuts: choice.cuts.clone(),
                owner: self.config.owner.clone(),
                lease: self.config.lease,
                basis: Some(basis),
                moment,
            };
            choices += 1;
            match self.catalog.start_run(&new).await {
                Err(CatalogError::BasisChanged) if choices < CHOICES => {}
                run => {
                    let run = run?;
                    self.reporter.begin(run.id, &choice, run.started_ms);
                    return Ok(Some(Started { run, choice, current }));
                }
            }
        }
    }

    /// The current generation and its manifest.
    pub(crate) async fn current(&self) -> Result<(Generation, Option<Manifest>), RunError> {
        match self.catalog.current().await? {
            Some(row) => Ok((row.generation, Some(manifest_of(&row)?))),
            None => Ok((Generation::default(), None)),
        }
    }

    fn know_views(&self, request: &Request) -> Result<(), RunError> {
        let known = |name: &ViewName| self.views.iter().any(|view| view.name == *name);
        match request.views.iter().flatten().find(|name| !known(name)) {
            Some(unknown) => Err(RunError::UnknownView(unknown.clone())),
            None => Ok(()),
        }
    }

    async fn landed(&self) -> Result<BTreeMap<StreamName, Landed>, RunError> {
        let mut landed = BTreeMap::new();
        for view in &self.views {
            if landed.contains_key(&view.stream) {
                continue;
            }
            let topic = self.stream(&view.stream)?.topic.clone();
            let partitions = self.catalog.partitions(&topic).await?;
            // Gaps are read before the segments: a range below a gap is landed when the gap is recorded.
            let mut gaps = self.catalog.gaps().await?;
            gaps.retain(|gap| gap.topic == topic);
            let segments = self.catalog.segments(&topic).await?;
            landed.insert(view.stream.clone(), Landed { topic, segments, gaps, partitions });
        }
        Ok(landed)
    }

    fn stream(&self, name: &StreamName) -> Result<&Arc<Stream>, RunError> {
        self.streams.get(name).ok_or_else(|| RunError::UnknownStream(name.clone()))
    }

    /// Does the work between the run's start and its end.
    async fn work(
        &self,
        run: Run,
        choice: Choice,
        expected_previous: Generation,
        written: &Written,
        cancel: &CancellationToken,
    ) -> Result<Run, RunError> {
        let generation = self.catalog.next_generation_number().await?;
        let output = Output {
            catalog: &self.catalog,
            store: &self.store,
            run_id: run.id,
            patience: self.config.lease,
            generation,
            written,
        };
        let folded = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(RunError::Cancelled { run_id: run.id }),
            lost = self.keep_lease(run.id) => Err(lost),
            folded = self.fold_all(&choice, &output) => folded,
        };
        let Folded { views, failed } = folded?;
        let views = choice.kept.into_iter().chain(views).collect();
        self.reporter.phase(Phase::Publishing);
        if let Err(error) = self.catalog.renew_run(run.id, &self.sign(), self.config.lease).await {
            warn!(run = run.id, %error, "a run's progress could not be noted");
        }
        self.publish(run.id, (views, failed), &output, expected_previous).await
    }

    /// Folds each view. A view that cannot be folded keeps its published states and fails alone, as long as there is
    /// another one to publish.
    async fn fold_all(&self, choice: &Choice, output: &Output<'_>) -> Result<Folded, RunError> {
        unreadable_segment::check_sizes(&self.store, choice.sizes()).await?;
        let context = self.context();
        // Boxed and collected: otherwise the compiler cannot see that they may move between threads.
        let mut folds: Vec<BoxFuture<'_, _>> = vec![];
        for fold in &choice.folds {
            folds.push(self.fold_one(fold, output, &context).boxed());
        }
        let done: Vec<_> = futures::stream::iter(folds).buffered(VIEWS_AT_ONCE).try_collect().await?;
        let (mut folded, mut errors) = (Folded::default(), vec![]);
        let n = done.len();
        for (fold, states) in choice.folds.iter().zip(done) {
            let kept = match states {
                Ok(states) => Some(states),
                Err(error) => {
                    error!(view = %fold.view.name, error = error.text(), "a view is left as it was published");
                    errors.push(error);
                    fold.published.clone()
                }
            };
            folded.views.extend(kept.map(|states| (fold.view.name.clone(), states)));
        }
        if errors.len() == n
            && let Some(first) = errors.pop()
        {
            return Err(first);
        }
        folded.failed = (!errors.is_empty()).then(|| {
            let all: Vec<String> = errors.iter().map(RunError::text).collect();
            all.join("; ")
        });
        Ok(folded)
    }

    async fn fold_one(
        &self,
        fold: &ViewFold,
        output: &Output<'_>,
        context: &SessionContext,
    ) -> Result<Result<ViewStates, RunError>, RunError> {
        let stream = self.stream(&fold.view.stream)?;
        match fold::fold_view(fold, stream, output, context, self.config.cores, &self.reporter).await {
            Err(error) if !error.is_of_a_view() => Err(error),
            states => Ok(states),
        }
    }

    fn context(&self) -> SessionContext {
        let mut config = SessionConfig::new().with_target_partitions(self.config.cores.max(1));
        // The columns read must have the types that the views were planned with.
        config.options_mut().execution.parquet.schema_force_view_types = false;
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        let context = SessionContext::new_with_config(config);
        dovetail_core::functions::install(&context);
        self.store.register(&context.runtime_env());
        context
    }

    /// Renews the lease until the run is no longer this process's, or was cancelled; returns the reason.
    async fn keep_lease(&self, run_id: i64) -> RunError {
        let pause = (self.config.lease / 3).clamp(HEARTBEAT_INTERVAL_MIN, HEARTBEAT_INTERVAL_MAX);
        loop {
            clock::sleep(pause).await;
            match self.catalog.renew_run(run_id, &self.sign(), self.config.lease).await {
                Ok(()) => {}
                Err(lost @ CatalogError::RunEnded { .. }) => return lost.into(),
                Err(error) => warn!(run = run_id, %error, "a run's lease could not be renewed, trying again"),
            }
        }
    }

    fn sign(&self) -> RunSign {
        let Progress { phase, rows_done, rows_total, segments_done, segments, .. } = self.reporter.now();
        RunSign {
            phase: phase.as_str().to_owned(),
            rows: rows_done,
            row_total: rows_total,
            segments: segments_done as u64,
            segment_total: segments as u64,
        }
    }

    /// Ends a run that does not publish.
    ///
    /// # On a crash
    /// The run ends as failed once its lease has passed, and its staged objects are deleted then.
    async fn give_up(&self, run_id: i64, error: RunError, written: &Written) -> Result<Outcome, RunError> {
        let end = match &error {
            RunError::Cancelled { .. } => RunEnd::Cancelled,
            error => RunEnd::Failed { error: error.text() },
        };
        let error = match self.end(run_id, &end).await {
            // Only the answer to its publishing was lost.
            Ok(Some(run)) => return Ok(Outcome::Published(Box::new(run))),
            Ok(None) => {
                self.discard(written).await;
                self.given_up(run_id, error).await
            }
            // The run may have been published: its objects stay.
            Err(ending) => {
                warn!(run = run_id, %ending, "the end of a run could not be recorded");
                error
            }
        };
        match &error {
            RunError::Cancelled { .. } => info!(run = run_id, "run cancelled"),
            error => error!(run = run_id, error = error.text(), "run failed"),
        }
        let state = if matches!(end, RunEnd::Cancelled) { "cancelled" } else { "failed" };
        counter!("dovetail_runs_total", "state" => state).increment(1);
        Err(error)
    }

    /// The error of a failed run: a run whose lease had passed may find that segments are gone, because nothing is kept
    /// for it any more. That is no loss of data.
    async fn given_up(&self, run_id: i64, error: RunError) -> RunError {
        match (self.catalog.run(run_id).await, error) {
            (Ok(run), error @ RunError::SegmentMissing { .. }) if run.error != Some(error.text()) => {
                CatalogError::RunEnded { id: run_id, state: run.state }.into()
            }
            (_, error) => error,
        }
    }

    async fn discard(&self, written: &Written) {
        let written = written.take();
        let paths: Vec<&str> = written.iter().map(String::as_str).collect();
        if !paths.is_empty()
            && let Err(error) = self.catalog.give_up(&paths).await
        {
            warn!(objects = paths.len(), %error, "the objects of a run that did not publish are left to be collected");
        }
    }
}

/// Turns the catalog's report that the run was cancelled into a cancellation.
fn cancelled(error: RunError) -> RunError {
    match error {
        RunError::Catalog(CatalogError::RunEnded { id, state: RunState::Cancelled }) => {
            RunError::Cancelled { run_id: id }
        }
        error => error,
    }
}

pub(crate) fn manifest_of(row: &GenerationRow) -> Result<Manifest, RunError> {
    let unusable = |source| RunError::Manifest { generation: row.generation.0, source };
    Manifest::from_json(&row.manifest).map_err(unusable)
}
