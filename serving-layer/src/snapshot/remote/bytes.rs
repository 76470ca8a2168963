//! The number of bytes of received slices, and its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Total {
    bytes: AtomicUsize,
    limit: usize,
    freed: Notify,
}

/// Bytes that count until this is dropped.
#[derive(Debug)]
pub(super) struct CountedBytes {
    total: Arc<Total>,
    bytes: usize,
}

impl Total {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), limit, freed: Notify::new() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn count(self: &Arc<Self>, bytes: usize) -> CountedBytes {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        CountedBytes { total: Arc::clone(self), bytes }
    }

    /// Whether `more` would fit.
    pub(super) fn fits(&self, more: usize) -> bool {
        self.bytes().saturating_add(more) <= self.limit
    }

    /// Waits until `more` would fit.
    pub(super) async fn until_fits(&self, more: usize) {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if self.fits(more) {
                return;
            }
            freed.await;
        }
    }
}

impl CountedBytes {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for CountedBytes {
    fn drop(&mut self) {
        self.total.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.total.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_is_room() {
        let total = Arc::new(Total::new(100));
        let (first, second) = (total.count(60), total.count(30));
        assert!(!total.fits(50));
        let waiting = total.until_fits(50);
        tokio::pin!(waiting);
        drop(second);
        assert!(futures::poll!(waiting.as_mut()).is_pending(), "30 bytes are not enough");
        drop(first);
        waiting.await;
    }
}
