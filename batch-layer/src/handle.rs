//! How others ask the batch layer for something and look at it.

use std::sync::Arc;

use dovetail_core::catalog::{Catalog, GenerationRow, RunKind, Trigger};
use dovetail_core::name::{Generation, ViewName};
use dovetail_core::store::Store;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::landing::{LandingStatus, SegmentEnd};
use crate::recompute::{Outcome, Progress, Request, RunError};
use crate::runner::{Command, InProgress};
use crate::upkeep::{self, RollbackError};

/// The batch layer takes no more requests, or this process does no runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the batch layer of this process does no runs, or is shutting down")]
pub struct BatchClosed;

/// A running batch layer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BatchHandle {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) in_progress: InProgress,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) landing: watch::Receiver<LandingStatus>,
    pub(crate) ends: broadcast::Sender<SegmentEnd>,
}

impl BatchHandle {
    /// Runs once those that were asked for before are done; `None` means all views. Dropping the future does not
    /// cancel the run: see [`BatchHandle::cancel`].
    pub async fn recompute(&self, kind: RunKind, views: Option<Vec<ViewName>>) -> Result<Outcome, RunError> {
        let (reply, done) = oneshot::channel();
        let request = Request { kind, views, trigger: Trigger::Demand };
        let sent = self.inner.commands.send(Command::Recompute(request, reply)).await;
        sent.map_err(|_| RunError::Closed)?;
        done.await.map_err(|_| RunError::Closed)?
    }

    /// Asks for an incremental run of all views without waiting for it. When as many are asked for already as are
    /// kept in mind, one of those will do.
    pub fn request_incremental(&self, trigger: Trigger) -> Result<(), BatchClosed> {
        let request = Request { kind: RunKind::Incremental, views: None, trigger };
        match self.inner.commands.try_send(Command::Start(request)) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(BatchClosed),
        }
    }

    /// Cancels the run in progress; what is published stays. Returns whether there was one.
    pub fn cancel(&self) -> bool {
        self.inner.in_progress.cancel()
    }

    /// Makes a generation that is kept current.
    pub async fn rollback(&self, to: Generation) -> Result<GenerationRow, RollbackError> {
        upkeep::rollback(&self.inner.catalog, &self.inner.store, to).await
    }

    /// How far the run in progress is, or how far the last one came.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.inner.progress.clone()
    }

    /// What the landers are doing.
    pub fn landing_status(&self) -> watch::Receiver<LandingStatus> {
        self.inner.landing.clone()
    }

    /// Boundaries as soon as they are decided, before their segments are written. One who falls behind misses some.
    pub fn segment_ends(&self) -> broadcast::Receiver<SegmentEnd> {
        self.inner.ends.subscribe()
    }
}
