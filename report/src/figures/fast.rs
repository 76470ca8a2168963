//! How fast are records taken in?

use serde::{Deserialize, Serialize};

use super::{Both, Measured, Quantity};

/// How fast records are taken in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fast {
    /// How this was measured, in whole sentences.
    pub how: String,
    /// Records per second from a cold start until the head of the log is reached.
    pub catch_up: Both<Quantity>,
    /// Processor seconds for a million records, of all processes together.
    pub cpu: Both<Quantity>,
    /// Where the processor time goes.
    pub shares: Both<Shares>,
}

/// Shares of the processor time, each from 0 to 1. What is left of 1 is everything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Reading from the log.
    pub fetch: Quantity,
    /// Decoding records.
    pub decode: Quantity,
    /// Folding records into states.
    pub fold: Quantity,
    /// Landing records. Kappa lands none: its samples are 0.
    pub land: Quantity,
}

impl Fast {
    pub(super) fn unmeasured(reason: &str) -> Self {
        let absent = Measured::absent(reason);
        let shares =
            Shares { fetch: absent.clone(), decode: absent.clone(), fold: absent.clone(), land: absent.clone() };
        Self {
            how: String::new(),
            catch_up: Both::same(absent.clone()),
            cpu: Both::same(absent),
            shares: Both::same(shares),
        }
    }
}
