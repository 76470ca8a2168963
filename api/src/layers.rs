//! The state of the layers of a process, partition by partition.

use serde::{Deserialize, Serialize};

/// The state of one layer of a process in one partition.
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
    /// The reason why it is stalled or stopped; `None` in other states.
    pub reason: Option<String>,
}
