//! How soon is a record in an answer?

use serde::{Deserialize, Serialize};

use super::{Both, Latency, Measured};

/// The time from the acknowledgement of a record to the first answer that has it, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    /// How this was measured, in whole sentences.
    pub how: String,
    /// With no other records coming in.
    pub idle: Both<Latency>,
    /// At half of the highest rate that is kept up with.
    pub half_load: Both<Latency>,
    /// During the regular work of the background: a batch run of Lambda, a checkpoint of Kappa.
    pub background: Both<Latency>,
    /// While the whole history is read again: a full recompute of Lambda, a replay of Kappa.
    pub replay: Both<Latency>,
}

impl Fresh {
    pub(super) fn unmeasured(reason: &str) -> Self {
        let absent = Both::same(Measured::absent(reason));
        Self {
            how: String::new(),
            idle: absent.clone(),
            half_load: absent.clone(),
            background: absent.clone(),
            replay: absent,
        }
    }
}
