//! Settings of stream jobs.

use std::time::Duration;

use dovetail_ingestion::decoded_log::DecodedLogConfig;
use dovetail_speed_layer::SpeedConfig;

/// Bounds and intervals of a job; the command line has the defaults.
#[derive(Debug, Clone)]
pub struct KappaConfig {
    /// Settings of folding; it pauses at the memory limit.
    pub fold: SpeedConfig,
    /// Bounds of the decoded log of a job.
    pub decoded_log: DecodedLogConfig,
    /// Time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// Number of the newest checkpoints that are kept of each job, at least 1.
    pub keep_checkpoints: usize,
    /// Time after its last sign of life for which a process counts as the one that runs a job.
    pub lease: Duration,
}
