//! What happened when.

use serde::{Deserialize, Serialize};

/// Events in the order of their time.
pub type Timeline = Vec<Event>;

/// Something that happened, or that went on for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Seconds since the start.
    pub at_s: f64,
    /// Seconds since the start at which it ended, if it took time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
    /// What happened, in a few words.
    pub what: String,
}

impl Event {
    /// Something that happened at one moment.
    pub fn at(at_s: f64, what: impl Into<String>) -> Self {
        Self { at_s, until_s: None, what: what.into() }
    }

    /// Something that went on from `at_s` until `until_s`.
    pub fn span(at_s: f64, until_s: f64, what: impl Into<String>) -> Self {
        Self { at_s, until_s: Some(until_s), what: what.into() }
    }
}
