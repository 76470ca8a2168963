//! What does a view cost that is added after the fact?

use serde::{Deserialize, Serialize};

use super::{Both, Measured, Quantity};

/// A view that is added after the fact, over all history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// How this was measured, in whole sentences.
    pub how: String,
    /// Seconds until the new view is right.
    pub right: Both<Quantity>,
    /// Records of the history over which the view is computed.
    pub history: u64,
    /// Records that the view would miss if the log kept a week. This is computed from the records' times, not measured.
    pub missing_after_week: Both<Quantity>,
}

impl Question {
    pub(super) fn unmeasured(reason: &str) -> Self {
        let absent = Both::same(Measured::absent(reason));
        Self { how: String::new(), right: absent.clone(), history: 0, missing_after_week: absent }
    }
}
