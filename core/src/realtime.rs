//! What the speed layer offers to whoever reads it: the states from a floor that the reader names.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;

use crate::name::ViewName;
use crate::offsets::{Cut, OffsetRange, Offsets};

/// The state of one view over a range of one partition.
#[derive(Debug, Clone)]
pub struct Slice {
    pub partition: i32,
    pub range: OffsetRange,
    /// Batches of the view's state schema. Slices are immutable: equal pointers are equal states.
    pub state: Arc<Vec<RecordBatch>>,
}

/// States of one view from a floor up to a head, partition by partition and without a gap.
#[derive(Debug, Clone, Default)]
pub struct RealtimeView {
    /// Where each partition starts.
    pub floor: Cut,
    /// How far each partition is folded; partitions that it does not name are not held at all.
    pub head: Offsets,
    /// By partition, ascending, each partition's slices in order.
    pub slices: Vec<Slice>,
}

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum RealtimeError {
    #[error("the speed layer does not know view `{0}`")]
    UnknownView(ViewName),
    /// The speed layer is folding towards the floor that was asked for; ask again.
    #[error("view `{view}` is being folded from the log: partition {partition} is at {head}, {behind} records to go")]
    CatchingUp { view: ViewName, partition: i32, head: i64, behind: i64 },
    /// No batch view holds the history and the speed layer does not start from the log's beginning.
    #[error("view `{0}` waits for its first batch run")]
    Unfilled(ViewName),
    #[error("view `{view}`: partition {partition} has stopped: {why}")]
    Stopped { view: ViewName, partition: i32, why: String },
}

/// The speed layer as its readers see it.
#[async_trait]
pub trait Realtime: Send + Sync + std::fmt::Debug {
    /// Everything of `view` that was folded at or above `floor`.
    async fn read(&self, view: &ViewName, floor: &Cut) -> Result<RealtimeView, RealtimeError>;

    /// Asks to keep a slice boundary at `at` in every partition, until two later requests for the view: a reader has
    /// merged everything below, and what comes above is all it wants to merge the next time. Keeping it is a help,
    /// never needed.
    fn keep_boundary(&self, view: &ViewName, at: &Offsets) {
        let _ = (view, at);
    }

    /// How far every partition that `view` reads is folded.
    fn head(&self, view: &ViewName) -> Result<Offsets, RealtimeError>;

    /// Partitions in which `view` is not folded any further at the moment, and why. They are still read up to their
    /// head.
    fn held_up(&self, _view: &ViewName) -> Vec<(i32, String)> {
        vec![]
    }
}
