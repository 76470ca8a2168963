//! The views, the status of each layer, and readiness.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::failed::{Code, Failed};
use crate::error::QueryError;
use crate::serving::Serving;
use crate::snapshot::Snapshot;
use crate::snapshot::cache::CacheKind;
use crate::sql::sys::{ViewState, partitions, views as view_states};

pub(super) async fn views(State(serving): State<Arc<Serving>>) -> Json<Value> {
    let snapshot = Arc::new(Snapshot::new(Arc::clone(&serving.layers)));
    let views: Vec<Value> = view_states(&snapshot).await.iter().map(view_json).collect();
    Json(json!({ "views": views }))
}

pub(super) async fn view(State(serving): State<Arc<Serving>>, Path(name): Path<String>) -> Response {
    let snapshot = Arc::new(Snapshot::new(Arc::clone(&serving.layers)));
    match view_states(&snapshot).await.iter().find(|view| view.name == name) {
        Some(view) => Json(view_json(view)).into_response(),
        None => {
            let known: Vec<&str> = serving.layers.views.iter().map(|view| view.name().as_str()).collect();
            let unknown = Failed::new(Code::UnknownView, format!("there is no view `{name}`"));
            unknown.with_hint(format!("there are: {}", known.join(", "))).into_response()
        }
    }
}

fn view_json(view: &ViewState) -> Value {
    let columns: Vec<Value> = view
        .columns
        .fields()
        .iter()
        .map(|field| json!({ "name": field.name(), "type": field.data_type().to_string() }))
        .collect();
    let mut out = json!({ "name": view.name, "state": view.state, "sql": view.sql, "columns": columns });
    if let Some(folded) = &view.folded {
        out["stream"] = json!(folded.stream);
        out["generation"] = json!(folded.generation);
        out["cut"] = json!(folded.cut);
        out["head"] = json!(folded.head);
        out["batch_groups"] = json!(folded.batch_groups);
        out["errors"] = json!(folded.errors);
        out["on_error"] = json!(folded.on_error);
        out["exactness"] = json!(folded.exactness);
        out["fingerprint"] = json!(folded.fingerprint);
    }
    if let Some(error) = &view.error {
        out["error"] = json!(error);
    }
    out
}

pub(super) async fn status(State(serving): State<Arc<Serving>>) -> Response {
    match status_json(&serving).await {
        Ok(status) => Json(status).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn status_json(serving: &Serving) -> Result<Value, QueryError> {
    let layers = &serving.layers;
    let snapshot = Arc::new(Snapshot::new(Arc::clone(layers)));
    let views = view_states(&snapshot).await;
    let partitions = partitions(&serving.tables).await?;
    let runs: Vec<Value> = layers.catalog.runs(5).await?.iter().map(run_json).collect();
    let current = layers.catalog.current().await?.map(|row| row.generation);
    let waiting = views.iter().any(|view| view.error.is_some());
    let stalled = partitions.iter().any(|partition| partition.error.is_some());
    let health = |bad: bool, word: &'static str| if bad { word } else { "ok" };
    let not_landing = partitions.iter().any(|partition| partition.landing_error.is_some());
    let last_failed = runs.first().is_some_and(|run| run["state"] == "failed");
    let cuts: serde_json::Map<String, Value> =
        views.iter().filter_map(|view| Some((view.name.clone(), json!(view.folded.as_ref()?.cut.as_ref()?)))).collect();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_ms": serving.tables.clock.now_ms() - serving.started_ms,
        "generation": snapshot.served.generation(),
        "current_generation": current,
        "cut": cuts,
        "layers": {
            "batch": match not_landing {
                true => "landing of a partition does not go on",
                false => health(last_failed, "last run failed"),
            },
            "speed": health(stalled, "a partition is not folded any further"),
            "serving": health(waiting, "a view cannot be answered"),
        },
        "views": views.iter().map(view_json).collect::<Vec<_>>(),
        "partitions": partitions,
        "lag_records": partitions.iter().filter_map(|p| p.lag_records).sum::<i64>(),
        "lag_ms": partitions.iter().filter_map(|p| p.lag_ms).max(),
        "runs": runs,
        "memory": {
            "queries_bytes": layers.memory.reserved(),
            "queries_limit_bytes": serving.config.total_memory,
            "state_cache_bytes": layers.cache.bytes(),
            "state_cache": {
                "states_bytes": layers.cache.bytes_of(CacheKind::States),
                "merged_bytes": layers.cache.bytes_of(CacheKind::Merged),
                "answers_bytes": layers.cache.bytes_of(CacheKind::Answers),
            },
            "state_cache_limit_bytes": serving.config.state_cache_bytes,
        },
    }))
}

fn run_json(run: &dovetail_core::catalog::Run) -> Value {
    json!({
        "id": run.id,
        "kind": run.kind.as_str(),
        "started_by": run.trigger.as_str(),
        "state": run.state.as_str(),
        "views": run.views,
        "started_ms": run.started_ms,
        "finished_ms": run.finished_ms,
        "rows": run.rows,
        "segments": run.segments,
        "generation": run.generation,
        "error": run.error,
    })
}

/// 200 once every view can be answered, else 503 with the reasons.
pub(super) async fn readyz(State(serving): State<Arc<Serving>>) -> Response {
    let snapshot = Arc::new(Snapshot::new(Arc::clone(&serving.layers)));
    let reasons: Vec<String> = view_states(&snapshot).await.into_iter().filter_map(|view| view.error).collect();
    match reasons.is_empty() {
        true => "ready\n".into_response(),
        false => Failed::new(Code::NotReady, reasons.join("; ")).into_response(),
    }
}

/// The metrics in Prometheus's format.
pub(super) async fn metrics(State(serving): State<Arc<Serving>>) -> Response {
    let layers = &serving.layers;
    metrics::gauge!("dovetail_query_memory_bytes").set(layers.memory.reserved() as f64);
    metrics::gauge!("dovetail_state_cache_bytes").set(layers.cache.bytes() as f64);
    let snapshot = Arc::new(Snapshot::new(Arc::clone(layers)));
    for view in view_states(&snapshot).await {
        if let Some(folded) = view.folded {
            // NaN when it cannot be answered, as below.
            let errors = folded.errors.map_or(f64::NAN, |errors| errors as f64);
            metrics::gauge!("dovetail_view_errors", "view" => view.name).set(errors);
        }
    }
    if let Ok(partitions) = partitions(&serving.tables).await {
        for partition in partitions {
            let labels = [("topic", partition.topic), ("partition", partition.partition.to_string())];
            // An unknown value is NaN: a gauge that stays at its last value would report that all is well.
            let records = partition.lag_records.map_or(f64::NAN, |records| records as f64);
            metrics::gauge!("dovetail_lag_records", &labels).set(records);
            let seconds = partition.lag_ms.map_or(f64::NAN, |ms| ms as f64 / 1e3);
            metrics::gauge!("dovetail_lag_seconds", &labels).set(seconds);
        }
    }
    let text = serving.metrics.as_ref().map(|handle| handle.render()).unwrap_or_default();
    ([(axum::http::header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
