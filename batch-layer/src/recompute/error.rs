//! Why a run did not publish.

use datafusion::common::DataFusionError;
use dovetail_core::catalog::CatalogError;
use dovetail_core::error_chain::in_one_line;
use dovetail_core::manifest::ManifestError;
use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("there is no view `{0}` that is folded: name one of the pipeline's views over a stream")]
    UnknownView(ViewName),
    #[error("the pipeline has no stream `{0}`, which a view reads")]
    UnknownStream(StreamName),
    #[error("run {run_id} was cancelled, what is published stays as it is")]
    Cancelled { run_id: i64 },
    #[error("segment `{path}` is missing: restore the object from a copy; what is published stays as it is")]
    SegmentMissing { path: String },
    #[error(
        "segment `{path}` has {found} bytes instead of {expected}: restore the object from a copy; what is published stays as it is"
    )]
    SegmentTruncated { path: String, expected: u64, found: u64 },
    #[error("segment `{path}` is damaged: {why}; restore the object from a copy; what is published stays as it is")]
    SegmentDamaged { path: String, why: String },
    #[error("states of view `{view}` in `{path}` cannot be used: {why}; run a full recompute")]
    States { view: ViewName, path: String, why: String },
    #[error("view `{view}` cannot be folded: {why}")]
    Fold { view: ViewName, why: String },
    #[error("view `{view}` has stopped, as it is to do in front of what fails: {why}")]
    Stopped { view: ViewName, why: String },
    #[error("the manifest of generation {generation} cannot be used")]
    Manifest { generation: u64, source: ManifestError },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a task of the run did not finish")]
    Task(#[from] tokio::task::JoinError),
    #[error("the batch layer is shutting down")]
    Closed,
}

impl RunError {
    pub(crate) fn fold(view: &ViewName, error: &DataFusionError) -> Self {
        Self::Fold { view: view.clone(), why: error.strip_backtrace() }
    }

    pub(crate) fn states(view: &ViewName, path: &str, why: impl ToString) -> Self {
        Self::States { view: view.clone(), path: path.to_owned(), why: why.to_string() }
    }

    /// Whether it is one view's own, so that the others of the run can be published.
    pub(crate) fn is_of_a_view(&self) -> bool {
        matches!(self, Self::Fold { .. } | Self::Stopped { .. } | Self::States { .. })
    }

    /// The error and what caused it, in one line.
    pub(crate) fn text(&self) -> String {
        in_one_line(self)
    }
}
