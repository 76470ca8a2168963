//! Stream jobs: start, progress, switch, stop.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A job that is to be started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// Its name: the name of its schema in queries.
    pub name: String,
    /// The text of its pipeline. The files of lookups are those beside the server's own pipeline.
    pub pipeline: String,
    /// Where it begins: `beginning` (offset 0 of each partition, the default), `earliest` (what the log still has), a
    /// time as `2026-03-01T08:00:00Z`, or offsets as `TOPIC/PARTITION=OFFSET,..`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// The job that readers are to get.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchRequest {
    /// Its name; without one, the job before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Whether to switch although the job is not at the head of the log.
    #[serde(default)]
    pub force: bool,
}

/// The job that readers get, after a switch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// Its name.
    pub job: Option<String>,
    /// The job before.
    pub previous: Option<String>,
}

/// A job was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStopped {
    /// Its name.
    pub job: String,
}

/// A job and its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Its name.
    pub name: String,
    /// `current`, `previous` or `beside`.
    pub role: String,
    /// `failed` to start in this process, `waiting` for a process, `elsewhere` in another process, `replaying`, `stalled`, or at the `head` of the log.
    pub state: String,
    /// The offset at which it begins, by topic and partition; 0 where none is named.
    pub starts: BTreeMap<String, BTreeMap<i32, i64>>,
    /// Time of creation, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Offsets that the slowest view has folded or begun after, over all partitions; absent in another process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// Offsets up to the ends of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// Offsets a second, lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Seconds to the ends of the log at this rate; absent while it folds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<f64>,
    /// Bytes of states in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Number of the last checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<u64>,
    /// The reason why it does not run, does not fold, or takes no checkpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// HTTP address of the process that runs it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
}
