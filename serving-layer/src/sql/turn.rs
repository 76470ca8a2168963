//! The permit of a connection to run one of the queries that may run at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::OwnedSemaphorePermit;

/// A permit to run, returned when its last holder drops it.
pub(crate) type TurnPermit = Arc<OwnedSemaphorePermit>;

/// The permit of a connection. Its statements and cursors are read one after the other, so they share one; with one
/// each, a message of several statements could wait for itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedTurn {
    turn: Arc<Mutex<Weak<OwnedSemaphorePermit>>>,
    /// Number of its given-up statements that still work. While there are some, they keep the permit.
    pub(crate) given_up: Arc<AtomicUsize>,
}

impl SharedTurn {
    pub(crate) fn held(&self) -> MutexGuard<'_, Weak<OwnedSemaphorePermit>> {
        self.turn.lock()
    }

    pub(crate) fn is_free(&self) -> bool {
        self.given_up.load(Ordering::SeqCst) == 0
    }
}
