//! The states of a job for readers, as long as its lease lasts by the clock of this process: a process that was stopped
//! and goes on refuses before it has heard that another one has taken the job.

use std::sync::Arc;

use dovetail_core::clock;
use dovetail_core::name::ViewName;
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::realtime::{Realtime, RealtimeError, RealtimeView, Stall};
use dovetail_speed_layer::SpeedLayer;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The end of the lease by the monotonic clock of this process.
#[derive(Debug, Clone)]
pub(crate) struct LeaseEnd(Arc<Mutex<Instant>>);

impl LeaseEnd {
    pub(crate) fn new(at: Instant) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    pub(crate) fn extend_to(&self, at: Instant) {
        *self.0.lock() = at;
    }

    fn is_over(&self) -> bool {
        clock::now_monotonic() > *self.0.lock()
    }
}

/// The states of a job.
#[derive(Debug)]
pub(crate) struct LeasedStates {
    pub(crate) layer: Arc<SpeedLayer>,
    pub(crate) end: LeaseEnd,
}

impl LeasedStates {
    fn held(&self, view: &ViewName) -> Result<(), RealtimeError> {
        match self.end.is_over() {
            true => Err(RealtimeError::Elsewhere(view.clone())),
            false => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Realtime for LeasedStates {
    async fn read(&self, view: &ViewName, start: &Cut) -> Result<RealtimeView, RealtimeError> {
        self.held(view)?;
        let states = self.layer.read(view, start).await?;
        // It may have been stopped meanwhile.
        self.held(view).map(|()| states)
    }

    fn keep_boundary(&self, view: &ViewName, at: &Offsets) {
        self.layer.keep_boundary(view, at);
    }

    fn head(&self, view: &ViewName) -> Result<Offsets, RealtimeError> {
        self.held(view)?;
        self.layer.head(view)
    }

    fn stalled(&self, view: &ViewName) -> Vec<(i32, Stall)> {
        self.layer.stalled(view)
    }
}
