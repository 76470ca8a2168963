//! Batch runs: on demand, their progress, and what they published.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dovetail_batch_layer::{Outcome, Progress};
use dovetail_core::catalog::{Run, RunKind};
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
            let Run { id, generation, rows, segments, .. } = run;
            let body =
                json!({"run": id, "generation": generation, "rows": rows, "segments": segments, "took_ms": took_ms});
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

/// A run's progress as clients see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProgressInfo {
    pub run_id: i64,
    pub phase: String,
    pub segments_done: usize,
    pub segments: usize,
    pub rows_done: u64,
    pub rows: u64,
    pub started_ms: i64,
}

pub(super) async fn progress(State(app): State<Arc<App>>) -> Result<axum::Json<ProgressInfo>, Failed> {
    let progress: Progress = app.engine.batch().map_err(unavailable)?.progress().borrow().clone();
    Ok(axum::Json(ProgressInfo {
        run_id: progress.run_id,
        phase: format!("{:?}", progress.phase).to_lowercase(),
        segments_done: progress.segments_done,
        segments: progress.segments,
        rows_done: progress.rows_done,
        rows: progress.rows_total,
        started_ms: progress.started_ms,
    }))
}

pub(super) async fn cancel(State(app): State<Arc<App>>) -> Result<Response, Failed> {
    let cancelled = app.engine.batch().map_err(unavailable)?.cancel();
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
