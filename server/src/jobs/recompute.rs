//! Recompute: a batch run on request. The process that leads the batch layer runs it; its progress and its end stand in
//! the catalog, so that any process can ask for them.

use std::time::Duration;

use anyhow::Result;
use dovetail_api::runs::{Recomputed, RunProgress};
use dovetail_batch_layer::{BatchHandle, RunError, RunOutcome, leader};
use dovetail_core::catalog::{CatalogError, Run, RunKind, RunState};
use dovetail_core::clock;
use dovetail_core::name::ViewName;

use crate::process::engine::Engine;

/// Runs, and waits for the result and until it is served. `views` are all views where there are none.
pub(crate) async fn start(
    engine: &Engine,
    batch: &BatchHandle,
    kind: RunKind,
    views: Option<Vec<ViewName>>,
) -> Result<Recomputed, RunError> {
    let run = match batch.recompute(kind, views).await? {
        RunOutcome::NothingNew => return Ok(Recomputed::default()),
        RunOutcome::Published(run) => run,
    };
    until_served(engine).await;
    let took_ms = run.finished_ms.map(|finished| finished - run.started_ms);
    let Run { id, generation, rows, segments, error, .. } = *run;
    Ok(Recomputed {
        generation: generation.map(|generation| generation.0),
        run: Some(id),
        rows: Some(rows),
        segments: Some(segments),
        took_ms,
        failed: error,
    })
}

/// Time for which an answer waits until the speed layer has reached the new cut; the generation is served later all the
/// same.
const SERVED_TIMEOUT: Duration = Duration::from_secs(5);
const SERVED_POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Waits until the current generation is served, so that the caller sees it in the next query.
pub(crate) async fn until_served(engine: &Engine) {
    let Ok(serving) = engine.serving() else { return };
    let served = async {
        while let Ok(false) = serving.follow().await {
            clock::sleep(SERVED_POLL_INTERVAL).await;
        }
    };
    // Queries and the log report what keeps it from being served.
    let _ = tokio::time::timeout(SERVED_TIMEOUT, served).await;
}

/// Progress of the run in the catalog; that of a run of this process is read directly.
pub(crate) async fn progress(engine: &Engine) -> Result<RunProgress> {
    let leader = leader(&engine.catalog).await?;
    let last = engine.catalog.runs(1).await?.pop();
    let Some(run) = last else {
        return Ok(RunProgress { phase: "idle".to_owned(), leader, ..RunProgress::default() });
    };
    let running = run.state == RunState::Running;
    let here = engine.batch().ok().map(|batch| batch.progress().borrow().clone());
    let info = match here.filter(|here| running && here.run_id == run.id) {
        Some(here) => RunProgress {
            run_id: run.id,
            phase: here.phase.as_str().to_owned(),
            segments_done: here.segments_done as u64,
            segments: here.segments as u64,
            rows_done: here.rows_done,
            rows: here.rows_total,
            started_ms: run.started_ms,
            leader,
        },
        None => RunProgress {
            run_id: run.id,
            phase: match running {
                true if run.phase.is_empty() => "starting".to_owned(),
                true => run.phase,
                false => "ended".to_owned(),
            },
            segments_done: run.segments,
            segments: run.segment_total,
            rows_done: run.rows,
            rows: run.row_total,
            started_ms: run.started_ms,
            leader,
        },
    };
    Ok(info)
}

/// Cancels the run in progress, whichever process runs it.
pub(crate) async fn cancel(engine: &Engine) -> Result<bool, CatalogError> {
    match engine.batch() {
        Ok(batch) => batch.cancel().await,
        Err(_) => Ok(engine.catalog.cancel_run().await?.is_some()),
    }
}
