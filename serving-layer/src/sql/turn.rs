//! The turn of a connection: of the queries that may run at the same time, one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::OwnedSemaphorePermit;

/// Leave to run, given back when nobody has it any more.
pub(crate) type TurnPermit = Arc<OwnedSemaphorePermit>;

/// The turn of a connection. Its statements and cursors are read one after the other, so they need one between them;
/// if each had its own, a message of several statements could wait for itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedTurn {
    turn: Arc<Mutex<Weak<OwnedSemaphorePermit>>>,
    /// How many of its statements were given up and work on. While there are some, the turn is theirs.
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
