//! What landing does, as `sys.partitions` shows it: told by the batch layer, wherever it runs.

use dovetail_core::name::StreamName;

/// What landing does in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandingAt {
    /// `starting`, `landing`, `stalled`, `stopped` or `ended`.
    pub state: String,
    /// Why it does not go on, where it does not.
    pub error: Option<String>,
}

/// The batch layer's landing as `sys.partitions` shows it.
pub trait LandingReport: Send + Sync + std::fmt::Debug {
    /// `None` where it is not known to be landed.
    fn at(&self, stream: &StreamName, partition: i32) -> Option<LandingAt>;
}
