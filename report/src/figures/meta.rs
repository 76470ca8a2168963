//! What was compared, where and when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was compared, where and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// The machine on which everything ran.
    pub machine: Machine,
    /// Versions by name: Dovetail's, and those of what it ran on.
    pub versions: BTreeMap<String, String>,
    /// The date, as it is to be shown.
    pub date: String,
    /// The command line that makes this report again.
    pub command: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's SQL.
    pub sql: String,
    /// The log between the source and the layers.
    pub log: ReportedLog,
    /// Records in the shortest history (1x).
    pub records: u64,
    /// The bytes of those records as they were produced, before any compression.
    pub payload_bytes: u64,
    /// Where the records came from.
    pub origin: Origin,
    /// The rate in records per second for which costs per month are stated.
    pub rate: f64,
    /// Runs of each architecture.
    pub runs: u32,
    /// Whether this was the quick form, which measures less.
    pub quick: bool,
    /// Seconds that the whole comparison took.
    pub total_s: f64,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its processors.
    pub cpus: u32,
    /// Its memory in bytes.
    pub memory_bytes: u64,
    /// The model of the processor.
    pub cpu: String,
    /// The operating system.
    pub os: String,
}

/// The log between the source and the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportedLog {
    /// The log inside the process.
    Embedded,
    /// Kafka.
    Kafka,
}

/// Where the records came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// They were generated from this seed.
    Seed(u64),
    /// They were read from this file.
    File(String),
}
