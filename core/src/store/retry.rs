//! Retries of the object store: a time limit for each attempt, and a number of attempts.

use std::time::Duration;

use object_store::path::Path;
use tokio::time::timeout;
use tracing::warn;

use super::StoreError;
use super::error::is_worth_retrying;
use crate::backoff::Backoff;
use crate::clock;

/// Time limits and number of attempts of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSettings {
    /// Time limit of one attempt.
    pub timeout: Duration,
    /// Number of attempts, at least 1.
    pub attempts: u32,
    /// Pause after the first failed attempt; it doubles from one to the next.
    pub first_pause: Duration,
    /// Upper limit of the pause.
    pub longest_pause: Duration,
}

impl StoreSettings {
    /// Settings for a disk of this machine and for stores in the same region.
    pub const USUAL: Self = Self {
        timeout: Duration::from_secs(30),
        attempts: 4,
        first_pause: Duration::from_millis(100),
        longest_pause: Duration::from_secs(5),
    };

    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.first_pause, self.longest_pause)
    }
}

/// Runs `operation` until it succeeds, fails with an error that a retry does not mend, or has had all its attempts. An
/// attempt that timed out may still take effect later: operations must tolerate repetition.
pub(super) async fn attempt<T, F>(
    settings: &StoreSettings,
    doing: &'static str,
    path: &Path,
    operation: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = object_store::Result<T>>,
{
    let (mut attempt, mut backoff) = (1, settings.backoff());
    loop {
        let last = attempt >= settings.attempts;
        match timeout(settings.timeout, operation()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) if last || !is_worth_retrying(&error) => {
                return Err(StoreError::from_store(doing, path, attempt, error));
            }
            Ok(Err(error)) => warn!(%path, doing, attempt, %error, "object store failed, trying again"),
            Err(_) if last => return Err(timed_out(settings, doing, path, attempt)),
            Err(_) => warn!(%path, doing, attempt, limit = ?settings.timeout, "object store is slow, trying again"),
        }
        clock::sleep(backoff.next_pause()).await;
        attempt += 1;
    }
}

fn timed_out(settings: &StoreSettings, doing: &'static str, path: &Path, attempts: u32) -> StoreError {
    StoreError::TimedOut { doing, path: path.to_string(), attempts, limit: settings.timeout }
}
