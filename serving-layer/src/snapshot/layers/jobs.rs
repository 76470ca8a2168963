//! The stream jobs that this process runs, and the states of the current one in place of a speed layer.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dovetail_core::name::{JobName, ViewName};
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::realtime::{Realtime, RealtimeError, RealtimeView, Stall};
use parking_lot::RwLock;

use super::Layers;

/// The schema with the views of the current job.
pub(crate) const KAPPA: &str = "kappa";

/// The jobs that this process runs, and the one that readers get.
#[derive(Debug, Default)]
pub(crate) struct ServedJobs {
    pub(crate) current: Option<JobName>,
    pub(crate) all: BTreeMap<JobName, Arc<Layers>>,
    /// The reasons why jobs could not be started here.
    pub(crate) failed: BTreeMap<JobName, String>,
}

impl ServedJobs {
    /// The name of the job with this schema: `kappa` is the current one.
    pub(crate) fn of_schema(&self, schema: &str) -> Option<&JobName> {
        let named = |name: &&JobName| self.all.contains_key(*name);
        match schema {
            KAPPA => self.current.as_ref().filter(named),
            schema => self.all.keys().find(|name| name.as_str() == schema),
        }
    }

    /// The schemas of all jobs.
    pub(crate) fn schemas(&self) -> Vec<String> {
        let current = self.of_schema(KAPPA).map(|_| KAPPA.to_owned());
        current.into_iter().chain(self.all.keys().map(ToString::to_string)).collect()
    }
}

/// The states of the current job in place of a speed layer, in a process without one.
#[derive(Debug)]
pub(crate) struct CurrentJobRealtime(pub(crate) Arc<RwLock<Arc<ServedJobs>>>);

impl CurrentJobRealtime {
    fn realtime(&self, view: &ViewName) -> Result<Arc<dyn Realtime>, RealtimeError> {
        let jobs = Arc::clone(&self.0.read());
        let current = jobs.of_schema(KAPPA).and_then(|name| jobs.all.get(name));
        match current {
            Some(layers) => Ok(Arc::clone(&layers.realtime)),
            None => Err(RealtimeError::Elsewhere(view.clone())),
        }
    }
}

#[async_trait]
impl Realtime for CurrentJobRealtime {
    async fn read(&self, view: &ViewName, start: &Cut) -> Result<RealtimeView, RealtimeError> {
        self.realtime(view)?.read(view, start).await
    }

    fn keep_boundary(&self, view: &ViewName, at: &Offsets) {
        if let Ok(realtime) = self.realtime(view) {
            realtime.keep_boundary(view, at);
        }
    }

    fn head(&self, view: &ViewName) -> Result<Offsets, RealtimeError> {
        self.realtime(view)?.head(view)
    }

    fn stalled(&self, view: &ViewName) -> Vec<(i32, Stall)> {
        self.realtime(view).map(|realtime| realtime.stalled(view)).unwrap_or_default()
    }
}
