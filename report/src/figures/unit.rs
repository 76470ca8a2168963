//! The units of the figures.

use serde::{Deserialize, Serialize};

/// The unit of a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Thousandths of a second.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Seconds on the wall.
    #[serde(rename = "s")]
    Seconds,
    /// Seconds of one processor.
    #[serde(rename = "CPU s")]
    CpuSeconds,
    /// Seconds of one processor for a million records.
    #[serde(rename = "CPU s/1M records")]
    CpuSecondsPerMillion,
    /// Bytes.
    #[serde(rename = "bytes")]
    Bytes,
    /// Records.
    #[serde(rename = "records")]
    Records,
    /// Records in a second.
    #[serde(rename = "records/s")]
    RecordsPerSecond,
    /// A part of a whole, from 0 to 1.
    #[serde(rename = "share")]
    Share,
}

impl Unit {
    /// As it stands in `report.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::CpuSeconds => "CPU s",
            Self::CpuSecondsPerMillion => "CPU s/1M records",
            Self::Bytes => "bytes",
            Self::Records => "records",
            Self::RecordsPerSecond => "records/s",
            Self::Share => "share",
        }
    }
}
