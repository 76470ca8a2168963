//! Batch runs: on demand, their progress, and what they published.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dovetail_batch_layer::{Outcome, leader};
use dovetail_core::catalog::{Run, RunKind, RunState};
use dovetail_core::name::{Generation, ViewName};
use dovetail_serving_layer::{Code, Failed};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{App, codes, parsed, unavailable};
use crate::engine::Engine;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RecomputeBody {
    views: Vec<ViewName>,
    full: bool,
}

pub(super) async fn recompute(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Failed> {
    let body: RecomputeBody = parsed(&body)?;
    let known = |name: &ViewName| app.engine.views.iter().any(|view| view.name == *name);
    if let Some(unknown) = body.views.iter().find(|name| !known(name)) {
        return Err(Failed::new(Code::UnknownView, format!("no view `{unknown}` that is folded")));
    }
    let kind = if body.full { RunKind::Full } else { RunKind::Incremental };
    let views = (!body.views.is_empty()).then_some(body.views);
    let batch = app.engine.batch().map_err(unavailable)?.clone();
    let outcome = batch.recompute(kind, views).await.map_err(|error| codes::of_run(&error))?;
    Ok(match outcome {
        Outcome::NothingNew => axum::Json(json!({"generation": null})).into_response(),
        Outcome::Published(run) => {
            until_served(&app.engine).await;
            let took_ms = run.finished_ms.map(|finished| finished - run.started_ms);
            let Run { id, generation, rows, segments, error, .. } = *run;
            let mut body =
                json!({"run": id, "generation": generation, "rows": rows, "segments": segments, "took_ms": took_ms});
            if let Some(error) = error {
                body["failed"] = json!(error);
            }
            axum::Json(body).into_response()
        }
    })
}

/// How long an answer waits for the speed layer to reach the new cut; it is served later all the same.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(25);

/// Waits until the current generation is served, so that who made it current sees it in the next query.
pub(super) async fn until_served(engine: &Engine) {
    let Ok(serving) = engine.serving() else { return };
    let served = async {
        while let Ok(false) = serving.follow().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    // Whatever keeps it from being served is told by the queries and the log.
    let _ = tokio::time::timeout(SERVED_WITHIN, served).await;
}

/// A run's progress as clients see it, whichever process runs it: the run in progress, or the last one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProgressInfo {
    pub run_id: i64,
    pub phase: String,
    pub segments_done: u64,
    pub segments: u64,
    pub rows_done: u64,
    pub rows: u64,
    pub started_ms: i64,
    /// Who leads the batch layer, if somebody does.
    #[serde(default)]
    pub leader: Option<String>,
}

pub(super) async fn progress(State(app): State<Arc<App>>) -> Result<axum::Json<ProgressInfo>, Failed> {
    progress_of(&app.engine).await
}

/// As the catalog has it; a run of this very process is asked itself.
pub(super) async fn progress_of(engine: &Engine) -> Result<axum::Json<ProgressInfo>, Failed> {
    let leader = leader(&engine.catalog).await.map_err(unavailable)?;
    let last = engine.catalog.runs(1).await.map_err(unavailable)?.pop();
    let Some(run) = last else {
        return Ok(axum::Json(ProgressInfo { phase: "idle".to_owned(), leader, ..ProgressInfo::default() }));
    };
    let running = run.state == RunState::Running;
    let here = engine.batch().ok().map(|batch| batch.progress().borrow().clone());
    let info = match here.filter(|here| running && here.run_id == run.id) {
        Some(here) => ProgressInfo {
            run_id: run.id,
            phase: here.phase.as_str().to_owned(),
            segments_done: here.segments_done as u64,
            segments: here.segments as u64,
            rows_done: here.rows_done,
            rows: here.rows_total,
            started_ms: run.started_ms,
            leader,
        },
        None => ProgressInfo {
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

pub(super) async fn cancel(State(app): State<Arc<App>>) -> Result<Response, Failed> {
    cancel_of(&app.engine).await
}

/// Cancels the run in progress, whichever process runs it.
pub(super) async fn cancel_of(engine: &Engine) -> Result<Response, Failed> {
    let cancelled = match engine.batch() {
        Ok(batch) => batch.cancel().await.map_err(unavailable)?,
        Err(_) => engine.catalog.cancel_run().await.map_err(unavailable)?.is_some(),
    };
    Ok(axum::Json(json!({"cancelled": cancelled})).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackBody {
    generation: u64,
}

pub(super) async fn rollback(
    State(app): State<Arc<App>>,
    axum::Json(body): axum::Json<RollbackBody>,
) -> Result<Response, Failed> {
    let row = app.engine.batch().map_err(unavailable)?.rollback(Generation(body.generation)).await;
    let row = row.map_err(|error| codes::of_rollback(&error))?;
    until_served(&app.engine).await;
    Ok(axum::Json(json!({"generation": row.generation})).into_response())
}
