//! The routes that change something: append, recompute, rollback, verify.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use dovetail_batch_layer::{LandingState, Outcome, Progress};
use dovetail_core::catalog::{Run, RunKind};
use dovetail_core::name::{Generation, StreamName, ViewName};
use dovetail_ingestion::append::{Appender, From, MOST_PER_REQUEST, Position};
use dovetail_ingestion::log::LogError;
use dovetail_speed_layer::FoldState;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::client::StreamInfo;
use crate::config::{Config, bytes};
use crate::engine::Engine;
use crate::verify::verify;

/// What the routes share.
#[derive(Debug)]
struct App {
    engine: Arc<Engine>,
    /// One permit per KiB of requests that are being appended.
    in_flight: Semaphore,
}

/// The routes of this process and those of its serving layer.
pub fn router(engine: &Arc<Engine>, config: &Config) -> Router {
    let in_flight = Semaphore::new(kib(bytes(config.ingest.in_flight)) as usize);
    let app = Arc::new(App { engine: Arc::clone(engine), in_flight });
    let append = post(append).layer(DefaultBodyLimit::max(bytes(config.ingest.request)));
    let own = Router::new()
        .route("/v1/streams/{stream}", get(stream))
        .route("/v1/streams/{stream}/records", append)
        .route("/v1/streams/{stream}/sources/{source}", get(source))
        .route("/v1/layers", get(layers))
        .route("/v1/recompute", post(recompute).get(progress).delete(cancel))
        .route("/v1/rollback", post(rollback))
        .route("/v1/verify", post(verify_views))
        .with_state(app);
    own.merge(dovetail_serving_layer::router(Arc::clone(&engine.serving)))
}

/// An error as its client sees it.
struct Failed(StatusCode, String);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        let retry = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::Json(json!({"error": {"message": message}}));
        match retry {
            true => (status, [(header::RETRY_AFTER, "1")], body).into_response(),
            false => (status, body).into_response(),
        }
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

impl App {
    fn appender(&self, name: &str) -> Result<&Arc<Appender>, Failed> {
        let found = StreamName::parse(name).ok().and_then(|name| self.engine.appenders.get(&name));
        found.ok_or_else(|| {
            let known: Vec<&str> = self.engine.streams.iter().map(|s| s.name.as_str()).collect();
            Failed(StatusCode::NOT_FOUND, format!("no stream `{name}`; there are {}", known.join(", ")))
        })
    }
}

