//! The routes of a process besides those of its serving layer: append, recompute, rollback, verify, layers.

mod append;
mod body;
mod forward;
mod health;
mod layers;
mod runs;
pub mod starting;
mod verify;

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use dovetail_core::catalog::MemberLayer;
use dovetail_core::name::StreamName;
use dovetail_ingestion::append::Appender;
use serde_json::json;

use self::body::Intake;
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
    intake: Intake,
    verifying: Progress,
}

/// The routes of the layers that this process runs.
pub fn router(engine: &Arc<Engine>, config: &Config) -> Result<Router> {
    let intake = Intake::new(bytes(config.ingest.in_flight), bytes(config.ingest.request));
    let app = Arc::new(App { engine: Arc::clone(engine), intake, verifying: Progress::default() });
    let mut router = Router::new().route("/v1/layers", get(layers::layers));
    if engine.roles.has(MemberLayer::Ingest) {
        router = router
            .route("/v1/streams/{stream}", get(stream))
            .route("/v1/streams/{stream}/records", post(append::append))
            .route("/v1/streams/{stream}/sources", get(append::source))
            .route("/v1/streams/{stream}/sources/{source}", get(append::source_by_path));
    }
    if engine.roles.has(MemberLayer::Batch) {
        router = router
            .route("/v1/recompute", post(runs::recompute).get(runs::progress).delete(runs::cancel))
            .route("/v1/rollback", post(runs::rollback));
    }
    match engine.serving() {
        Ok(serving) => {
            let verify = post(verify::verify).get(verify::progress);
            let router = router.route("/v1/verify", verify).route("/v1/verify/records", get(verify::records));
            let router = router.with_state(app);
            let router = router.merge(dovetail_serving_layer::router(Arc::clone(serving)));
            // What other processes do is forwarded to them.
            Ok(match engine.roles {
                Roles::All => router,
                Roles::One(_) => router.merge(forward::router(engine)?),
            })
        }
        Err(_) => Ok(router.merge(health::router()).with_state(app)),
    }
}

/// An error as its client sees it.
#[derive(Debug)]
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

/// A layer that this process does not run, or that fails.
fn unavailable(error: impl Into<anyhow::Error>) -> Failed {
    Failed(StatusCode::SERVICE_UNAVAILABLE, format!("{:#}", error.into()))
}

impl App {
    fn appender(&self, name: &str) -> std::result::Result<&Arc<Appender>, Failed> {
        let found = StreamName::parse(name).ok().and_then(|name| self.engine.appenders.get(&name));
        found.ok_or_else(|| {
            let known: Vec<&str> = self.engine.streams.iter().map(|s| s.name.as_str()).collect();
            Failed(StatusCode::NOT_FOUND, format!("no stream `{name}`; there are {}", known.join(", ")))
        })
    }
}

async fn stream(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> std::result::Result<axum::Json<StreamInfo>, Failed> {
    Ok(axum::Json(StreamInfo::of(app.appender(&name)?.stream())))
}
