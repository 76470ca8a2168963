//! Batch runs: on demand, their progress, and their results.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use dovetail_api::runs::{Cancelled, RecomputeRequest, Recomputed, Rollback, RunProgress};
use dovetail_core::catalog::RunKind;
use dovetail_core::name::Generation;
use dovetail_serving_layer::{Code, Failed};

use super::{App, codes, parsed, unavailable};
use crate::jobs::recompute::{self, until_served};
use crate::process::engine::Engine;

pub(super) async fn start(State(app): State<Arc<App>>, body: Bytes) -> Result<axum::Json<Recomputed>, Failed> {
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
    let recomputed = recompute::start(&app.engine, &batch, kind, views).await;
    recomputed.map(axum::Json).map_err(|error| codes::of_run(&error))
}

pub(super) async fn progress(State(app): State<Arc<App>>) -> Result<axum::Json<RunProgress>, Failed> {
    progress_of(&app.engine).await
}

pub(super) async fn progress_of(engine: &Engine) -> Result<axum::Json<RunProgress>, Failed> {
    recompute::progress(engine).await.map(axum::Json).map_err(unavailable)
}

pub(super) async fn cancel(State(app): State<Arc<App>>) -> Result<axum::Json<Cancelled>, Failed> {
    cancel_of(&app.engine).await
}

pub(super) async fn cancel_of(engine: &Engine) -> Result<axum::Json<Cancelled>, Failed> {
    let cancelled = recompute::cancel(engine).await.map_err(unavailable)?;
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
