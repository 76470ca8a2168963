//! Settings of the speed layer.

use std::time::Duration;

/// Bounds and intervals of the speed layer; the command line has the defaults.
#[derive(Debug, Clone)]
pub struct SpeedConfig {
    /// Bytes of states above which an incremental batch run is requested. At twice as many, folding pauses until a
    /// published generation lets slices retire.
    pub memory_limit: usize,
    /// Least time between two seals of a view's open state for its readers: the greatest age of an answer relative to
    /// the folded records.
    pub seal_interval: Duration,
    /// Interval of polls for changes of the catalog by other processes.
    pub poll_interval: Duration,
}
