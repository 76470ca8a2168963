//! What a serving process is asked and another layer does: it is sent on to one that lives.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use dovetail_core::catalog::MemberLayer;

use super::append::UNKNOWN;
use super::runs::until_served;
use super::{Failed, unavailable};
use crate::engine::Engine;

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
        .route("/v1/recompute", any(batch))
        .route("/v1/rollback", post(batch))
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

impl Forward {
    /// Sends the request to the member that joined last; one that does not answer is told as it is, because what it
    /// has done is not known.
    async fn send(&self, layer: MemberLayer, request: Request) -> Result<Response, Failed> {
        let members = self.engine.catalog.members(layer, self.engine.clock.now_ms()).await.map_err(unavailable)?;
        let Some(member) = members.into_iter().max_by_key(|member| member.joined_ms) else {
            let message = format!("no process of the {layer} layer is alive: start one with `dovetail {layer}`");
            return Err(Failed(StatusCode::SERVICE_UNAVAILABLE, message));
        };
        let address = address(&member.address, request.uri())?;
        let repeatable = is_repeatable(request.method(), request.uri());
        let (parts, body) = request.into_parts();
        let mut sent = self.http.request(parts.method, address);
        if !body.is_end_stream() {
            // It goes on as it comes in: who takes it bounds it.
            sent = sent.body(reqwest::Body::wrap_stream(body.into_data_stream()));
        }
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::ACCEPT] {
            if let Some(value) = parts.headers.get(&name) {
                sent = sent.header(name, value.clone());
            }
        }
        let answer = sent.send().await.map_err(|error| match repeatable || error.is_connect() {
            true => unavailable(error),
            false => {
                let error = anyhow::Error::from(error);
                let unknown = match layer {
                    MemberLayer::Ingest => UNKNOWN,
                    _ => "whether it did what it was asked is not known: see before you ask again",
                };
                Failed(StatusCode::BAD_GATEWAY, format!("the {layer} layer did not answer: {error:#}; {unknown}"))
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

/// The same path and query, as they are encoded, at another process.
fn address(member: &str, uri: &Uri) -> Result<reqwest::Url, Failed> {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let address = reqwest::Url::parse(&format!("{member}{path}")).map_err(unavailable)?;
    // `.` and `..` would lead elsewhere.
    if address.path().matches('/').count() != uri.path().matches('/').count() {
        return Err(Failed(StatusCode::NOT_FOUND, format!("there is nothing at `{}`", uri.path())));
    }
    Ok(address)
}

/// Whether a request may be sent again whatever became of it.
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
