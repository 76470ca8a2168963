//! `POST /v1/query`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use dovetail_core::name::Generation;
use futures::{Stream, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;
use tracing::warn;

use super::failed::{Code, Failed};
use super::formats::{AnswerFormat, AnswerWriter};
use super::params;
use crate::error::{QueryError, Reason};
use crate::serving::Serving;
use crate::snapshot::AsOf;
use crate::sql::batches::Batches;
use crate::sql::settings::Settings;
use crate::sql::statement::{Does, check};

/// Bytes of an answer that are held back: an error before they are sent is answered as one, with its status.
const HELD: usize = 1 << 20;

/// Time in which a client has to send a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryRequest {
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
    /// Whether to answer also while partitions are missing, and to name them.
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    generation: Option<Generation>,
}

pub(super) async fn query(State(serving): State<Arc<Serving>>, headers: HeaderMap, request: Request) -> Response {
    let body = match timeout(STATEMENT_TIMEOUT, String::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return refused.into_response(),
        Err(_) => {
            let message = format!("the statement did not come within {STATEMENT_TIMEOUT:?}");
            return Failed::new(Code::TooSlow, message).into_response();
        }
    };
    match answer(&serving, &headers, &body).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(serving: &Serving, headers: &HeaderMap, body: &str) -> Result<Response, QueryError> {
    let format = AnswerFormat::accepted(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()))?;
    let ask = ask(headers, body)?;
    let statement = serving.dialect.parse_one(&ask.sql)?;
    if check(&statement)? == Does::Session {
        let message = "there are no sessions over HTTP: send a statement that reads";
        return Err(QueryError::new(Reason::Unsupported, message));
    }
    let bind = |plan: &LogicalPlan| -> Result<ParamValues, QueryError> { params::bind(plan, &ask.params) };
    let settings = Settings { partial: ask.partial, generation: ask.generation, ..Settings::default() };
    let mut answer = Box::pin(serving.start(&statement, &settings, Some(&bind), "http")).await?;
    let mut writer = AnswerWriter::new(format, &answer)?;
    let mut held = vec![];
    while held.len() < HELD {
        match answer.batches.next().await {
            Some(batch) => held.extend(writer.write(&batch?)?),
            None => {
                held.extend(writer.finish()?);
                return Ok(respond(format, &answer.as_of, Body::from(HeldAnswer::new(held).into_bytes())));
            }
        }
    }
    let held = HeldAnswer::new(held).into_bytes();
    let body = futures::stream::once(async { Ok(held) }).chain(rest(answer.batches, writer).map_ok(Bytes::from));
    Ok(respond(format, &answer.as_of, Body::from_stream(body)))
}

/// The held-back part of an answer; its bytes count until the client has read it or is gone.
struct HeldAnswer(Vec<u8>);

impl HeldAnswer {
    fn new(bytes: Vec<u8>) -> Self {
        metrics::gauge!("dovetail_answers_held_bytes").increment(bytes.capacity() as f64);
        Self(bytes)
    }

    fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for HeldAnswer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for HeldAnswer {
    fn drop(&mut self) {
        metrics::gauge!("dovetail_answers_held_bytes").decrement(self.0.capacity() as f64);
    }
}

fn ask(headers: &HeaderMap, body: &str) -> Result<QueryRequest, QueryError> {
    let declared = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !declared.starts_with("application/json") && !body.trim_start().starts_with('{') {
        return Ok(QueryRequest { sql: body.to_owned(), params: vec![], partial: false, generation: None });
    }
    serde_json::from_str(body).map_err(|error| {
        QueryError::new(Reason::Syntax, format!("the body is no question: {error}")).with_hint(
            "send SQL as text/plain, or {\"sql\": \"..\", \"params\": [..], \"generation\": 3} as application/json",
        )
    })
}

fn respond(format: AnswerFormat, views: &[AsOf], body: Body) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response.headers_mut().extend(as_of(views));
    response
}

/// The rest of an answer after the held-back part. An error becomes its end where the format can express it; else the
/// body is cut, so that no client takes it for complete.
fn rest(batches: Batches, writer: AnswerWriter) -> impl Stream<Item = Result<Vec<u8>, QueryError>> {
    futures::stream::unfold(Some((batches, writer)), |state| async move {
        let (mut batches, mut writer) = state?;
        let error = match batches.next().await {
            Some(Ok(batch)) => match writer.write(&batch) {
                Ok(bytes) => return Some((Ok(bytes), Some((batches, writer)))),
                Err(error) => error,
            },
            Some(Err(error)) => error,
            None => return Some((writer.finish(), None)),
        };
        warn!(%error, "a query failed after its first rows were sent");
        Some((writer.fail(&error).ok_or(error), None))
    })
}

/// The headers with the cut and head of the answer; with several views, by view.
fn as_of(views: &[AsOf]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(first) = views.first() else { return headers };
    let json = |get: fn(&AsOf) -> Option<Value>| match views {
        [one] => get(one).unwrap_or_default(),
        many => many
            .iter()
            .map(|view| (view.view.to_string(), get(view).unwrap_or_default()))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    };
    let cut = json(|view| serde_json::to_value(&view.cut).ok());
    let head = json(|view| serde_json::to_value(&view.head).ok());
    let mut all = vec![
        ("dovetail-generation", first.generation.to_string()),
        ("dovetail-cut", cut.to_string()),
        ("dovetail-head", head.to_string()),
    ];
    if views.iter().any(|view| !view.missing.is_empty()) {
        let missing = json(|view| serde_json::to_value(&view.missing).ok());
        all.push(("dovetail-missing-partitions", missing.to_string()));
    }
    if views.iter().any(|view| !view.errors.is_zero()) {
        let errors = json(|view| Some(view.errors.count.into()));
        all.push(("dovetail-errors", errors.to_string()));
    }
    for (name, value) in all {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}
