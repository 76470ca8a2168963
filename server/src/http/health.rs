//! Health of a process without a serving layer: liveness, and readiness of its layer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dovetail_api::paths;
use dovetail_core::catalog::MemberLayer;
use dovetail_serving_layer::{Code, Failed};
use futures::future::join_all;

use super::App;
use super::layers::of;
use crate::process::engine::Engine;

/// Time for the log to answer.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route(paths::HEALTHZ, get(async || "ok\n"))
        .route(paths::READYZ, get(readyz))
        .route(paths::METRICS, get(metrics))
}

/// 200 while nothing stalls this process, else 503 with the reasons.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut reasons = vec![];
    for layer in of(&app.engine) {
        if let Some(reason) = layer.reason {
            reasons.push(format!("{} layer, {} partition {}: {reason}", layer.layer, layer.stream, layer.partition));
        }
    }
    if app.engine.roles.has(MemberLayer::Ingest) {
        // All at once: one time limit for any number of them.
        let asked = app.engine.streams.iter().map(|stream| no_answer(&app.engine, &stream.topic));
        reasons.extend(join_all(asked).await.into_iter().flatten());
    }
    match reasons.is_empty() {
        true => "ready\n".into_response(),
        false => Failed::new(Code::NotReady, reasons.join("; ")).into_response(),
    }
}

/// The reason why records cannot be appended to the topic.
async fn no_answer(engine: &Engine, topic: &str) -> Option<String> {
    match tokio::time::timeout(LOG_TIMEOUT, engine.log.bounds(topic, 0)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("topic `{topic}`: the log does not answer")),
    }
}

/// The metrics in Prometheus's format.
async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = app.engine.metrics.as_ref().map(|handle| handle.render()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
