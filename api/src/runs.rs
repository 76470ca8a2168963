//! Batch runs: requests, progress and results.

use serde::{Deserialize, Serialize};

/// A request for a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecomputeRequest {
    /// Names of views; all, where none is named.
    pub views: Vec<String>,
    /// Fold every landed record again, not only those that landed since the last generation.
    pub full: bool,
}

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recomputed {
    /// The generation that is current now; none where nothing was new.
    pub generation: Option<u64>,
    /// Number of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// Records that were folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Segments that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<u64>,
    /// Milliseconds from its start to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<i64>,
    /// Views that could not be folded, and why; they keep their states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// The progress of a run in any process: the one in progress, or the last one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunProgress {
    /// Number of the run.
    pub run_id: i64,
    /// A word: `idle`, `starting`, `folding` .. `ended`.
    pub phase: String,
    /// Segments that are read.
    pub segments_done: u64,
    /// Segments to read.
    pub segments: u64,
    /// Records that are folded.
    pub rows_done: u64,
    /// Records to fold.
    pub rows: u64,
    /// When it started: milliseconds since 1970, by the catalog's clock.
    pub started_ms: i64,
    /// The member that leads the batch layer, if there is one.
    #[serde(default)]
    pub leader: Option<String>,
}

/// The answer to a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Whether a run was in progress.
    pub cancelled: bool,
}

/// The generation that is to be current, or is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Number of the generation.
    pub generation: u64,
}
