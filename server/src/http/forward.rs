//! Forwards requests of other layers to a live process of that layer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use dovetail_api::paths;
use dovetail_api::runs::{Cancelled, RunProgress};
use dovetail_core::catalog::MemberLayer;
use dovetail_serving_layer::{Code, Failed};

use super::append::UNKNOWN;
use super::{runs, unavailable};
use crate::jobs::recompute::until_served;
use crate::process::engine::Engine;

#[derive(Debug, Clone)]
struct Forward {
    engine: Arc<Engine>,
    http: reqwest::Client,
}

/// Routes of the ingesting and the batch layer.
pub(super) fn router(engine: &Arc<Engine>) -> Result<Router> {
    let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(3)).build()?;
    let forward = Forward { engine: Arc::clone(engine), http };
    Ok(Router::new()
        .route("/v1/streams/{*rest}", any(ingest))
        .route(paths::RECOMPUTE, post(batch).get(progress).delete(cancel))
        .route(paths::ROLLBACK, post(batch))
        .layer(DefaultBodyLimit::disable())
        .with_state(forward))
}

async fn ingest(State(forward): State<Forward>, request: Request) -> Result<Response, Failed> {
    forward.send(MemberLayer::Ingest, request).await
}

async fn batch(State(forward): State<Forward>, request: Request) -> Result<Response, Failed> {
    let changes = request.method() == Method::POST;
    let answer = forward.send(MemberLayer::Batch, request).await?;
    if changes && answer.status().is_success() {
        until_served(&forward.engine).await;
    }
    Ok(answer)
}

async fn progress(State(forward): State<Forward>) -> Result<Json<RunProgress>, Failed> {
    runs::progress_of(&forward.engine).await
}

async fn cancel(State(forward): State<Forward>) -> Result<Json<Cancelled>, Failed> {
    runs::cancel_of(&forward.engine).await
}

impl Forward {
    /// Sends the request to the member that joined last, and if it cannot be reached to the one before. A member that
    /// does not answer is reported as an error, because the outcome is not known.
    async fn send(&self, layer: MemberLayer, request: Request) -> Result<Response, Failed> {
        let mut members = self.engine.catalog.members(layer).await.map_err(unavailable)?;
        members.sort_by_key(|member| std::cmp::Reverse(member.joined_ms));
        if members.is_empty() {
            let message = format!("no process of the {layer} layer is alive: start one with `dovetail {layer}`");
            return Err(Failed::new(Code::Unavailable, message));
        }
        let repeatable = is_repeatable(request.method(), request.uri());
        let (parts, body) = request.into_parts();
        let mut body = Outgoing::of(layer, body).await?;
        let mut answer = None;
        for member in &members {
            let mut sent = self.http.request(parts.method.clone(), address(&member.address, &parts.uri)?);
            for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::ACCEPT] {
                if let Some(value) = parts.headers.get(&name) {
                    sent = sent.header(name, value.clone());
                }
            }
            let Some(body) = body.take() else { break };
            let sent = sent.body(body).send().await;
            // The member may have died since: it has received nothing of the request.
            let next = matches!(&sent, Err(error) if error.is_connect());
            answer = Some(sent);
            if !next {
                break;
            }
        }
        let answer = answer
            .ok_or_else(|| Failed::new(Code::Unavailable, format!("no process of the {layer} layer is alive")))?;
        let answer = answer.map_err(|error| match repeatable || error.is_connect() {
            true => unavailable(error),
            false => {
                let error = anyhow::Error::from(error);
                let unknown = match layer {
                    MemberLayer::Ingest => UNKNOWN,
                    _ => "whether it did what it was asked is not known: see before you ask again",
                };
                let message = format!("the {layer} layer did not answer: {error:#}; {unknown}");
                Failed::of(StatusCode::BAD_GATEWAY, message)
            }
        })?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = (status, Body::from_stream(answer.bytes_stream())).into_response();
        for name in [header::CONTENT_TYPE, header::RETRY_AFTER] {
            if let Some(value) = headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }
}

/// Greatest body of a request to the batch layer, which is a short JSON document, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The body of a forwarded request.
enum Outgoing {
    /// A short body: it can be sent to another member when one is not reached.
    Short(Bytes),
    /// Records that are being received: they are passed on once, and their receiver limits them.
    Once(Option<Body>),
}

impl Outgoing {
    async fn of(layer: MemberLayer, body: Body) -> Result<Self, Failed> {
        if layer == MemberLayer::Ingest && !body.is_end_stream() {
            return Ok(Self::Once(Some(body)));
        }
        let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
        body.map(Self::Short).map_err(|error| Failed::new(Code::TooLarge, format!("the body: {error}")))
    }

    fn take(&mut self) -> Option<reqwest::Body> {
        match self {
            Self::Short(bytes) => Some(bytes.clone().into()),
            Self::Once(body) => body.take().map(|body| reqwest::Body::wrap_stream(body.into_data_stream())),
        }
    }
}

/// The URL of the same path and query, as encoded, at another process.
fn address(member: &str, uri: &Uri) -> Result<reqwest::Url, Failed> {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let address = reqwest::Url::parse(&format!("{member}{path}")).map_err(unavailable)?;
    // `.` and `..` would lead elsewhere.
    if address.path().matches('/').count() != uri.path().matches('/').count() {
        return Err(Failed::new(Code::UnknownRoute, format!("there is nothing at `{}`", uri.path())));
    }
    Ok(address)
}

/// Whether a request may be sent again in any case.
fn is_repeatable(method: &Method, uri: &Uri) -> bool {
    let numbered = uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("source=")));
    *method == Method::GET || (numbered && uri.path().ends_with("/records"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        let uri: Uri = path.parse().unwrap();
        let address = address("http://127.0.0.1:8312", &uri).map(|url| url.to_string()).ok();
        assert_eq!(address, expected.map(|path| format!("http://127.0.0.1:8312{path}")), "{path}");
    }

    #[test]
    fn a_path_stays_as_it_is_encoded() {
        let path = "/v1/streams/a%20b%2Fc/sources?source=a%26b%231%2B%25.csv&x=%F0%9F%A6%80";
        check(path, Some(path));
        check("/v1/streams/x/../../recompute", None);
        check("/v1/streams/%2e%2e/records", None);
        check("/v1/streams/x/records", Some("/v1/streams/x/records"));
    }

    #[test]
    fn numbered_records_may_be_sent_again() {
        let check = |method, path: &str| is_repeatable(&method, &path.parse().unwrap());
        assert!(check(Method::POST, "/v1/streams/s/records?first=0&source=x"));
        assert!(check(Method::GET, "/v1/streams/s"));
        assert!(!check(Method::POST, "/v1/streams/s/records"));
        assert!(!check(Method::POST, "/v1/recompute?source=x"));
    }
}
