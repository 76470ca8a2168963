//! How quick is an answer?

use serde::{Deserialize, Serialize};

use super::{Both, Latency, Measured};

/// The time from a query to its last row, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answering {
    /// How this was measured, in whole sentences.
    pub how: String,
    /// One group by its key.
    pub point: Both<Latency>,
    /// Some groups by a filter.
    pub filtered: Both<Latency>,
    /// All groups.
    pub whole: Both<Latency>,
}

impl Answering {
    pub(super) fn unmeasured(reason: &str) -> Self {
        let absent = Both::same(Measured::absent(reason));
        Self { how: String::new(), point: absent.clone(), filtered: absent.clone(), whole: absent }
    }
}
