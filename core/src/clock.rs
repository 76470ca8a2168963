//! The only source of time: everything else takes a [`Clock`] as an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Wall-clock time in milliseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// The machine's clock, ahead by so many milliseconds: a host whose clock is wrong, for tests of several.
    Wrong {
        /// Milliseconds; negative when the clock is behind.
        ahead_ms: i64,
    },
    /// A clock that a test moves by hand.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A manual clock that stands at `now_ms`.
    pub fn manual(now_ms: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now_ms)))
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the door")]
            Self::System => chrono::Utc::now().timestamp_millis(),
            Self::Wrong { ahead_ms } => Self::System.now_ms().saturating_add(*ahead_ms),
            Self::Manual(now) => now.load(Ordering::Relaxed),
        }
    }

    /// Moves a manual clock forward; the others move by themselves.
    pub fn advance_ms(&self, by_ms: i64) {
        if let Self::Manual(now) = self {
            now.fetch_add(by_ms, Ordering::Relaxed);
        }
    }
}
