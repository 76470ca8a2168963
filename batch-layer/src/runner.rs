//! The task of a process that runs recomputes: the requested ones, and, while the process leads, those that are due,
//! those requested by somebody who does not wait, and those that fill new views.

use std::sync::Arc;
use std::time::Duration;

use dovetail_core::backoff::Backoff;
use dovetail_core::catalog::{CatalogError, Moment, RunKind, Trigger};
use dovetail_core::clock;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::leader::Leader;
use crate::recompute::{RecomputeParts, RunError, RunOutcome, RunRequest, unfilled};
use crate::schedule::Schedule;

/// A request for a run whose caller waits.
#[derive(Debug)]
pub(crate) struct Demand {
    pub(crate) request: RunRequest,
    pub(crate) reply: oneshot::Sender<Result<RunOutcome, RunError>>,
}

/// The run in progress, so that it can be cancelled.
#[derive(Debug, Clone, Default)]
pub(crate) struct InProgress(Arc<Mutex<Option<CancellationToken>>>);

impl InProgress {
    /// Cancels the run in progress; returns whether there was one.
    pub(crate) fn cancel(&self) -> bool {
        match &*self.0.lock() {
            Some(token) => {
                token.cancel();
                true
            }
            None => false,
        }
    }

    fn set(&self, token: Option<CancellationToken>) {
        *self.0.lock() = token;
    }
}

/// Interval at which a waiting caller checks whether a run of another process is over.
const RUN_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Pause between two runs of the leader, so that callers in other processes have their turn.
const REST_BETWEEN_RUNS: Duration = Duration::from_millis(200);
/// Interval at which the leader checks for due runs: it is notified of nearly everything before.
const SCHEDULE_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// First pause after a run that could not start.
const RUN_RETRY_FIRST: Duration = Duration::from_millis(200);
const RUN_RETRY_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Runner {
    pub(crate) recompute: Arc<RecomputeParts>,
    pub(crate) demands: mpsc::Receiver<Demand>,
    pub(crate) in_progress: InProgress,
    pub(crate) leader: Leader,
    pub(crate) shutdown: CancellationToken,
}

/// A leader's state in its term.
struct Leading {
    term: i64,
    /// Whether the due moments of kinds of runs without a schedule were forgotten.
    begun: bool,
    /// Whether the views added since the last publishing were filled.
    filled: bool,
    backoff: Backoff,
    /// The earliest time of the next run.
    rests_until: Instant,
}

/// The result of a leader's task.
enum Did {
    Nothing,
    Run,
    /// It has to wait for another run, or for the catalog.
    Waits,
}

