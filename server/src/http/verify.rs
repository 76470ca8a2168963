//! Verification, and its progress.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use dovetail_api::verify::{Verdict, VerifyProgress, VerifyRequest};
use dovetail_serving_layer::{Code, Failed, QueryError};
use futures::stream;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{App, parsed, unavailable};
use crate::jobs::verify::{self as job, ServedView, digests, served_views};

pub(super) async fn verify(State(app): State<Arc<App>>, body: Bytes) -> Result<axum::Json<Vec<Verdict>>, Failed> {
    let body: VerifyRequest = parsed(&body)?;
    let all = served_views(&app.engine).await.map_err(unavailable)?;
    if let Some(unknown) = body.views.iter().find(|name| !all.iter().any(|view| view.is_called(name))) {
        return Err(Failed::new(Code::UnknownView, format!("no view `{unknown}` that is folded")));
    }
    let wanted = |view: &ServedView| {
        (body.views.is_empty() && !view.is_beside()) || body.views.iter().any(|name| view.is_called(name))
    };
    let views: Vec<ServedView> = all.into_iter().filter(wanted).collect();
    let verdicts = job::start(&app.engine, &views, &app.verifying).await;
    verdicts.map(axum::Json).map_err(|error| not_verified(&error))
}

/// The error of a failed verification: that of a refused query has its own; others pass by themselves, or are reported.
fn not_verified(error: &anyhow::Error) -> Failed {
    match error.downcast_ref::<QueryError>() {
        Some(query) => Failed::from(query),
        None => Failed::new(Code::Unavailable, format!("{error:#}")),
    }
}

pub(super) async fn progress(State(app): State<Arc<App>>) -> axum::Json<VerifyProgress> {
    axum::Json(app.verifying.now())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    stream: String,
}

/// A digest of 16 bytes for each record of a stream; the body is cut off when a record cannot be read.
pub(super) async fn records(State(app): State<Arc<App>>, Query(Of { stream }): Query<Of>) -> Result<Response, Failed> {
    let Some(stream) = app.engine.streams.iter().find(|known| known.name.as_str() == stream).cloned() else {
        return Err(Failed::new(Code::UnknownStream, format!("no stream `{stream}`")));
    };
    let (sender, pieces) = mpsc::channel(2);
    let engine = Arc::clone(&app.engine);
    app.engine.tracker().spawn(async move {
        if let Err(error) = digests(&engine, &stream, &sender).await {
            tracing::warn!(stream = %stream.name, error = format!("{error:#}"), "reading all records failed");
            // The client has gone, or sees that the answer is cut off.
            let _ = sender.send(Err(error)).await;
        }
    });
    let next = async |mut pieces: mpsc::Receiver<_>| pieces.recv().await.map(|piece| (piece, pieces));
    let body = Body::from_stream(stream::unfold(pieces, next));
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}
