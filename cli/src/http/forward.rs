//! What a serving process is asked and another layer does: it is sent on to one that lives.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use dovetail_core::catalog::MemberLayer;
use dovetail_serving_layer::{Code, Failed};

use super::runs::until_served;
use super::unavailable;
use crate::config::{Config, bytes};
use crate::engine::Engine;

#[derive(Debug, Clone)]
struct Forward {
    engine: Arc<Engine>,
    http: reqwest::Client,
    longest: usize,
}

/// Routes of the ingesting and the batch layer.
pub(super) fn router(engine: &Arc<Engine>, config: &Config) -> Result<Router> {
    let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(3)).build()?;
    let longest = bytes(config.ingest.request);
    let forward = Forward { engine: Arc::clone(engine), http, longest };
    Ok(Router::new()
        .route("/v1/streams/{*rest}", any(ingest))
        .route("/v1/recompute", any(batch))
        .route("/v1/rollback", post(batch))
        .layer(DefaultBodyLimit::disable())
        .with_state(forward))
}

async fn ingest(State(forward): State<Forward>, request: Request) -> Result<Response, Failed> {
    forward.send(MemberLayer::Ingest, request).await
}

async fn batch(State(forward): State<Forward>, request: Request) -> Result<Response, Failed> {
    let changes = request.method() == axum::http::Method::POST;
    let answer = forward.send(MemberLayer::Batch, request).await?;
    if changes && answer.status().is_success() {
        until_served(&forward.engine).await;
    }
    Ok(answer)
}

impl Forward {
    /// Sends the request to the member that joined last; one that does not answer is told as it is, because what it
    /// has done is not known.
    async fn send(&self, layer: MemberLayer, request: Request) -> Result<Response, Failed> {
        let members = self.engine.catalog.members(layer, self.engine.clock.now_ms()).await.map_err(unavailable)?;
        let Some(member) = members.into_iter().max_by_key(|member| member.joined_ms) else {
            let message = format!("no process of the {layer} layer is alive: start one with `dovetail {layer}`");
            return Err(Failed::new(Code::Unavailable, message));
        };
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, self.longest).await;
        let body = body.map_err(|e| Failed::new(Code::TooLarge, e.to_string()))?;
        let mut sent = self.http.request(parts.method, format!("{}{path}", member.address)).body(body);
        for name in [axum::http::header::CONTENT_TYPE, axum::http::header::ACCEPT] {
            if let Some(value) = parts.headers.get(&name) {
                sent = sent.header(name, value.clone());
            }
        }
        let answer = sent.send().await.map_err(unavailable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = (status, Body::from_stream(answer.bytes_stream())).into_response();
        for name in [axum::http::header::CONTENT_TYPE, axum::http::header::RETRY_AFTER] {
            if let Some(value) = headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }
}
