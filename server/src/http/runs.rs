//! Batch runs: on demand, their progress, and their results.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use dovetail_api::runs::{Cancelled, RecomputeRequest, Recomputed, Rollback, RunProgress};
use dovetail_batch_layer::{Outcome, leader};
use dovetail_core::catalog::{Run, RunKind, RunState};
use dovetail_core::clock;
use dovetail_core::name::Generation;
use dovetail_serving_layer::{Code, Failed};

use super::{App, codes, parsed, unavailable};
use crate::process::engine::Engine;

pub(super) async fn recompute(State(app): State<Arc<App>>, body: Bytes) -> Result<axum::Json<Recomputed>, Failed> {
    let request: RecomputeRequest = parsed(&body)?;
    let mut views = vec![];
    for name in &request.views {
        let known = app.engine.views.iter().find(|view| view.name.as_str() == name);
        let unknown = || Failed::new(Code::UnknownView, format!("no view `{name}` that is folded"));
        views.push(known.ok_or_else(unknown)?.name.clone());
    }
    let kind = if request.full { RunKind::Full } else { RunKind::Incremental };
    let views = (!views.is_empty()).then_some(views);
    let batch = app.engine.batch().map_err(unavailable)?.clone();
    let outcome = batch.recompute(kind, views).await.map_err(|error| codes::of_run(&error))?;
    Ok(axum::Json(match outcome {
        Outcome::NothingNew => Recomputed::default(),
        Outcome::Published(run) => {
            until_served(&app.engine).await;
            let took_ms = run.finished_ms.map(|finished| finished - run.started_ms);
            let Run { id, generation, rows, segments, error, .. } = *run;
            Recomputed {
                generation: generation.map(|generation| generation.0),
                run: Some(id),
                rows: Some(rows),
                segments: Some(segments),
                took_ms,
                failed: error,
            }
        }
    }))
}

/// Time for which an answer waits until the speed layer has reached the new cut; the generation is served later all the
/// same.
const SERVED_TIMEOUT: Duration = Duration::from_secs(5);
const SERVED_POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Waits until the current generation is served, so that the caller sees it in the next query.
pub(super) async fn until_served(engine: &Engine) {
    let Ok(serving) = engine.serving() else { return };
    let served = async {
        while let Ok(false) = serving.follow().await {
            clock::sleep(SERVED_POLL_INTERVAL).await;
        }
    };
    // Queries and the log report what keeps it from being served.
    let _ = tokio::time::timeout(SERVED_TIMEOUT, served).await;
}

pub(super) async fn progress(State(app): State<Arc<App>>) -> Result<axum::Json<RunProgress>, Failed> {
    progress_of(&app.engine).await
}

/// Progress of the run in the catalog; that of a run of this process is read directly.
pub(super) async fn progress_of(engine: &Engine) -> Result<axum::Json<RunProgress>, Failed> {
    let leader = leader(&engine.catalog).await.map_err(unavailable)?;
    let last = engine.catalog.runs(1).await.map_err(unavailable)?.pop();
    let Some(run) = last else {
        return Ok(axum::Json(RunProgress { phase: "idle".to_owned(), leader, ..RunProgress::default() }));
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
    Ok(axum::Json(info))
}

pub(super) async fn cancel(State(app): State<Arc<App>>) -> Result<axum::Json<Cancelled>, Failed> {
    cancel_of(&app.engine).await
}

/// Cancels the run in progress, whichever process runs it.
pub(super) async fn cancel_of(engine: &Engine) -> Result<axum::Json<Cancelled>, Failed> {
    let cancelled = match engine.batch() {
        Ok(batch) => batch.cancel().await.map_err(unavailable)?,
        Err(_) => engine.catalog.cancel_run().await.map_err(unavailable)?.is_some(),
    };
    Ok(axum::Json(Cancelled { cancelled }))
}

pub(super) async fn rollback(
    State(app): State<Arc<App>>,
    axum::Json(body): axum::Json<Rollback>,
) -> Result<axum::Json<Rollback>, Failed> {
    let row = app.engine.batch().map_err(unavailable)?.rollback(Generation(body.generation)).await;
    let row = row.map_err(|error| codes::of_rollback(&error))?;
    until_served(&app.engine).await;
    Ok(axum::Json(Rollback { generation: row.generation.0 }))
}
