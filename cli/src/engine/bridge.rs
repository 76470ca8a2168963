//! What the layers tell one another. Nobody needs it: it saves work.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use dovetail_batch_layer::BatchHandle;
use dovetail_core::catalog::{Catalog, MemberLayer, Trigger};
use dovetail_core::clock::Clock;
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::Stream;
use dovetail_speed_layer::SpeedLayer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

/// What one layer tells the other, when both live in this process. Neither needs it.
pub(super) fn inside(
    speed: &Arc<SpeedLayer>,
    batch: &BatchHandle,
    streams: &[Arc<Stream>],
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let names: HashMap<String, StreamName> = streams.iter().map(|s| (s.topic.clone(), s.name.clone())).collect();
    let (layer, mut ends, stop) = (Arc::clone(speed), batch.segment_ends(), shutdown.clone());
    tracker.spawn(async move {
        loop {
            let end = tokio::select! {
                () = stop.cancelled() => return,
                end = ends.recv() => end,
            };
            match end {
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
    let (pressure, batch, stop) = (speed.pressure(), batch.clone(), shutdown.clone());
    tracker.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = pressure.notified() => {}
            }
            if batch.request_incremental(Trigger::Memory).is_err() {
                return;
            }
        }
    });
}

/// A run that was asked for is given time before it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// A speed layer alone asks a batch layer elsewhere for a run when its states take too much memory.
pub(super) fn pressure(
    speed: &Arc<SpeedLayer>,
    catalog: &Catalog,
    clock: &Clock,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<()> {
    let http = reqwest::Client::builder().connect_timeout(ASK_AGAIN).build()?;
    let (pressure, catalog, clock, stop) = (speed.pressure(), catalog.clone(), clock.clone(), shutdown.clone());
    tracker.spawn(async move {
        let asking = async {
            loop {
                pressure.notified().await;
                if let Err(error) = ask(&http, &catalog, &clock).await {
                    warn!(%error, "over the memory limit, and no batch layer takes a request for a run");
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        };
        stop.run_until_cancelled(asking).await;
    });
    Ok(())
}

async fn ask(http: &reqwest::Client, catalog: &Catalog, clock: &Clock) -> Result<()> {
    let members = catalog.members(MemberLayer::Batch, clock.now_ms()).await?;
    let Some(member) = members.first() else { anyhow::bail!("no batch layer is alive") };
    http.post(format!("{}/v1/recompute", member.address)).send().await?;
    Ok(())
}
