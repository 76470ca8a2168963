//! The routes of a process besides those of its serving layer: append, recompute, rollback, verify, layers.

mod append;
mod codes;
mod forward;
mod health;
mod layers;
mod runs;
pub mod starting;
mod verify;

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use dovetail_core::catalog::MemberLayer;
use dovetail_core::name::StreamName;
use dovetail_ingestion::append::Appender;
use dovetail_serving_layer::{Code, Failed, errors_in_shape};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::client::StreamInfo;
use crate::config::{Config, bytes};
use crate::engine::Engine;
use crate::roles::Roles;
use crate::verify::Progress;

pub use layers::LayerInfo;
pub(crate) use layers::landing_state;
pub use runs::ProgressInfo;

/// What the routes share.
#[derive(Debug)]
struct App {
    engine: Arc<Engine>,
    /// One permit per KiB of requests that are being appended.
    in_flight: Semaphore,
    verifying: Progress,
}

/// The routes of the layers that this process runs.
pub fn router(engine: &Arc<Engine>, config: &Config) -> Result<Router> {
    let in_flight = Semaphore::new(kib(bytes(config.ingest.in_flight)) as usize);
    let app = Arc::new(App { engine: Arc::clone(engine), in_flight, verifying: Progress::default() });
    let mut router = Router::new().route("/v1/layers", get(layers::layers));
    if engine.roles.has(MemberLayer::Ingest) {
        let append = post(append::append).layer(DefaultBodyLimit::max(bytes(config.ingest.request)));
        router = router
            .route("/v1/streams/{stream}", get(stream))
            .route("/v1/streams/{stream}/records", append)
            .route("/v1/streams/{stream}/sources/{source}", get(append::source));
    }
    if engine.roles.has(MemberLayer::Batch) {
        router = router
            .route("/v1/recompute", post(runs::recompute).get(runs::progress).delete(runs::cancel))
            .route("/v1/rollback", post(runs::rollback));
    }
    match engine.serving() {
        Ok(serving) => {
            let verify = post(verify::verify).get(verify::progress);
            let router = router.route("/v1/verify", verify).with_state(app);
            let router = router.merge(dovetail_serving_layer::router(Arc::clone(serving)));
            // What other processes do is forwarded to them.
            Ok(errors_in_shape(match engine.roles {
                Roles::All => router,
                Roles::One(_) => router.merge(forward::router(engine, config)?),
            }))
        }
        Err(_) => Ok(errors_in_shape(router.merge(health::router()).with_state(app))),
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// What a body of JSON says; without a body, nothing.
fn parsed<T: Default + DeserializeOwned>(body: &Bytes) -> std::result::Result<T, Failed> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let wrong = |error| Failed::new(Code::BadRequest, format!("the body is not what this route takes: {error}"));
    serde_json::from_slice(body).map_err(wrong)
}

/// A layer that this process does not run, or that fails.
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
    Ok(axum::Json(StreamInfo::of(app.appender(&name)?.stream())))
}
