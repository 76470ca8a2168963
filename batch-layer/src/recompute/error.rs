//! The reasons why a run did not publish.

use datafusion::common::DataFusionError;
use dovetail_core::catalog::CatalogError;
use dovetail_core::error_chain::in_one_line;
use dovetail_core::manifest::ManifestError;
use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::store::StoreError;

/// The reason why a run did not publish. The fields are the facts that the message names.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The pipeline has no such view.
    #[error("there is no view `{0}` that is folded: name one of the pipeline's views over a stream")]
    UnknownView(ViewName),
    /// The pipeline has no such stream.
    #[error("the pipeline has no stream `{0}`, which a view reads")]
    UnknownStream(StreamName),
    /// The run was cancelled.
    #[error("run {run_id} was cancelled, what is published stays as it is")]
    Cancelled { run_id: i64 },
    /// A recorded segment is not in the store.
    #[error("segment `{path}` is missing: restore the object from a copy; what is published stays as it is")]
    SegmentMissing { path: String },
    /// A segment's object has another size than recorded.
    #[error(
        "segment `{path}` has {found} bytes instead of {expected}: restore the object from a copy; what is published stays as it is"
    )]
    SegmentTruncated { path: String, expected: u64, found: u64 },
    /// A segment's object cannot be decoded.
    #[error("segment `{path}` is damaged: {why}; restore the object from a copy; what is published stays as it is")]
    SegmentDamaged { path: String, why: String },
    /// Published states cannot be read.
    #[error("states of view `{view}` in `{path}` cannot be used: {why}; run a full recompute")]
    States { view: ViewName, path: String, why: String },
    /// A view could not be folded.
    #[error("view `{view}` cannot be folded: {why}")]
    Fold { view: ViewName, why: String },
    /// A row failed in a view with `on_error = 'stop'`.
    #[error("view `{view}` has stopped, as it is to do in front of what fails: {why}")]
    Stopped { view: ViewName, why: String },
    /// The current manifest cannot be read.
    #[error("the manifest of generation {generation} cannot be used")]
    Manifest { generation: u64, source: ManifestError },
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task panicked or was aborted.
    #[error("a task of the run did not finish")]
    Task(#[from] tokio::task::JoinError),
    /// The process is ending.
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

    /// Whether the error concerns one view, so that the other views of the run can be published.
    pub(crate) fn is_of_a_view(&self) -> bool {
        matches!(self, Self::Fold { .. } | Self::Stopped { .. } | Self::States { .. })
    }

    /// The error and its causes, in one line.
    pub(crate) fn text(&self) -> String {
        in_one_line(self)
    }
}
