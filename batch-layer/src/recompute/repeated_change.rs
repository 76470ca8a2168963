//! Changes of the catalog that are repeated while the catalog is away.

use std::time::Duration;

use dovetail_core::backoff::Backoff;
use dovetail_core::catalog::CatalogError;
use dovetail_core::clock;
use tracing::warn;

/// Pauses while the catalog does not take a change of a run.
const CHANGE_RETRY_FIRST: Duration = Duration::from_millis(100);
const CHANGE_RETRY_MAX: Duration = Duration::from_secs(5);

/// Repeats a change of the catalog while it may still go through, for up to `patience`.
pub(super) async fn patiently<T, F>(patience: Duration, change: impl Fn() -> F) -> Result<T, CatalogError>
where
    F: Future<Output = Result<T, CatalogError>>,
{
    let give_up = clock::now_monotonic() + patience;
    let mut backoff = Backoff::new(CHANGE_RETRY_FIRST, CHANGE_RETRY_MAX);
    loop {
        match change().await {
            Err(error) if is_outage(&error) && clock::now_monotonic() < give_up => {
                warn!(%error, "the catalog does not take a change, trying again");
                clock::sleep(backoff.next_pause()).await;
            }
            result => return result,
        }
    }
}

/// Whether the change may succeed later, or may have succeeded without an answer.
fn is_outage(error: &CatalogError) -> bool {
    error.is_transient() || matches!(error, CatalogError::Store { .. })
}
