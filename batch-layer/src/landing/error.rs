//! The reasons why a step of the landing failed.

use dovetail_core::catalog::CatalogError;
use dovetail_core::error_chain::in_one_line;
use dovetail_core::store::StoreError;
use dovetail_ingestion::decoded_log::DecodedLogError;
use dovetail_ingestion::log::LogError;
use parquet::errors::ParquetError;

use crate::put::PutError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LandError {
    #[error(transparent)]
    Feed(#[from] DecodedLogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("a segment cannot be encoded")]
    Encode(#[from] ParquetError),
    #[error("encoding a segment did not end")]
    Task(#[from] tokio::task::JoinError),
}

impl From<PutError> for LandError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Catalog(error) => error.into(),
            PutError::Store(error) => error.into(),
        }
    }
}

impl LandError {
    /// Whether a retry cannot help: the log and the landing no longer fit together, and going on would omit records
    /// silently.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Feed(DecodedLogError::Log(error)) => {
                matches!(error, LogError::Trimmed { .. } | LogError::PastEnd { .. } | LogError::NoSuchPartition { .. })
            }
            _ => false,
        }
    }

    /// Whether the log is being closed, as at the end of the process.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self, Self::Feed(DecodedLogError::Log(LogError::Closed)))
    }

    /// The error and its causes, in one line.
    pub(crate) fn reason(&self) -> String {
        in_one_line(self)
    }
}
