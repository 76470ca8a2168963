//! Appending records, and how far a source has come.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use dovetail_ingestion::append::{From, MOST_PER_REQUEST, Position};
use dovetail_ingestion::log::LogError;
use dovetail_serving_layer::{Code, Failed};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{App, kib};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppendFrom {
    source: Option<String>,
    first: Option<u64>,
}

pub(super) async fn append(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(from): Query<AppendFrom>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failed> {
    let appender = app.appender(&name)?;
    let Ok(_permit) = app.in_flight.try_acquire_many(kib(body.len()).max(1)) else {
        metrics::counter!("dovetail_append_rejected_total").increment(1);
        return Err(Failed::new(Code::TooBusy, "too much is being appended at once; come back"));
    };
    let json = headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    let array: Vec<&RawValue>;
    let values: Vec<&[u8]> = if json && body.trim_ascii_start().starts_with(b"[") {
        array = serde_json::from_slice(&body)
            .map_err(|e| Failed::new(Code::BadRequest, format!("the body is no JSON array: {e}")))?;
        array.iter().map(|value| value.get().as_bytes()).collect()
    } else {
        let lines = body.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.filter(|line| !line.trim_ascii().is_empty()).collect()
    };
    let from = from.source.map(|source| From { source, first: from.first.unwrap_or(0) });
    if from.is_some() && values.len() as u64 > MOST_PER_REQUEST {
        let message = format!("{} records in one request of a source; {MOST_PER_REQUEST} at most", values.len());
        return Err(Failed::new(Code::TooLarge, message));
    }
    let appended = appender.append(&values, from.as_ref()).await.map_err(not_appended)?;
    Ok(axum::Json(json!({"received": values.len(), "appended": appended})).into_response())
}

fn not_appended(error: LogError) -> Failed {
    let code = match &error {
        LogError::SourceOverlap { .. } => Code::SourceOverlap,
        LogError::NameTooLong { .. } | LogError::SourceForgotten { .. } => Code::BadRequest,
        LogError::RecordTooLarge { .. } => Code::TooLarge,
        _ => Code::Unavailable,
    };
    Failed::new(code, format!("{:#}", anyhow::Error::from(error)))
}

pub(super) async fn source(
    State(app): State<Arc<App>>,
    Path((name, source)): Path<(String, String)>,
) -> Result<Response, Failed> {
    let Position { resume, seen } = app.appender(&name)?.position(&source).await.map_err(not_appended)?;
    Ok(axum::Json(json!({"next": resume, "seen": seen})).into_response())
}
