//! The rows of an answer as they come.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::error::QueryError;
use crate::sql::query_clock::QueryClock;
use crate::sql::query_work::{Item, Wanted};

/// The rows of an answer, with an error at the end when the query's time is over. Dropping it cancels the query.
pub struct Batches {
    pub(super) answered: mpsc::Receiver<Item>,
    pub(super) sleep: Pin<Box<Sleep>>,
    pub(super) clock: QueryClock,
    pub(super) has_ended: bool,
    pub(super) _wanted: Wanted,
    pub(super) _work: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("ended", &self.has_ended).finish_non_exhaustive()
    }
}

impl Stream for Batches {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        let this = &mut *self;
        if this.has_ended {
            return Poll::Ready(None);
        }
        let item = match this.answered.poll_recv(context) {
            Poll::Ready(item) => item,
            Poll::Pending => {
                std::task::ready!(this.sleep.as_mut().poll(context));
                Some(Err(this.clock.timeout()))
            }
        };
        let item = match item {
            // It ended where no error could be sent.
            None if !this.clock.is_counted.load(Ordering::SeqCst) => Some(Err(QueryError::panicked())),
            None if this.clock.is_late.load(Ordering::SeqCst) => Some(Err(this.clock.timeout())),
            item => item,
        };
        if let Some(Err(error)) = &item {
            this.clock.ended(Some(error.reason));
        }
        this.has_ended = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.clock.counted("cancelled");
    }
}
