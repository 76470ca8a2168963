//! What does it cost to keep?

use serde::{Deserialize, Serialize};

use super::{Both, Curve, Measured};

/// What is kept, against the length of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keeping {
    /// How this was measured, in whole sentences.
    pub how: String,
    /// The bytes of each store and the memory, at 1, 2, 4 and 8 times the shortest history.
    pub stores: Both<Stores>,
}

/// Bytes by where they are kept. What an architecture does not have has samples of 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stores {
    /// The log, as retention leaves it once everything has settled.
    pub log: Curve,
    /// The landing. Kappa has none.
    pub landing: Curve,
    /// The states: Lambda's batch views of all generations that are kept.
    pub states: Curve,
    /// The checkpoints of a job. Lambda has none.
    pub checkpoints: Curve,
    /// The resident memory of all processes.
    pub memory: Curve,
}

impl Keeping {
    pub(super) fn unmeasured(reason: &str) -> Self {
        let absent = Measured::absent(reason);
        let stores = Stores {
            log: absent.clone(),
            landing: absent.clone(),
            states: absent.clone(),
            checkpoints: absent.clone(),
            memory: absent,
        };
        Self { how: String::new(), stores: Both::same(stores) }
    }
}
