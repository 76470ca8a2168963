//! Settings of the speed layer.

use std::time::Duration;

/// Bounds and intervals; defaults live with the command line.
#[derive(Debug, Clone)]
pub struct SpeedConfig {
    /// Bytes of states above which an incremental batch run is asked for. At twice as many, folding pauses until
    /// a published generation lets slices retire.
    pub memory_limit: usize,
    /// A view's open state is sealed at most this often for its readers: an answer is at most so much older than
    /// what was folded.
    pub seal_interval: Duration,
    /// How often the catalog is asked for changes that another process made.
    pub poll_interval: Duration,
}
