//! The task that watches the catalog: new generations, rollbacks and runs in progress change the desired state of the
//! partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dovetail_core::catalog::Catalog;
use dovetail_core::clock;
use dovetail_core::name::StreamName;
use dovetail_core::view::View;
use tokio::sync::watch;

use crate::SpeedConfig;
use crate::desired_state;
use crate::desired_state::Targets;
use crate::layer::SpeedLayer;
use crate::status::FoldState;

pub(crate) struct Follow {
    pub(crate) layer: Arc<SpeedLayer>,
    pub(crate) catalog: Catalog,
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) topics: BTreeMap<StreamName, String>,
    pub(crate) config: SpeedConfig,
    pub(crate) apply: watch::Sender<Targets>,
}

impl Follow {
    pub(crate) async fn run(self, mut changes: watch::Receiver<u64>) {
        let (mut over, mut shown) = (false, BTreeSet::new());
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = clock::sleep(self.config.poll_interval) => {}
            }
            let before = self.apply.borrow().clone();
            match desired_state::read(&self.catalog, &self.views, &self.topics, &before).await {
                Ok(targets) => {
                    self.apply.send_if_modified(|old| std::mem::replace(old, targets.clone()) != targets);
                }
                Err(error) => tracing::warn!(%error, "cannot read the catalog; the speed layer keeps its slices"),
            }
            shown = self.measure(&shown);
            over = self.watch_memory(over);
        }
    }

    /// Updates the metrics of the partitions. A partition of `before` that is assigned to another process now is
    /// reported as NaN.
    fn measure(&self, before: &BTreeSet<(StreamName, i32)>) -> BTreeSet<(StreamName, i32)> {
        metrics::gauge!("dovetail_speed_bytes").set(self.layer.bytes() as f64);
        metrics::gauge!("dovetail_speed_bytes_limit").set(self.config.memory_limit as f64);
        let show = |stream: &StreamName, partition: i32, head: f64, folding: f64| {
            let labels = [("stream", stream.to_string()), ("partition", partition.to_string())];
            metrics::gauge!("dovetail_speed_head", &labels).set(head);
            metrics::gauge!("dovetail_speed_folding", &labels).set(folding);
        };
        let (mut slices, mut here) = (0, BTreeSet::new());
        for status in self.layer.status() {
            let folding = f64::from(u8::from(status.state == FoldState::Folding));
            show(&status.stream, status.partition, status.head as f64, folding);
            slices += status.slices;
            here.insert((status.stream, status.partition));
        }
        before.difference(&here).for_each(|(stream, partition)| show(stream, *partition, f64::NAN, f64::NAN));
        metrics::gauge!("dovetail_speed_slices").set(slices as f64);
        here
    }

    /// Requests a batch run while there is too much in memory; logs it once.
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
