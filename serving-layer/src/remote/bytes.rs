//! How many bytes of slices there are, of how many there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(super) struct Total {
    bytes: AtomicUsize,
    limit: usize,
}

/// Bytes that count until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    total: Arc<Total>,
    bytes: usize,
}

impl Total {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), limit }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn count(self: &Arc<Self>, bytes: usize) -> Counted {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Counted { total: Arc::clone(self), bytes }
    }

    /// Whether `more` would fit.
    pub(super) fn fits(&self, more: usize) -> bool {
        self.bytes().saturating_add(more) <= self.limit
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.total.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
