//! Answers over HTTP.
//!
//! ```text
//! POST /v1/query          SQL text, or {"sql": .., "params": [..], "generation": n}; JSON, NDJSON, CSV or Arrow by Accept
//! GET  /v1/views[/{view}]  what there is and whether it can be answered
//! GET  /v1/status          every layer, in one document
//! GET  /healthz  /readyz  /metrics
//! ```

mod formats;
mod params;
mod query;
mod status;

pub(crate) use params::types as placeholder_types;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::error::QueryError;
use crate::serving::Serving;

/// A statement longer than this is no statement.
const MAX_STATEMENT_BYTES: usize = 1 << 20;

/// The routes of the serving layer.
pub fn router(serving: Arc<Serving>) -> Router {
    Router::new()
        .route("/v1/query", post(query::query).layer(DefaultBodyLimit::max(MAX_STATEMENT_BYTES)))
        .route("/v1/views", get(status::views))
        .route("/v1/views/{view}", get(status::view))
        .route("/v1/status", get(status::status))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .with_state(serving)
}

impl IntoResponse for QueryError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.reason.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, axum::Json(json!({ "error": error_json(&self) }))).into_response()
    }
}

fn error_json(error: &QueryError) -> Value {
    let mut json = json!({ "message": error.message, "code": error.reason.sqlstate() });
    if let Some(position) = error.position {
        json["line"] = position.line.into();
        json["column"] = position.column.into();
    }
    if let Some(hint) = &error.hint {
        json["hint"] = hint.as_str().into();
    }
    json
}
