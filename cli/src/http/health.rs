//! Whether a process without a serving layer lives, and whether it gets on with its work.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dovetail_core::catalog::MemberLayer;

use super::App;
use super::layers::of;

/// How long the log may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn router() -> Router<Arc<App>> {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(readyz)).route("/metrics", get(metrics))
}

/// 200 while nothing holds up this process, else 503 with the reasons.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut reasons = vec![];
    for layer in of(&app.engine) {
        if let Some(reason) = layer.reason {
            reasons.push(format!("{} layer, {} partition {}: {reason}", layer.layer, layer.stream, layer.partition));
        }
    }
    if app.engine.roles.has(MemberLayer::Ingest) {
        for stream in &app.engine.streams {
            match tokio::time::timeout(PATIENCE, app.engine.log.bounds(&stream.topic, 0)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => reasons.push(error.to_string()),
                Err(_) => reasons.push(format!("topic `{}`: the log does not answer", stream.topic)),
            }
        }
    }
    match reasons.is_empty() {
        true => (StatusCode::OK, "ready\n").into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response(),
    }
}

/// For Prometheus.
async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = app.engine.metrics.as_ref().map(|handle| handle.render()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
