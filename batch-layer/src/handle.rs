//! The handle to the batch layer: requests and state.

use std::sync::Arc;

use dovetail_core::catalog::{Catalog, CatalogError, GenerationRow, RunKind, Trigger};
use dovetail_core::name::{Generation, ViewName};
use dovetail_core::store::Store;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::landing::{LandingStatus, SegmentEnd};
use crate::recompute::{FoldProgress, RunError, RunOutcome, RunRequest};
use crate::runner::{Demand, InProgress};
use crate::upkeep::{self, RollbackError};

/// A running batch layer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BatchHandle {
    pub(crate) inner: Arc<HandleState>,
}

#[derive(Debug)]
pub(crate) struct HandleState {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) demands: mpsc::Sender<Demand>,
    pub(crate) in_progress: InProgress,
    pub(crate) progress: watch::Receiver<FoldProgress>,
    pub(crate) landing: watch::Receiver<LandingStatus>,
    pub(crate) ends: broadcast::Sender<SegmentEnd>,
}

impl BatchHandle {
    /// Runs in this process, whether it leads or not, after earlier requests and a run in progress in another process;
    /// `None` means all views. Dropping the future does not cancel a run that has begun: see [`BatchHandle::cancel`].
    pub async fn recompute(&self, kind: RunKind, views: Option<Vec<ViewName>>) -> Result<RunOutcome, RunError> {
        let (reply, done) = oneshot::channel();
        let request = RunRequest { kind, views, trigger: Trigger::Demand };
        let sent = self.inner.demands.send(Demand { request, reply }).await;
        sent.map_err(|_| RunError::Closed)?;
        done.await.map_err(|_| RunError::Closed)?
    }

    /// Cancels the run in progress, whichever process runs it: it publishes nothing any more. Returns whether there was
    /// one.
    pub async fn cancel(&self) -> Result<bool, CatalogError> {
        let asked = self.inner.catalog.cancel_run().await;
        // A run of this process is cancelled at once, also while it waits or has not quite begun.
        let here = self.inner.in_progress.cancel();
        Ok(asked?.is_some() || here)
    }

    /// Makes a kept generation current; returns its row.
    pub async fn rollback(&self, to: Generation) -> Result<GenerationRow, RollbackError> {
        upkeep::rollback(&self.inner.catalog, &self.inner.store, to).await
    }

    /// Progress of the run in progress in this process, or of the last one.
    pub fn progress(&self) -> watch::Receiver<FoldProgress> {
        self.inner.progress.clone()
    }

    /// The state of each partition's segment writer.
    pub fn landing_status(&self) -> watch::Receiver<LandingStatus> {
        self.inner.landing.clone()
    }

    /// Boundaries as soon as they are decided, before their segments are written. A slow receiver misses some.
    pub fn segment_ends(&self) -> broadcast::Receiver<SegmentEnd> {
        self.inner.ends.subscribe()
    }
}