async fn stream(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<axum::Json<StreamInfo>, Failed> {
    Ok(axum::Json(StreamInfo::of(app.appender(&name)?.stream())))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendFrom {
    source: Option<String>,
    first: Option<u64>,
}

async fn append(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(from): Query<AppendFrom>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failed> {
    let appender = app.appender(&name)?;
    let Ok(_permit) = app.in_flight.try_acquire_many(kib(body.len()).max(1)) else {
        metrics::counter!("dovetail_append_rejected_total").increment(1);
        return Err(Failed(StatusCode::TOO_MANY_REQUESTS, "too much is being appended at once; come back".to_owned()));
    };
    let json = headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    let array: Vec<&RawValue>;
    let values: Vec<&[u8]> = if json && body.trim_ascii_start().starts_with(b"[") {
        array = serde_json::from_slice(&body)
            .map_err(|e| Failed(StatusCode::BAD_REQUEST, format!("the body is no JSON array: {e}")))?;
        array.iter().map(|value| value.get().as_bytes()).collect()
    } else {
        let lines = body.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.filter(|line| !line.trim_ascii().is_empty()).collect()
    };
    let from = from.source.map(|source| From { source, first: from.first.unwrap_or(0) });
    if from.is_some() && values.len() as u64 > MOST_PER_REQUEST {
        let message = format!("{} records in one request of a source; {MOST_PER_REQUEST} at most", values.len());
        return Err(Failed(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let appended = appender.append(&values, from.as_ref()).await.map_err(not_appended)?;
    Ok(axum::Json(json!({"received": values.len(), "appended": appended})).into_response())
}

fn not_appended(error: LogError) -> Failed {
    let status = match &error {
        LogError::SourceOverlap { .. } => StatusCode::CONFLICT,
        LogError::RecordTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Failed(status, format!("{:#}", anyhow::Error::from(error)))
}

async fn source(State(app): State<Arc<App>>, Path((name, source)): Path<(String, String)>) -> Result<Response, Failed> {
    let Position { resume, seen } = app.appender(&name)?.position(&source).await.map_err(not_appended)?;
    Ok(axum::Json(json!({"next": resume, "seen": seen})).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct RecomputeBody {
    views: Vec<ViewName>,
    full: bool,
}

async fn recompute(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Failed> {
    let body: RecomputeBody = match body.is_empty() {
        true => RecomputeBody::default(),
        false => serde_json::from_slice(&body).map_err(|e| Failed(StatusCode::BAD_REQUEST, e.to_string()))?,
    };
    let known = |name: &ViewName| app.engine.views.iter().any(|view| view.name == *name);
    if let Some(unknown) = body.views.iter().find(|name| !known(name)) {
        return Err(Failed(StatusCode::NOT_FOUND, format!("no view `{unknown}` that is folded")));
    }
    let kind = if body.full { RunKind::Full } else { RunKind::Incremental };
    let views = (!body.views.is_empty()).then_some(body.views);
    let batch = app.engine.batch.clone();
    let outcome = batch.recompute(kind, views).await;
    let outcome = outcome.map_err(|e| Failed(StatusCode::CONFLICT, format!("{:#}", anyhow::Error::from(e))))?;
    Ok(match outcome {
        Outcome::NothingNew => axum::Json(json!({"generation": null})).into_response(),
        Outcome::Published(run) => {
            until_served(&app).await;
            let took_ms = run.finished_ms.map(|finished| finished - run.started_ms);
            let Run { id, generation, rows, segments, .. } = run;
            let body =
                json!({"run": id, "generation": generation, "rows": rows, "segments": segments, "took_ms": took_ms});
            axum::Json(body).into_response()
        }
    })
}

/// How long an answer waits for the speed layer to reach the new cut; it is served later all the same.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(25);

/// Waits until the current generation is served, so that who made it current sees it in the next query.
async fn until_served(app: &App) {
    let served = async {
        while let Ok(false) = app.engine.serving.follow().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    // Whatever keeps it from being served is told by the queries and the log.
    let _ = tokio::time::timeout(SERVED_WITHIN, served).await;
}

/// A run's progress as clients see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProgressInfo {
    pub run_id: i64,
    pub phase: String,
    pub segments_done: usize,
    pub segments: usize,
    pub rows_done: u64,
    pub rows: u64,
    pub started_ms: i64,
}

/// What one layer of this process does in one partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerInfo {
    pub layer: String,
    pub stream: String,
    pub partition: i32,
    /// Next offset to land or fold.
    pub next: i64,
    pub state: String,
    /// Why it does not go on, where it does not.
    pub reason: Option<String>,
}

async fn layers(State(app): State<Arc<App>>) -> axum::Json<Vec<LayerInfo>> {
    let landing = app.engine.batch.landing_status().borrow().clone();
    let landing = landing.into_iter().map(|((stream, partition), at)| {
        let (state, reason) = match at.state {
            LandingState::Starting => ("starting", None),
            LandingState::Landing => ("landing", None),
            LandingState::Stalled { reason } => ("stalled", Some(reason)),
            LandingState::Stopped { offset, error } => ("stopped", Some(format!("at offset {offset}: {error}"))),
            LandingState::Ended => ("ended", None),
        };
        layer("batch", stream.to_string(), partition, at.next_offset, state, reason)
    });
    let speed = app.engine.speed.status().into_iter().map(|at| {
        let (state, reason) = match at.state {
            FoldState::Folding => ("folding", None),
            FoldState::Paused => ("paused", Some("over twice its memory limit: waits for a batch run".to_owned())),
            FoldState::Stalled(reason) => ("stalled", Some(reason)),
            FoldState::Stopped { view: None, why } => ("stopped", Some(why)),
            FoldState::Stopped { view: Some(view), why } => ("stopped", Some(format!("view `{view}`: {why}"))),
        };
        layer("speed", at.stream.to_string(), at.partition, at.head, state, reason)
    });
    axum::Json(landing.chain(speed).collect())
}

fn layer(layer: &str, stream: String, partition: i32, next: i64, state: &str, reason: Option<String>) -> LayerInfo {
    LayerInfo { layer: layer.to_owned(), stream, partition, next, state: state.to_owned(), reason }
}

async fn progress(State(app): State<Arc<App>>) -> axum::Json<ProgressInfo> {
    let progress: Progress = app.engine.batch.progress().borrow().clone();
    axum::Json(ProgressInfo {
        run_id: progress.run_id,
        phase: format!("{:?}", progress.phase).to_lowercase(),
        segments_done: progress.segments_done,
        segments: progress.segments,
        rows_done: progress.rows_done,
        rows: progress.rows_total,
        started_ms: progress.started_ms,
    })
}

async fn cancel(State(app): State<Arc<App>>) -> Response {
    axum::Json(json!({"cancelled": app.engine.batch.cancel()})).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    generation: u64,
}

async fn rollback(State(app): State<Arc<App>>, axum::Json(body): axum::Json<RollbackBody>) -> Result<Response, Failed> {
    let row = app.engine.batch.rollback(Generation(body.generation)).await;
    let row = row.map_err(|e| Failed(StatusCode::CONFLICT, format!("{:#}", anyhow::Error::from(e))))?;
    until_served(&app).await;
    Ok(axum::Json(json!({"generation": row.generation})).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct VerifyBody {
    views: Vec<String>,
}

async fn verify_views(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Failed> {
    let body: VerifyBody = match body.is_empty() {
        true => VerifyBody::default(),
        false => serde_json::from_slice(&body).map_err(|e| Failed(StatusCode::BAD_REQUEST, e.to_string()))?,
    };
    let mut verdicts = vec![];
    for name in &body.views {
        if app.engine.views.iter().all(|view| view.name.as_str() != name) {
            return Err(Failed(StatusCode::NOT_FOUND, format!("no view `{name}` that is folded")));
        }
    }
    for view in &app.engine.views {
        if body.views.is_empty() || body.views.iter().any(|name| name == view.name.as_str()) {
            let verdict = verify(&app.engine, view).await;
            verdicts.push(verdict.map_err(|e| Failed(StatusCode::SERVICE_UNAVAILABLE, format!("{e:#}")))?);
        }
    }
    Ok(axum::Json(verdicts).into_response())
}
