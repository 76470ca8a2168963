//! The only source of time and chance. The time of day is a [`Clock`] that is passed as an argument; deadlines, pauses
//! and random numbers are the functions below.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rand::Rng;
use rand::distr::{Distribution, StandardUniform};
use tokio::time::{Instant, Sleep};

/// Wall-clock time in milliseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// The machine's clock, shifted: a host whose clock is wrong, for tests of several hosts.
    Wrong {
        /// Milliseconds by which it is ahead.
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

/// A moment of the monotonic clock, for deadlines and durations.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn now_monotonic() -> Instant {
    Instant::now()
}

/// Waits for `pause`.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn sleep(pause: Duration) -> Sleep {
    tokio::time::sleep(pause)
}

/// Waits until `at`.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn sleep_until(at: Instant) -> Sleep {
    tokio::time::sleep_until(at)
}

/// Blocks the thread, which must run no tasks, for `pause`.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn block_for(pause: Duration) {
    std::thread::sleep(pause);
}

/// A random number, uniform over its type.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    rand::random()
}

/// A random pause of `range`.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn random_pause(range: RangeInclusive<Duration>) -> Duration {
    rand::rng().random_range(range)
}
