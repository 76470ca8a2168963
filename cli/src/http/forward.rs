//! What a serving process is asked and another layer does: it is sent on to one that lives.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use dovetail_core::catalog::Member;
use dovetail_core::catalog::MemberLayer;
use dovetail_serving_layer::{Code, Failed};

use super::runs::{self, ProgressInfo, until_served};
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
        .route("/v1/recompute", post(batch).get(progress).delete(cancel))
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

async fn progress(State(forward): State<Forward>) -> Result<Json<ProgressInfo>, Failed> {
    runs::progress_of(&forward.engine).await
}

async fn cancel(State(forward): State<Forward>) -> Result<Response, Failed> {
    runs::cancel_of(&forward.engine).await
}

impl Forward {
    /// Sends the request to the member that joined last, and where it cannot be reached to the one before. One that
    /// does not answer is told as it is, because what it has done is not known.
    async fn send(&self, layer: MemberLayer, request: Request) -> Result<Response, Failed> {
        let mut members = self.engine.catalog.members(layer).await.map_err(unavailable)?;
        members.sort_by_key(|member| std::cmp::Reverse(member.joined_ms));
        if members.is_empty() {
            let message = format!("no process of the {layer} layer is alive: start one with `dovetail {layer}`");
            return Err(Failed::new(Code::Unavailable, message));
        }
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, self.longest).await;
        let body = body.map_err(|e| Failed::new(Code::TooLarge, e.to_string()))?;
        let send = |member: &Member| {
            let url = format!("{}{path}", member.address);
            let mut sent = self.http.request(parts.method.clone(), url).body(body.clone());
            for name in [axum::http::header::CONTENT_TYPE, axum::http::header::ACCEPT] {
                if let Some(value) = parts.headers.get(&name) {
                    sent = sent.header(name, value.clone());
                }
            }
            sent.send()
        };
        let mut answer = None;
        for member in &members {
            let sent = send(member).await;
            // It may have died since: nothing of the request has come to it.
            let next = matches!(&sent, Err(error) if error.is_connect());
            answer = Some(sent);
            if !next {
                break;
            }
        }
        let answer = answer.transpose().map_err(unavailable)?;
        let answer =
            answer.ok_or_else(|| Failed::new(Code::Unavailable, format!("no process of the {layer} layer is alive")))?;
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
