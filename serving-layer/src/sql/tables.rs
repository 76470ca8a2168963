//! The tables of a query besides the layers themselves: lookups and `sys`.

use std::collections::BTreeMap;
use std::sync::Arc;

use dovetail_core::clock::Clock;
use dovetail_core::name::JobName;
use parking_lot::RwLock;

use crate::landing_status::LandingReport;
use crate::snapshot::layers::Layers;
use crate::sql::lookups::Lookups;
use crate::sql::recounted::Recounted;

/// The parts that tables are made from; each query adds its snapshot.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) layers: Arc<Layers>,
    pub(crate) lookups: Arc<Lookups>,
    /// The lookups of each stream job.
    pub(crate) job_lookups: RwLock<BTreeMap<JobName, Arc<Lookups>>>,
    /// Whether `public` has the views of the current stream job.
    pub(crate) public_is_kappa: bool,
    /// Without it, the state of landing is unknown.
    pub(crate) landing: Option<Arc<dyn LandingReport>>,
    pub(crate) clock: Clock,
    pub(crate) recounted: Recounted,
}
