//! The state of landing for `sys.partitions`, as reported by the batch layer, local or remote.

use dovetail_core::name::StreamName;

/// The state of landing in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandingAt {
    /// `starting`, `landing`, `stalled`, `stopped` or `ended`.
    pub state: String,
    /// The reason why it is stalled or stopped; `None` in other states.
    pub error: Option<String>,
}

/// The state of the batch layer's landing for `sys.partitions`.
pub trait LandingReport: Send + Sync + std::fmt::Debug {
    /// The state of one partition; `None` where it is unknown.
    fn at(&self, stream: &StreamName, partition: i32) -> Option<LandingAt>;
}
