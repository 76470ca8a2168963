//! What has to be run and set?

use serde::{Deserialize, Serialize};

/// What has to be run and set, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationFigures {
    /// At least one row for each [`Topic`].
    pub rows: Vec<OperationRow>,
}

/// One thing to know, for each architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationRow {
    /// What it is about.
    pub topic: Topic,
    /// How it is in Lambda.
    pub lambda: String,
    /// How it is in Kappa.
    pub kappa: String,
}

/// What there is to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// The processes that run.
    Processes,
    /// The stores that they need.
    Stores,
    /// The settings that matter.
    Settings,
    /// What a retention setting can lose.
    Retention,
}

impl Topic {
    /// Every topic, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Processes, Self::Stores, Self::Settings, Self::Retention];

    /// The topic as the head of a row.
    pub fn title(self) -> &'static str {
        match self {
            Self::Processes => "Processes",
            Self::Stores => "Stores",
            Self::Settings => "Settings that matter",
            Self::Retention => "What retention can lose",
        }
    }
}
