//! What happens when the code of a view changes?

use serde::{Deserialize, Serialize};

use super::{Both, Curve, Latency, Measured, Quantity, Timeline};

/// A change of a view's code, from the command until every answer comes from the new code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeFigures {
    /// How this was measured, in whole sentences.
    pub how: String,
    /// Records of the history over which the code changes, in all figures but `rebuild`.
    pub history: u64,
    /// Seconds to compute the views again from the whole history, at several lengths of it: a full recompute of
    /// Lambda, a replay of Kappa.
    pub rebuild: Both<Curve>,
    /// Seconds until the new answer exists and is right.
    pub right: Both<Quantity>,
    /// Seconds until it is the answer that readers get.
    pub switched: Both<Quantity>,
    /// Seconds to go back to the old answer.
    pub back: Both<Quantity>,
    /// Processor seconds above those of the same time without a change.
    pub extra_cpu: Both<Quantity>,
    /// Bytes of resident memory above those before, at the highest.
    pub extra_memory: Both<Quantity>,
    /// Bytes of disk above those before, at the highest.
    pub extra_disk: Both<Quantity>,
    /// Milliseconds of the answers meanwhile.
    pub answers: Both<Latency>,
    /// One change as it went.
    pub timeline: Both<Measured<Timeline>>,
}

impl ChangeFigures {
    pub(super) fn unmeasured(reason: &str) -> Self {
        let quantity = Both::same(Quantity::absent(reason));
        Self {
            how: String::new(),
            history: 0,
            rebuild: Both::same(Measured::absent(reason)),
            right: quantity.clone(),
            switched: quantity.clone(),
            back: quantity.clone(),
            extra_cpu: quantity.clone(),
            extra_memory: quantity.clone(),
            extra_disk: quantity,
            answers: Both::same(Measured::absent(reason)),
            timeline: Both::same(Measured::absent(reason)),
        }
    }
}
