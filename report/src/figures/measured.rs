//! Quantities as raw samples, or the reason why there are none.

use serde::{Deserialize, Serialize};

use super::Unit;

/// A value that was measured, or the reason why it was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Measured<T> {
    /// It was measured.
    Value(T),
    /// It was not.
    Absent(Absent),
}

/// Why something was not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    /// The reason. It completes "not measured: ".
    pub not_measured: String,
}

/// A quantity with one sample per run, or per attempt within the runs.
pub type Quantity = Measured<Samples>;
/// A quantity at several lengths of history.
pub type Curve = Measured<Points>;
/// Single latencies, by run.
pub type Latency = Measured<LatencyRuns>;

/// Samples of one quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// The unit of each sample.
    pub unit: Unit,
    /// The samples, in the order in which they were taken.
    pub samples: Vec<f64>,
}

/// Samples of one quantity at several lengths of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// The unit of each sample.
    pub unit: Unit,
    /// The lengths with their samples, the shortest first.
    pub points: Vec<Point>,
}

/// The samples at one length of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The length of history in records.
    pub records: u64,
    /// The samples, one per run.
    pub samples: Vec<f64>,
}

/// Latencies as they were measured, before any percentile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyRuns {
    /// The unit of each latency: [`Unit::Milliseconds`].
    pub unit: Unit,
    /// All latencies of each run.
    pub runs: Vec<Vec<f64>>,
}

impl<T> Measured<T> {
    /// A value that was not measured, and why.
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::Absent(Absent { not_measured: reason.into() })
    }

    /// The value, or the reason why there is none.
    pub fn get(&self) -> Result<&T, &str> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Absent(absent) => Err(&absent.not_measured),
        }
    }
}

impl Quantity {
    /// A quantity with these samples.
    pub fn samples(unit: Unit, samples: impl Into<Vec<f64>>) -> Self {
        Self::Value(Samples { unit, samples: samples.into() })
    }
}

impl Curve {
    /// A quantity with these samples at these lengths, in records.
    pub fn points(unit: Unit, points: impl IntoIterator<Item = (u64, Vec<f64>)>) -> Self {
        let points = points.into_iter().map(|(records, samples)| Point { records, samples }).collect();
        Self::Value(Points { unit, points })
    }
}

impl Latency {
    /// The latencies of each run in milliseconds.
    pub fn runs_ms(runs: impl Into<Vec<Vec<f64>>>) -> Self {
        Self::Value(LatencyRuns { unit: Unit::Milliseconds, runs: runs.into() })
    }
}
