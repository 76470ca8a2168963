//! What happens to records that come late?

use serde::{Deserialize, Serialize};

use super::{Both, Measured, Quantity};

/// Records whose event time is long past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// How this was measured, in whole sentences.
    pub how: String,
    /// A record that comes a day late.
    pub day: Both<LateRecord>,
    /// A record that comes a month late.
    pub month: Both<LateRecord>,
}

/// What became of a late record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateRecord {
    /// Seconds until it is in the answer.
    pub seen: Quantity,
    /// Whether the answer was then exact, by run.
    pub exact: Measured<Vec<bool>>,
}

impl Late {
    pub(super) fn unmeasured(reason: &str) -> Self {
        let record = LateRecord { seen: Measured::absent(reason), exact: Measured::absent(reason) };
        let records = Both::same(record);
        Self { how: String::new(), day: records.clone(), month: records }
    }
}
