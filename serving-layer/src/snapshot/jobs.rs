//! The stream jobs of one query. It takes all of them at one moment, so an answer is of one job entirely.

use std::collections::BTreeMap;
use std::sync::Arc;

use dovetail_core::name::JobName;

use crate::snapshot::Snapshot;
use crate::snapshot::layers::{Layers, ServedJobs};

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
