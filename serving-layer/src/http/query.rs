//! `POST /v1/query`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use super::formats::{Format, Writer};
use super::params;
use crate::error::{QueryError, Reason};
use crate::query::Answer;
use crate::serving::Serving;
use crate::session::Settings;
use crate::snapshot::AsOf;
use crate::sql::{Does, check};

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
    /// Answer also while partitions are missing, and say which.
    #[serde(default)]
    partial: bool,
}

pub(super) async fn query(State(serving): State<Arc<Serving>>, headers: HeaderMap, body: String) -> Response {
    match answer(&serving, &headers, &body).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(serving: &Serving, headers: &HeaderMap, body: &str) -> Result<Response, QueryError> {
    let format = Format::accepted(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()))?;
    let ask = ask(headers, body)?;
    let statement = serving.dialect.parse_one(&ask.sql)?;
    if check(&statement)? == Does::Session {
        let message = "there are no sessions over HTTP: send a statement that reads";
        return Err(QueryError::new(Reason::Unsupported, message));
    }
    let bind = |plan: &LogicalPlan| -> Result<ParamValues, QueryError> { params::bind(plan, &ask.params) };
    let settings = Settings { partial: ask.partial, ..Settings::default() };
    let mut answer = Box::pin(serving.start(&statement, &settings, Some(&bind), "http")).await?;
    // The first rows decide about the status; an error after them cuts the body short.
    let mut writer = Writer::new(format, &answer)?;
    let first = match answer.batches.next().await {
        Some(batch) => writer.write(&batch?)?,
        None => vec![],
    };
    Ok(respond(format, answer, writer, first))
}

fn ask(headers: &HeaderMap, body: &str) -> Result<Ask, QueryError> {
    let declared = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !declared.starts_with("application/json") && !body.trim_start().starts_with('{') {
        return Ok(Ask { sql: body.to_owned(), params: vec![], partial: false });
    }
    serde_json::from_str(body).map_err(|error| {
        QueryError::new(Reason::Syntax, format!("the body is no question: {error}"))
            .with_hint("send SQL as text/plain, or {\"sql\": \"..\", \"params\": [..]} as application/json")
    })
}

/// Streams what follows the first rows.
fn respond(format: Format, answer: Answer, writer: Writer, first: Vec<u8>) -> Response {
    let headers = as_of(&answer.as_of);
    let rest = futures::stream::unfold(Some((answer.batches, writer)), |state| async move {
        let (mut batches, mut writer) = state?;
        match batches.next().await {
            Some(Ok(batch)) => match writer.write(&batch) {
                Ok(bytes) => Some((Ok(bytes), Some((batches, writer)))),
                Err(error) => Some((Err(error), None)),
            },
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((writer.finish(), None)),
        }
    });
    let body = futures::stream::once(async { Ok(first) }).chain(rest);
    let mut response = (StatusCode::OK, Body::from_stream(body)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response.headers_mut().extend(headers);
    response
}

/// What the answer is as of; with several views, the cut and head are by view.
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
    for (name, value) in all {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}
