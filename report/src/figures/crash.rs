//! What happens on `kill -9`?

use serde::{Deserialize, Serialize};

use super::{Both, Measured, Quantity, Timeline};

/// Kills at random moments, with one sample per kill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// How this was measured, in whole sentences.
    pub how: String,
    /// Seconds from the kill until answers are exact again.
    pub recovery: Both<Quantity>,
    /// Records that are read a second time.
    pub read_again: Both<Quantity>,
    /// Whether the answers were then exact, by kill.
    pub exact: Both<Measured<Vec<bool>>>,
    /// One crash as it went.
    pub timeline: Both<Measured<Timeline>>,
}

impl Crash {
    pub(super) fn unmeasured(reason: &str) -> Self {
        let absent = Both::same(Measured::absent(reason));
        Self {
            how: String::new(),
            recovery: absent.clone(),
            read_again: absent,
            exact: Both::same(Measured::absent(reason)),
            timeline: Both::same(Measured::absent(reason)),
        }
    }
}
