//! Errors of stream jobs.

use dovetail_core::catalog::CatalogError;
use dovetail_core::manifest::ManifestError;
use dovetail_core::name::{Generation, JobName, ViewName};
use dovetail_core::realtime::RealtimeError;
use dovetail_core::state_file::StateFileError;
use dovetail_core::store::StoreError;
use dovetail_ingestion::decoded_log::DecodedLogError;
use dovetail_ingestion::log::LogError;

/// The reason why a job does not run, or a checkpoint was not taken. The fields are facts of the message.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the facts that the messages name")]
pub enum JobError {
    /// The catalog refused or does not answer.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store refused or does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log refused or does not answer.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The decoded log cannot be opened.
    #[error(transparent)]
    DecodedLog(#[from] DecodedLogError),
    /// A view cannot be read.
    #[error(transparent)]
    Read(#[from] RealtimeError),
    /// A manifest cannot be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A state cannot be written.
    #[error("the states of view `{view}` cannot be written: {why}")]
    Write { view: ViewName, why: String },
    /// A file of a checkpoint is not the one that was written.
    #[error("checkpoint {number} of job `{job}`: object `{path}` cannot be used")]
    Damaged { job: JobName, number: Generation, path: String, source: StateFileError },
    /// A file of the records that a view leaves out is not the one that was written.
    #[error("checkpoint {number} of job `{job}`: object `{path}` cannot be used: {why}")]
    DamagedErrors { job: JobName, number: Generation, path: String, why: String },
    /// The log has lost records that the job needs.
    #[error(
        "job `{job}` needs {gone} records of `{topic}` partition {partition} that the log has lost: it begins at \
         {first}, the job continues at {next}; start another job with `--from earliest`, which goes without them, or \
         keep the log for longer"
    )]
    Lost { job: JobName, topic: String, partition: i32, next: i64, first: i64, gone: i64 },
    /// A task of the job did not finish.
    #[error("a task of the job did not finish")]
    Task(#[from] tokio::task::JoinError),
}

impl JobError {
    /// Whether an object of a checkpoint is damaged or missing, so that trying again does not help.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::DamagedErrors { .. } | Self::Store(StoreError::Missing { .. }))
    }
}
