//! The state of each layer of this process in each partition.

use std::sync::Arc;

use axum::extract::State;
use dovetail_api::layers::LayerInfo;
use dovetail_batch_layer::LandingState;
use dovetail_speed_layer::FoldState;

use super::App;
use crate::process::engine::Engine;

/// The state of landing, in a word, and the reason if it is stalled or stopped.
pub(crate) fn landing_state(state: LandingState) -> (&'static str, Option<String>) {
    match state {
        LandingState::Starting => ("starting", None),
        LandingState::Landing => ("landing", None),
        LandingState::Stalled { reason } => ("stalled", Some(reason)),
        LandingState::Stopped { offset, error } => ("stopped", Some(format!("at offset {offset}: {error}"))),
        LandingState::Ended => ("ended", None),
    }
}

pub(super) async fn layers(State(app): State<Arc<App>>) -> axum::Json<Vec<LayerInfo>> {
    axum::Json(of(&app.engine))
}

/// The states by layer, stream and partition.
pub(super) fn of(engine: &Engine) -> Vec<LayerInfo> {
    let landing = engine.batch().map(|batch| batch.landing_status().borrow().clone()).unwrap_or_default();
    let landing = landing.into_iter().map(|((stream, partition), at)| {
        let (state, reason) = landing_state(at.state);
        layer("batch", stream.to_string(), partition, at.next_offset, state, reason)
    });
    let speed = engine.speed().map(|speed| speed.status()).unwrap_or_default().into_iter().map(|at| {
        let (state, reason) = match at.state {
            FoldState::Folding => ("folding", None),
            FoldState::Paused => ("paused", Some("over twice its memory limit: waits for a batch run".to_owned())),
            FoldState::Stalled(reason) => ("stalled", Some(reason)),
            FoldState::Stopped { view: None, why } => ("stopped", Some(why)),
            FoldState::Stopped { view: Some(view), why } => ("stopped", Some(format!("view `{view}`: {why}"))),
        };
        layer("speed", at.stream.to_string(), at.partition, at.head, state, reason)
    });
    landing.chain(speed).collect()
}

fn layer(layer: &str, stream: String, partition: i32, next: i64, state: &str, reason: Option<String>) -> LayerInfo {
    LayerInfo { layer: layer.to_owned(), stream, partition, next, state: state.to_owned(), reason }
}
