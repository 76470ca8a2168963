//! Notifications between the layers. They save work and are never needed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dovetail_batch_layer::BatchHandle;
use dovetail_core::background;
use dovetail_core::catalog::{Catalog, Trigger};
use dovetail_core::clock;
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::Stream;
use dovetail_speed_layer::SpeedLayer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

/// Passes the ends of segments to the speed layer, when both layers are in this process.
pub(super) fn boundaries(
    speed: &Arc<SpeedLayer>,
    batch: &BatchHandle,
    streams: &[Arc<Stream>],
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let names: HashMap<String, StreamName> = streams.iter().map(|s| (s.topic.clone(), s.name.clone())).collect();
    let (layer, mut ends) = (Arc::clone(speed), batch.segment_ends());
    background::spawn(tracker, shutdown, "tell_boundaries", async move {
        loop {
            match ends.recv().await {
                Ok(end) => {
                    if let Some(stream) = names.get(&end.topic) {
                        layer.expect_boundary(stream, end.partition, end.end);
                    }
                }
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    });
}

/// Pause after a requested run before it is requested again.
const RUN_REQUEST_PAUSE: Duration = Duration::from_secs(1);

/// Requests a run, of the leading process of the batch layer, when the speed layer's states take too much memory.
pub(super) fn pressure(
    speed: &Arc<SpeedLayer>,
    catalog: &Catalog,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let (pressure, catalog) = (speed.pressure(), catalog.clone());
    background::spawn(tracker, shutdown, "ask_for_runs", async move {
        loop {
            pressure.notified().await;
            while let Err(error) = catalog.request_run(Trigger::Memory).await {
                warn!(%error, "over the memory limit, and the catalog takes no request for a run");
                clock::sleep(RUN_REQUEST_PAUSE).await;
            }
            clock::sleep(RUN_REQUEST_PAUSE).await;
        }
    });
}
