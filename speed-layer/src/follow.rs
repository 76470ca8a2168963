//! Follows the catalog: new generations, rollbacks and runs under way become targets of the partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use dovetail_core::catalog::Catalog;
use dovetail_core::name::StreamName;
use dovetail_core::view::View;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::SpeedConfig;
use crate::layer::SpeedLayer;
use crate::status::FoldState;
use crate::target::{self, Targets};

pub(crate) struct Follow {
    pub(crate) layer: Arc<SpeedLayer>,
    pub(crate) catalog: Catalog,
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) topics: BTreeMap<StreamName, String>,
    pub(crate) config: SpeedConfig,
    pub(crate) aim: watch::Sender<Targets>,
}

impl Follow {
    pub(crate) async fn run(self, changes: watch::Receiver<u64>, shutdown: CancellationToken) {
        // A catalog that does not answer must not keep the process from ending.
        shutdown.run_until_cancelled(self.follow(changes)).await;
    }

    async fn follow(&self, mut changes: watch::Receiver<u64>) {
        let mut over = false;
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(self.config.poll_interval) => {}
            }
            let before = self.aim.borrow().clone();
            match target::read(&self.catalog, &self.views, &self.topics, &before).await {
                Ok(targets) => {
                    self.aim.send_if_modified(|old| std::mem::replace(old, targets.clone()) != targets);
                }
                Err(error) => tracing::warn!(%error, "cannot read the catalog; the speed layer keeps its slices"),
            }
            self.measure();
            over = self.watch_memory(over);
        }
    }

    fn measure(&self) {
        metrics::gauge!("dovetail_speed_bytes").set(self.layer.bytes() as f64);
        metrics::gauge!("dovetail_speed_bytes_limit").set(self.config.memory_limit as f64);
        let mut slices = 0;
        for status in self.layer.status() {
            let labels = [("stream", status.stream.to_string()), ("partition", status.partition.to_string())];
            metrics::gauge!("dovetail_speed_head", &labels).set(status.head as f64);
            let folding = f64::from(u8::from(status.state == FoldState::Folding));
            metrics::gauge!("dovetail_speed_folding", &labels).set(folding);
            slices += status.slices;
        }
        metrics::gauge!("dovetail_speed_slices").set(slices as f64);
    }

    /// Asks for a batch run while there is too much; says so once.
    fn watch_memory(&self, was_over: bool) -> bool {
        let (bytes, limit) = (self.layer.bytes(), self.config.memory_limit);
        let over = bytes > limit;
        if over {
            self.layer.pressure().notify_one();
        }
        if over && !was_over {
            tracing::warn!(bytes, limit, "speed layer is over its memory limit, a batch run is asked for");
        }
        over
    }
}
