//! Are the answers the same?

use serde::{Deserialize, Serialize};

use super::Measured;

/// The answers of Lambda, of Kappa and of a one-shot query over the same records, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactFigures {
    /// How this was measured, in whole sentences.
    pub how: String,
    /// Each view of the pipeline.
    pub views: Measured<Vec<ViewRows>>,
}

/// The rows of one view, and how many of them differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewRows {
    /// The view's name.
    pub view: String,
    /// Rows that were compared, of all runs together.
    pub rows: u64,
    /// Rows that differ between Lambda and Kappa.
    pub lambda_kappa: u64,
    /// Rows that differ between Lambda and the one-shot query.
    pub lambda_query: u64,
    /// Rows that differ between Kappa and the one-shot query.
    pub kappa_query: u64,
}

impl ViewRows {
    /// Differences of all three pairs together.
    pub fn differences(&self) -> u64 {
        self.lambda_kappa.saturating_add(self.lambda_query).saturating_add(self.kappa_query)
    }
}

impl ExactFigures {
    pub(super) fn unmeasured(reason: &str) -> Self {
        Self { how: String::new(), views: Measured::absent(reason) }
    }
}
