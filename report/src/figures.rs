//! The raw figures of a comparison, as they stand in `report.json`. Each question has a struct of its own.

mod answering;
mod change;
mod crash;
mod exact;
mod fast;
mod fresh;
mod keeping;
mod late;
mod measured;
mod meta;
mod operation;
mod question;
mod side;
mod timeline;
mod unit;

use serde::{Deserialize, Serialize};

pub use answering::Answering;
pub use change::ChangeFigures;
pub use crash::Crash;
pub use exact::{ExactFigures, ViewRows};
pub use fast::{Fast, Shares};
pub use fresh::Fresh;
pub use keeping::{Keeping, Stores};
pub use late::{Late, LateRecord};
pub use measured::{Absent, Curve, Latency, LatencyRuns, Measured, Point, Points, Quantity, Samples};
pub use meta::{Machine, Meta, Origin, ReportedLog};
pub use operation::{OperationFigures, OperationRow, Topic};
pub use question::Question;
pub use side::{Both, Side};
pub use timeline::{Event, Timeline};
pub use unit::Unit;

/// Every raw figure of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// What was compared, where and when.
    pub meta: Meta,
    /// How fast are records taken in?
    pub fast: Fast,
    /// How soon is a record in an answer?
    pub fresh: Fresh,
    /// How quick is an answer?
    pub answering: Answering,
    /// What does it cost to keep?
    pub keeping: Keeping,
    /// What happens when the code of a view changes?
    pub change: ChangeFigures,
    /// What happens to records that come late?
    pub late: Late,
    /// What does a view cost that is added after the fact?
    pub question: Question,
    /// What happens on `kill -9`?
    pub crash: Crash,
    /// Are the answers the same?
    pub exact: ExactFigures,
    /// What has to be run and set?
    pub operation: OperationFigures,
}

impl Figures {
    /// Figures in which nothing is measured yet, for the same `reason` everywhere. A runner starts with these and fills
    /// in what it measures, so that a run that ends early still makes a report.
    pub fn unmeasured(meta: Meta, reason: &str) -> Self {
        Self {
            meta,
            fast: Fast::unmeasured(reason),
            fresh: Fresh::unmeasured(reason),
            answering: Answering::unmeasured(reason),
            keeping: Keeping::unmeasured(reason),
            change: ChangeFigures::unmeasured(reason),
            late: Late::unmeasured(reason),
            question: Question::unmeasured(reason),
            crash: Crash::unmeasured(reason),
            exact: ExactFigures::unmeasured(reason),
            operation: OperationFigures::default(),
        }
    }
}
