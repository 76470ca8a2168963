//! Stream jobs as queries read them. A query takes all jobs at one moment, so an answer is of one job entirely.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dovetail_core::name::{JobName, ViewName};
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::realtime::{Realtime, RealtimeError, RealtimeView, Stall};
use parking_lot::RwLock;

use crate::snapshot::Snapshot;
use crate::snapshot::layers::Layers;

/// The schema with the views of the current job.
pub(crate) const KAPPA: &str = "kappa";

/// The jobs that this process runs, and the one that readers get.
#[derive(Debug, Default)]
pub(crate) struct ServedJobs {
    pub(crate) current: Option<JobName>,
    pub(crate) all: BTreeMap<JobName, Arc<Layers>>,
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

/// The jobs of one query, each with its snapshot.
#[derive(Debug, Default)]
pub(crate) struct JobSnapshots {
    pub(crate) jobs: Arc<ServedJobs>,
    all: BTreeMap<JobName, Arc<Snapshot>>,
}

impl JobSnapshots {
    pub(crate) fn new(jobs: Arc<ServedJobs>, partial: bool) -> Self {
        let snapshot = |layers: &Arc<Layers>| Arc::new(Snapshot::new(Arc::clone(layers)).partial(partial));
        let all = jobs.all.iter().map(|(name, layers)| (name.clone(), snapshot(layers))).collect();
        Self { jobs, all }
    }

    pub(crate) fn get(&self, name: &JobName) -> Option<&Arc<Snapshot>> {
        self.all.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&JobName, &Arc<Snapshot>)> {
        self.all.iter()
    }
}

/// The states of the current job in place of a speed layer, in a process without one.
#[derive(Debug)]
pub(crate) struct CurrentJob(pub(crate) Arc<RwLock<Arc<ServedJobs>>>);

impl CurrentJob {
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
impl Realtime for CurrentJob {
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
