//! What the layers of a process do, partition by partition.

use serde::{Deserialize, Serialize};

/// What one layer of a process does in one partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerInfo {
    /// `batch` or `speed`.
    pub layer: String,
    /// The stream's name.
    pub stream: String,
    /// Number of the partition in the stream's topic.
    pub partition: i32,
    /// Next offset to land or fold.
    pub next: i64,
    /// A word: `landing`, `folding`, `paused`, `stalled`, `stopped` ..
    pub state: String,
    /// Why it does not go on, where it does not.
    pub reason: Option<String>,
}
