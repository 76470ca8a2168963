//! Errors of the layers as errors for HTTP clients.

use std::error::Error;

use dovetail_batch_layer::{RollbackError, RunError};
use dovetail_core::catalog::CatalogError;
use dovetail_core::error_chain::in_one_line;
use dovetail_serving_layer::{Code, Failed};

fn failed(code: Code, error: &(dyn Error + 'static)) -> Failed {
    Failed::new(code, in_one_line(error))
}

/// The error of a run that published nothing.
pub(super) fn of_run(error: &RunError) -> Failed {
    let code = match error {
        RunError::UnknownView(_) => Code::UnknownView,
        RunError::UnknownStream(_) => Code::UnknownStream,
        RunError::Cancelled { .. } => Code::Cancelled,
        RunError::Catalog(error) => of_catalog(error),
        RunError::Store(_) | RunError::Closed => Code::Unavailable,
        RunError::Task(_) => Code::Internal,
        _ => Code::RunFailed,
    };
    failed(code, error)
}

/// The error of a rollback.
pub(super) fn of_rollback(error: &RollbackError) -> Failed {
    let code = match error {
        RollbackError::NothingPublished | RollbackError::AlreadyCurrent { .. } => Code::NotPossible,
        RollbackError::Catalog(CatalogError::Missing { .. }) => Code::UnknownGeneration,
        RollbackError::Catalog(error) => of_catalog(error),
        RollbackError::Store(_) => Code::Unavailable,
        _ => Code::RunFailed,
    };
    failed(code, error)
}

pub(super) fn of_catalog(error: &CatalogError) -> Code {
    match error {
        CatalogError::RunInProgress { .. } => Code::RunInProgress,
        CatalogError::PublishConflict { .. } | CatalogError::RunEnded { .. } => Code::Conflict,
        CatalogError::Retired { .. } | CatalogError::StillCurrent { .. } => Code::NotPossible,
        error if error.is_transient() => Code::Unavailable,
        _ => Code::Internal,
    }
}
