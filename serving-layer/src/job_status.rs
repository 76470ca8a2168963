//! The progress of stream jobs, as serving reads it.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

/// The progress of a job in this process.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStatus {
    /// Offsets that the slowest view has folded or begun after, over all partitions.
    pub done: u64,
    /// Offsets up to the ends of the log.
    pub end: u64,
    /// Offsets a second, lately.
    pub rate: f64,
    /// Time to the ends of the log at this rate; none while it folds nothing.
    pub eta: Option<Duration>,
    /// Bytes of states in memory.
    pub bytes: u64,
    /// The reason why it does not fold, or takes no checkpoints.
    pub trouble: Option<String>,
}

/// Reports the progress of one job.
#[async_trait]
pub trait JobReport: Send + Sync + Debug {
    /// The progress at this moment.
    async fn now(&self) -> JobStatus;
}
