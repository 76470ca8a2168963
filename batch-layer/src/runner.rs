//! The one task that runs: recomputes and upkeep, one after the other.

use std::sync::{Arc, Mutex, PoisonError};

use dovetail_core::catalog::{CatalogError, RunKind, Trigger};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::recompute::{Outcome, Recompute, Request, RunError, unfilled};
use crate::upkeep::Upkeep;

/// What the runner is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run when it is this one's turn; how it ends is in the log and in the catalog.
    Start(Request),
    /// Run, and tell.
    Recompute(Request, oneshot::Sender<Result<Outcome, RunError>>),
}

/// The run in progress, so that others can cancel it.
#[derive(Debug, Clone, Default)]
pub(crate) struct InProgress(Arc<Mutex<Option<CancellationToken>>>);

impl InProgress {
    /// Cancels the run in progress; returns whether there was one.
    pub(crate) fn cancel(&self) -> bool {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(token) => {
                token.cancel();
                true
            }
            None => false,
        }
    }

    fn set(&self, token: Option<CancellationToken>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

pub(crate) struct Runner {
    pub(crate) recompute: Arc<Recompute>,
    pub(crate) upkeep: Upkeep,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) in_progress: InProgress,
    pub(crate) shutdown: CancellationToken,
}

impl Runner {
    pub(crate) async fn run(mut self) {
        let mut filled = self.fill_views().await;
        let every = self.recompute.config.upkeep_every;
        let mut upkeep = interval_at(Instant::now() + every, every);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                () = sleep(self.recompute.config.lease / 3), if !filled => filled = self.fill_views().await,
                _ = upkeep.tick() => self.look_after().await,
            }
        }
    }

    /// Views that were added since the last publishing are filled at once. Returns whether that is done: a process
    /// that died may hold a run until its lease has passed.
    async fn fill_views(&self) -> bool {
        let missing = match self.recompute.current().await {
            Ok((_, manifest)) => unfilled(&self.recompute.views, manifest.as_ref()),
            Err(error) => {
                warn!(%error, "whether views are to be filled is not known");
                return false;
            }
        };
        if missing.is_empty() {
            return true;
        }
        let request = Request { kind: RunKind::Incremental, views: Some(missing), trigger: Trigger::Start };
        let done = self.run_one(&request).await;
        let waits = matches!(&done, Err(RunError::Catalog(_) | RunError::Store(_)));
        note(&request, done);
        !waits
    }

    async fn obey(&self, command: Command) {
        match command {
            Command::Start(request) => {
                let done = self.run_one(&request).await;
                note(&request, done);
            }
            Command::Recompute(request, reply) => {
                let done = self.run_one(&request).await;
                // Whoever asked may be gone.
                let _ = reply.send(done);
            }
        }
    }

    async fn run_one(&self, request: &Request) -> Result<Outcome, RunError> {
        let cancel = self.shutdown.child_token();
        self.in_progress.set(Some(cancel.clone()));
        let done = self.recompute.run(request, &cancel).await;
        self.in_progress.set(None);
        done
    }

    /// Ends early when the process does: whatever is half done is garbage.
    async fn look_after(&self) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.upkeep.run() => {}
        }
    }
}

fn note(request: &Request, done: Result<Outcome, RunError>) {
    let (kind, trigger) = (request.kind, request.trigger);
    match done {
        Ok(_) | Err(RunError::Cancelled { .. }) => {}
        Err(RunError::Catalog(error @ CatalogError::RunInProgress { .. })) => {
            info!(%kind, %trigger, %error, "left out a run");
        }
        Err(error) => error!(%kind, %trigger, error = error.text(), "no run"),
    }
}
