//! Answers over HTTP.
//!
//! ```text
//! POST /v1/query          SQL text, or {"sql": .., "params": [..], "generation": n}; JSON, NDJSON, CSV or Arrow by Accept
//! GET  /v1/views[/{view}]  the views and whether they can be answered
//! GET  /v1/status          every layer, in one document
//! GET  /healthz  /readyz  /metrics
//! ```

mod failed;
mod formats;
mod params;
mod query;
mod shape;
mod status;

pub use failed::{Code, Failed};
pub use formats::nested_as_json;
pub use shape::errors_in_shape;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::serving::Serving;

/// Greatest size of a statement, in bytes.
const MAX_STATEMENT_BYTES: usize = 1 << 20;

/// The routes of the serving layer.
pub fn router(serving: Arc<Serving>) -> Router {
    let router = Router::new()
        .route("/v1/query", post(query::query).layer(DefaultBodyLimit::max(MAX_STATEMENT_BYTES)))
        .route("/v1/views", get(status::views))
        .route("/v1/views/{view}", get(status::view))
        .route("/v1/status", get(status::status))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .with_state(serving);
    errors_in_shape(router)
}
