//! The routes of a process besides those of its serving layer: append, recompute, rollback, verify, layers.

mod append;
mod body;
mod codes;
mod forward;
mod health;
mod jobs;
mod layers;
mod runs;
pub mod starting;
mod verify;

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{delete, get, post};
use dovetail_api::paths;
use dovetail_api::stream::StreamInfo;
use dovetail_core::catalog::MemberLayer;
use dovetail_core::name::StreamName;
use dovetail_ingestion::append::Appender;
use dovetail_ingestion::stream_info::stream_info;
use dovetail_serving_layer::{Code, Failed, errors_in_shape};
use serde::de::DeserializeOwned;

use self::body::Intake;
use crate::config::{Config, bytes};
use crate::jobs::verify::VerifyTracker;
use crate::process::engine::Engine;

pub(crate) use layers::landing_state;

/// State that the routes share.
#[derive(Debug)]
struct App {
    engine: Arc<Engine>,
    intake: Intake,
    verifying: VerifyTracker,
}

/// The routes of the layers that this process runs.
pub fn router(engine: &Arc<Engine>, config: &Config) -> Result<Router> {
    let intake = Intake::new(bytes(config.ingest.in_flight), bytes(config.ingest.request));
    let app = Arc::new(App { engine: Arc::clone(engine), intake, verifying: VerifyTracker::default() });
    let mut router = Router::new().route(paths::LAYERS, get(layers::layers));
    if engine.roles.has(MemberLayer::Ingest) {
        router = router
            .route(paths::STREAM, get(stream))
            .route(paths::RECORDS, post(append::append))
            .route(paths::SOURCES, get(append::source))
            .route(paths::SOURCE, get(append::source_by_path));
    }
    if engine.roles.has(MemberLayer::Batch) {
        router = router
            .route(paths::RECOMPUTE, post(runs::start).get(runs::progress).delete(runs::cancel))
            .route(paths::ROLLBACK, post(runs::rollback));
    }
    if engine.roles.has_jobs() {
        router = router
            .route(paths::JOBS, get(jobs::list).post(jobs::start))
            .route(paths::JOB_SWITCH, post(jobs::switch))
            .route(paths::JOB, delete(jobs::stop));
    }
    match engine.serving() {
        Ok(serving) => {
            let verify = post(verify::verify).get(verify::progress);
            let router = router.route(paths::VERIFY, verify).route(paths::VERIFY_RECORDS, get(verify::records));
            let router = router.with_state(app);
            let router = router.merge(dovetail_serving_layer::router(Arc::clone(serving)));
            // Routes of other layers are forwarded.
            Ok(errors_in_shape(match engine.roles.one() {
                None => router,
                Some(_) => router.merge(forward::router(engine)?),
            }))
        }
        Err(_) => Ok(errors_in_shape(router.merge(health::router()).with_state(app))),
    }
}

/// The content of a JSON body; the default without a body.
fn parsed<T: Default + DeserializeOwned>(body: &Bytes) -> std::result::Result<T, Failed> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let wrong = |error| Failed::new(Code::BadRequest, format!("the body is not what this route takes: {error}"));
    serde_json::from_slice(body).map_err(wrong)
}

/// The error of a layer that this process does not run, or that fails.
fn unavailable(error: impl Into<anyhow::Error>) -> Failed {
    Failed::new(Code::Unavailable, format!("{:#}", error.into()))
}

impl App {
    fn appender(&self, name: &str) -> std::result::Result<&Arc<Appender>, Failed> {
        let found = StreamName::parse(name).ok().and_then(|name| self.engine.appenders.get(&name));
        found.ok_or_else(|| {
            let known: Vec<&str> = self.engine.streams.iter().map(|s| s.name.as_str()).collect();
            Failed::new(Code::UnknownStream, format!("no stream `{name}`; there are {}", known.join(", ")))
        })
    }
}

async fn stream(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> std::result::Result<axum::Json<StreamInfo>, Failed> {
    Ok(axum::Json(stream_info(app.appender(&name)?.stream())))
}