impl Runner {
    pub(crate) async fn run(mut self) {
        let mut changes = self.recompute.catalog.changes();
        let mut leading: Option<Leading> = None;
        loop {
            leading = self.leader.term().map(|term| match leading {
                Some(leading) if leading.term == term => leading,
                _ => Leading::new(term),
            });
            changes.borrow_and_update();
            let pause = match &mut leading {
                Some(leading) => self.lead(leading).await,
                None => SCHEDULE_POLL_INTERVAL,
            };
            // Landing changes the catalog all the time.
            let heard = async {
                clock::sleep(RUN_POLL_INTERVAL.min(pause)).await;
                let _ = changes.changed().await;
            };
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                demand = self.demands.recv() => match demand {
                    Some(demand) => self.obey(demand).await,
                    None => return,
                },
                () = self.leader.changed() => {}
                () = heard, if leading.is_some() => {}
                () = clock::sleep(pause) => {}
            }
        }
    }

    /// Does the leader's first task; returns the time for which no other is known.
    async fn lead(&self, leading: &mut Leading) -> Duration {
        let rests = leading.rests_until.saturating_duration_since(clock::now_monotonic());
        if !rests.is_zero() {
            return rests;
        }
        let (did, pause) = match self.do_next(leading).await {
            Ok(did) => did,
            Err(error) => {
                warn!(%error, "what the batch layer has to do is not known, trying again");
                (Did::Waits, SCHEDULE_POLL_INTERVAL)
            }
        };
        match did {
            Did::Nothing => pause.min(SCHEDULE_POLL_INTERVAL),
            Did::Run => {
                leading.backoff.reset();
                leading.rests_until = clock::now_monotonic() + REST_BETWEEN_RUNS;
                REST_BETWEEN_RUNS
            }
            Did::Waits => {
                let pause = leading.backoff.next_pause();
                leading.rests_until = clock::now_monotonic() + pause;
                pause
            }
        }
    }

    async fn do_next(&self, leading: &mut Leading) -> Result<(Did, Duration), CatalogError> {
        let config = &self.recompute.config;
        let schedules = [(RunKind::Full, config.full.as_ref()), (RunKind::Incremental, config.incremental.as_ref())];
        if !leading.begun {
            for (kind, _) in schedules.iter().filter(|(_, schedule)| schedule.is_none()) {
                self.recompute.catalog.forget_moments(*kind).await?;
            }
            leading.begun = true;
        }
        if !leading.filled {
            let did = self.fill_views().await;
            leading.filled = !matches!(did, Did::Waits);
            if !matches!(did, Did::Nothing) {
                return Ok((did, REST_BETWEEN_RUNS));
            }
        }
        let requested = self.recompute.catalog.requested_runs().await?;
        if let Some(first) = requested.first() {
            let request = RunRequest { kind: RunKind::Incremental, views: None, trigger: first.trigger };
            let done = self.run_one(&request, None).await;
            let did = did(&request, &done);
            if !matches!(did, Did::Waits) {
                self.recompute.catalog.fulfil(&requested).await?;
            }
            return Ok((did, REST_BETWEEN_RUNS));
        }
        let mut pause = SCHEDULE_POLL_INTERVAL;
        // A full run covers an incremental one, so it goes first.
        for (kind, schedule) in schedules {
            match self.keep_schedule(kind, schedule).await? {
                (Did::Nothing, next) => pause = pause.min(next),
                did => return Ok(did),
            }
        }
        Ok((Did::Nothing, pause))
    }

    /// Starts a run if one is due; returns the time until the next one.
    async fn keep_schedule(&self, kind: RunKind, schedule: Option<&Schedule>) -> Result<(Did, Duration), CatalogError> {
        let Some(schedule) = schedule else { return Ok((Did::Nothing, SCHEDULE_POLL_INTERVAL)) };
        let catalog = &self.recompute.catalog;
        let (last_ms, now_ms) = (catalog.last_moment(kind).await?, catalog.now_ms().await?);
        // The database's clock may have been set back.
        let after_ms = last_ms.min(now_ms);
        let Some(at_ms) = schedule.due(after_ms, now_ms) else {
            let next = schedule.next(after_ms).map_or(i64::MAX, |next| next.saturating_sub(now_ms));
            return Ok((Did::Nothing, Duration::from_millis(next.max(1).unsigned_abs())));
        };
        let moment = Moment { kind, after_ms: last_ms, at_ms };
        let request = RunRequest { kind, views: None, trigger: Trigger::Schedule };
        let done = self.run_one(&request, Some(moment)).await;
        let did = did(&request, &done);
        // A run that started has recorded the moment.
        if !matches!(did, Did::Waits) {
            catalog.keep_moment(&moment).await?;
        }
        Ok((did, REST_BETWEEN_RUNS))
    }

    async fn fill_views(&self) -> Did {
        let missing = match self.recompute.current().await {
            Ok((_, manifest)) => unfilled(&self.recompute.views, manifest.as_ref()),
            Err(error) => {
                warn!(%error, "whether views are to be filled is not known");
                return Did::Waits;
            }
        };
        if missing.is_empty() {
            return Did::Nothing;
        }
        let request = RunRequest { kind: RunKind::Incremental, views: Some(missing), trigger: Trigger::Start };
        did(&request, &self.run_one(&request, None).await)
    }

    /// Does a run whose caller waits, once those of other processes are over.
    async fn obey(&self, demand: Demand) {
        let Demand { request, mut reply } = demand;
        let cancel = self.shutdown.child_token();
        self.in_progress.set(Some(cancel.clone()));
        let done = loop {
            let done = self.recompute.run(&request, None, &cancel).await;
            let Err(RunError::Catalog(CatalogError::RunInProgress { id, .. })) = done else { break done };
            tokio::select! {
                () = cancel.cancelled() => break Err(RunError::Cancelled { run_id: id }),
                // The caller has gone.
                () = reply.closed() => break done,
                () = self.other_is_over() => {}
            }
        };
        self.in_progress.set(None);
        let _ = reply.send(done);
    }

    /// Waits until no run is in progress, or until that is unknown.
    async fn other_is_over(&self) {
        loop {
            clock::sleep(RUN_POLL_INTERVAL).await;
            if !matches!(self.recompute.catalog.running().await, Ok(Some(_))) {
                return;
            }
        }
    }

    async fn run_one(&self, request: &RunRequest, moment: Option<Moment>) -> Result<RunOutcome, RunError> {
        // Checked before anything is read for a run that cannot start.
        if let Some(run) = self.recompute.catalog.running().await? {
            return Err(CatalogError::RunInProgress { id: run.id, owner: run.owner }.into());
        }
        let cancel = self.shutdown.child_token();
        self.in_progress.set(Some(cancel.clone()));
        let done = self.recompute.run(request, moment, &cancel).await;
        self.in_progress.set(None);
        done
    }
}

impl Leading {
    fn new(term: i64) -> Self {
        let backoff = Backoff::new(RUN_RETRY_FIRST, RUN_RETRY_MAX);
        Self { term, begun: false, filled: false, backoff, rests_until: clock::now_monotonic() }
    }
}

/// The result of a run that nobody waits for.
fn did(request: &RunRequest, done: &Result<RunOutcome, RunError>) -> Did {
    let (kind, trigger) = (request.kind, request.trigger);
    match done {
        Ok(_) | Err(RunError::Cancelled { .. }) => Did::Run,
        Err(RunError::Catalog(error @ CatalogError::RunInProgress { .. })) => {
            info!(%kind, %trigger, %error, "a run waits");
            Did::Waits
        }
        Err(RunError::Catalog(error @ CatalogError::MomentTaken { .. })) => {
            info!(%kind, %trigger, %error, "left out a run");
            Did::Run
        }
        Err(error @ (RunError::Catalog(_) | RunError::Store(_))) => {
            error!(%kind, %trigger, error = error.text(), "no run, trying again");
            Did::Waits
        }
        Err(error) => {
            error!(%kind, %trigger, error = error.text(), "no run");
            Did::Run
        }
    }
}
