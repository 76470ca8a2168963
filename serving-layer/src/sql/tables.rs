//! The tables of a query besides the layers themselves: lookups and `sys`.

use std::sync::Arc;

use dovetail_core::clock::Clock;

use crate::landing_status::LandingReport;
use crate::snapshot::layers::Layers;
use crate::sql::lookups::Lookups;
use crate::sql::recounted::Recounted;

/// The parts that tables are made from; each query adds its snapshot.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) layers: Arc<Layers>,
    pub(crate) lookups: Lookups,
    /// Without it, the state of landing is unknown.
    pub(crate) landing: Option<Arc<dyn LandingReport>>,
    pub(crate) clock: Clock,
    pub(crate) recounted: Recounted,
}
