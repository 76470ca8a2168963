//! The task that watches the catalog's current generation: it is served as soon as the speed layer has reached its
//! cuts.

use std::sync::Arc;
use std::time::Duration;

use dovetail_core::catalog::CatalogError;
use dovetail_core::clock;
use dovetail_core::name::Generation;
use dovetail_core::realtime::RealtimeView;
use tokio::sync::Mutex;
use tracing::{debug, warn};

use crate::error::{QueryError, Reason};
use crate::snapshot::generation::{Filled, Served, read};
use crate::snapshot::layers::Layers;

/// Interval of polls of the catalog, besides the changes of this process: other processes publish too.
const CATALOG_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Interval of checks for new partitions: longer than that of the layers, which should own new partitions before they
/// are found here.
const PARTITION_POLL_INTERVAL: Duration = Duration::from_secs(15);
/// Pause before the next attempt to serve a generation that the speed layer could not meet.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(25);

/// Moves [`Layers`] from generation to generation, one move at a time.
#[derive(Debug)]
pub(crate) struct Follower {
    layers: Arc<Layers>,
    moving: Mutex<()>,
}

impl Follower {
    pub(crate) fn new(layers: &Arc<Layers>) -> Arc<Self> {
        Arc::new(Self { layers: Arc::clone(layers), moving: Mutex::default() })
    }

    /// Polls the catalog, and the log for new partitions, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut changes = self.layers.catalog.changes();
        let mut polled = clock::now_monotonic();
        loop {
            if polled.elapsed() >= PARTITION_POLL_INTERVAL {
                self.layers.poll_partitions().await;
                polled = clock::now_monotonic();
            }
            let pause = match self.follow().await {
                Ok(true) => CATALOG_POLL_INTERVAL,
                Ok(false) => CATCH_UP_PAUSE,
                Err(error) => {
                    warn!(%error, "the current generation cannot be followed");
                    CATALOG_POLL_INTERVAL
                }
            };
            tokio::select! {
                () = clock::sleep(pause) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Polls the catalog and moves to its current generation, if the speed layer can meet it.
    ///
    /// Until then the previous generation stays, as long as it can be met. States are read before the move, so that no
    /// query waits for them; unreadable ones fail their own view only.
    pub(crate) async fn follow(&self) -> Result<bool, QueryError> {
        let _one_at_a_time = self.moving.lock().await;
        let layers = &self.layers;
        let current = layers.catalog.current().await?;
        let served = layers.served();
        let number = current.as_ref().map_or(Generation(0), |row| row.generation);
        if number == served.generation() {
            return Ok(true);
        }
        let next = Arc::new(read(current)?);
        if behind(layers, &next).await && !behind(layers, &served).await {
            debug!(generation = %next.generation(), "speed layer has not reached the new cut yet");
            return Ok(false);
        }
        warm(layers, &next).await;
        metrics::gauge!("dovetail_snapshot_generation").set(next.generation().0 as f64);
        layers.serve(next);
        Ok(true)
    }
}

/// A kept generation, current or not.
pub(crate) async fn kept(layers: &Layers, generation: Generation) -> Result<Arc<Served>, QueryError> {
    let served = layers.served();
    if served.generation() == generation {
        return Ok(served);
    }
    match layers.catalog.generation(generation).await {
        Ok(row) if row.retired_ms.is_none() => read(Some(row)).map(Arc::new),
        Ok(_) => Err(gone(format!("generation {generation} is retired"))),
        Err(CatalogError::Missing { .. }) => Err(gone(format!("there is no generation {generation}"))),
        Err(error) => Err(error.into()),
    }
}

/// Whether the speed layer has not yet reached a cut of `served`.
async fn behind(layers: &Layers, served: &Served) -> bool {
    for view in layers.folded() {
        if let Filled::States(states) = served.filled(view)
            && let Err(error) = layers.realtime.read(&view.name, &states.cut).await.and_then(RealtimeView::whole)
            && error.is_passing()
        {
            return true;
        }
    }
    false
}

async fn warm(layers: &Layers, served: &Served) {
    for view in layers.folded() {
        if let Filled::States(states) = served.filled(view)
            && let Err(error) = layers.states.get(view, states).await
        {
            warn!(view = %view.name, generation = %served.generation(), %error, "batch states cannot be read");
        }
    }
}

fn gone(message: String) -> QueryError {
    QueryError::new(Reason::Invalid, message)
        .with_hint("`dovetail generations`, or `sys.generations`, lists those kept")
}
