//! Publishing: the manifest is written create-only, then the catalog's pointer moves for all views at once.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dovetail_core::backoff::Backoff;
use dovetail_core::catalog::{CatalogError, PublishedGeneration, Run, RunEnd, RunState};
use dovetail_core::clock;
use dovetail_core::manifest::{Manifest, ViewStates};
use dovetail_core::name::{Generation, ViewName};
use dovetail_core::store::path;
use tracing::{info, warn};

use super::{Recompute, RunError};
use crate::recompute::state_files::Output;

/// Pauses between attempts while the catalog does not take a change of a run.
const CHANGE_RETRY_FIRST: Duration = Duration::from_millis(100);
const CHANGE_RETRY_MAX: Duration = Duration::from_secs(5);

impl Recompute {
    /// Writes the manifest, then makes the generation current.
    ///
    /// # On a crash
    /// Before the catalog's transaction the previous generation stays current. The run ends with its lease, and then
    /// upkeep deletes its states and its manifest, which the ledger has as staged. After it the generation is current,
    /// and all objects that its manifest names are live.
    pub(super) async fn publish(
        &self,
        run_id: i64,
        (views, failed): (BTreeMap<ViewName, ViewStates>, Option<String>),
        output: &Output<'_>,
        expected_previous: Generation,
    ) -> Result<Run, RunError> {
        let generation = output.generation;
        let now_ms = self.clock.now_ms();
        let engine = env!("CARGO_PKG_VERSION").to_owned();
        let manifest = Manifest { generation, run_id, created_ms: now_ms, engine, views };
        let unwritable = |source| RunError::Manifest { generation: generation.0, source };
        let text = manifest.to_json().map_err(unwritable)?;
        let path = path::manifest(generation);
        output.put(&path, Bytes::from(text.clone())).await?;
        let published_ms = self.clock.now_ms();
        let new = PublishedGeneration {
            generation,
            run_id,
            manifest_path: path.to_string(),
            manifest: text,
            published_ms,
            failed,
        };
        patiently(self.config.lease, || self.catalog.publish(&new, expected_previous)).await?;
        let run = self.catalog.run(run_id).await?;
        output.written.keep_only_unnamed(&manifest, path.as_ref());
        for (view, states) in &manifest.views {
            let (rows, groups) = (states.rows, states.groups);
            info!(%view, %generation, cut = %states.cut, rows, groups, "published batch view");
        }
        Ok(run)
    }

    /// Ends a run without publishing it. If it turns out to be published after all, returns it.
    pub(super) async fn end(&self, run_id: i64, end: &RunEnd) -> Result<Option<Run>, CatalogError> {
        match patiently(self.config.lease, || self.catalog.finish_run(run_id, end)).await {
            Err(CatalogError::RunEnded { state: RunState::Published, .. }) => Ok(Some(self.catalog.run(run_id).await?)),
            // Another process ended it first: that stands.
            Ok(()) | Err(CatalogError::RunEnded { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

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
