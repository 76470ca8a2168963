//! The time of a query, and its outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dovetail_core::clock;
use tokio::time::Instant;

use crate::error::{QueryError, Reason};

/// One query's time. It runs until the answer's last row is taken, also while the server waits for the client.
#[derive(Debug, Clone)]
pub(super) struct QueryClock {
    began: Instant,
    pub(super) deadline: Instant,
    pub(super) limit: Duration,
    /// The setting with the limit.
    setting: &'static str,
    interface: &'static str,
    /// How it ended is counted once.
    pub(super) is_counted: Arc<AtomicBool>,
    /// Whether its time was over before its last row was passed on.
    pub(super) is_late: Arc<AtomicBool>,
}

impl QueryClock {
    pub(super) fn new((limit, setting): (Duration, &'static str), interface: &'static str) -> Self {
        let began = clock::now_monotonic();
        Self {
            began,
            deadline: began + limit,
            limit,
            setting,
            interface,
            is_counted: Arc::default(),
            is_late: Arc::default(),
        }
    }

    pub(super) fn timeout(&self) -> QueryError {
        QueryError::timeout(self.limit, self.setting)
    }

    /// Replaces an error that follows from the end of the time by the timeout itself.
    pub(super) fn explain(&self, error: QueryError) -> QueryError {
        if error.reason == Reason::Timeout { self.timeout() } else { error }
    }

    pub(super) fn ended(&self, reason: Option<Reason>) {
        self.counted(match reason {
            None => "answered",
            Some(Reason::Timeout) => "timeout",
            Some(Reason::Memory) => "memory",
            Some(Reason::ReadOnly) => "refused",
            Some(Reason::TooMany) => "too_many",
            Some(Reason::NotReady) => "not_ready",
            Some(Reason::Storage | Reason::Internal) => "failed",
            Some(_) => "wrong",
        });
    }

    pub(super) fn counted(&self, outcome: &'static str) {
        if self.is_counted.swap(true, Ordering::SeqCst) {
            return;
        }
        metrics::counter!("dovetail_queries_total", "outcome" => outcome, "interface" => self.interface).increment(1);
        let seconds = self.began.elapsed().as_secs_f64();
        metrics::histogram!("dovetail_query_seconds", "interface" => self.interface).record(seconds);
    }
}
