//! The speed layer's interface for readers: states from a start that the reader names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::name::ViewName;
use crate::offsets::{Cut, OffsetRange, Offsets};
use crate::view::RowErrors;

/// The state of one view over an offset range of one partition.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The partition's number.
    pub partition: i32,
    /// The offsets that were folded.
    pub range: OffsetRange,
    /// Batches of the view's state schema. Slices are immutable: equal pointers are equal states.
    pub state: Arc<Vec<RecordBatch>>,
    /// The records of the range that the state leaves out.
    pub errors: Arc<RowErrors>,
}

impl Slice {
    /// The slice of a range in which nothing was folded.
    pub fn empty(partition: i32, range: OffsetRange) -> Self {
        Self { partition, range, state: Arc::default(), errors: Arc::default() }
    }
}

/// States of one view from a start up to a head, partition by partition and without a gap.
#[derive(Debug, Clone, Default)]
pub struct RealtimeView {
    /// The offset at which each partition starts.
    pub start: Cut,
    /// The offset up to which each partition is folded; a partition that is absent is not held at all.
    pub head: Offsets,
    /// The slices by partition, ascending; each partition's slices in order.
    pub slices: Vec<Slice>,
    /// The known partitions that are not in `head`, each with the reason why it cannot be read from the start.
    pub missing: BTreeMap<i32, RealtimeError>,
}

impl RealtimeView {
    /// Returns the view if no known partition is missing.
    ///
    /// # Errors
    /// The first error that is passing; else that of all partitions that nobody holds, together.
    pub fn whole(self) -> Result<Self, RealtimeError> {
        let errors = || self.missing.values();
        let first = errors().find(|error| error.is_passing());
        let first = first.or_else(|| errors().find(|error| !matches!(error, RealtimeError::Missing { .. })));
        match first.cloned().or_else(|| all_missing(errors())) {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }
}

fn all_missing<'e>(errors: impl Iterator<Item = &'e RealtimeError>) -> Option<RealtimeError> {
    let (mut name, mut all, mut reasons) = (None, vec![], vec![]);
    for error in errors {
        let RealtimeError::Missing { view, partitions, why } = error else { continue };
        name = Some(view.clone());
        all.extend(partitions);
        if !reasons.contains(why) {
            reasons.push(why.clone());
        }
    }
    Some(RealtimeError::Missing { view: name?, partitions: all, why: reasons.join("; ") })
}

/// The reason why a realtime view, or one partition of it, cannot be read. The fields are facts of the message.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the facts that the messages name")]
pub enum RealtimeError {
    /// The view is not in the speed layer's pipeline.
    #[error("the speed layer does not know view `{0}`")]
    UnknownView(ViewName),
    /// The speed layer is folding towards the requested start; ask again.
    #[error("view `{view}` is being folded from the log: partition {partition} is at {head}, {behind} records to go")]
    CatchingUp { view: ViewName, partition: i32, head: i64, behind: i64 },
    /// The range was folded and dropped because a newer generation covers it; only a rollback brings it back.
    #[error("view `{view}`: partition {partition} is no longer held from offset {start}, only from {from}")]
    Dropped { view: ViewName, partition: i32, start: i64, from: i64 },
    /// A speed layer in another process has been asked and has not answered yet; ask again.
    #[error("view `{view}`: speed layer `{member}` has not answered yet")]
    Asking { view: ViewName, member: String },
    /// The stream job that keeps the view runs in another process.
    #[error("view `{0}`: the stream job that keeps it runs in another process, which `dovetail jobs` names")]
    Elsewhere(ViewName),
    /// No batch view holds the history and the speed layer does not start from the log's beginning.
    #[error("view `{0}` waits for its first batch run")]
    Unfilled(ViewName),
    /// Folding has stopped because of `why` and needs help.
    #[error("view `{view}`: partition {partition} has stopped: {why}")]
    Stopped { view: ViewName, partition: i32, why: String },
    /// No reachable speed layer holds these partitions.
    #[error("view `{view}`: {} missing: {why}", Partitions(.partitions))]
    Missing { view: ViewName, partitions: Vec<i32>, why: String },
}

impl RealtimeError {
    /// Whether a retry may succeed without help. A dropped range comes back only if its generation is current, or about
    /// to be again.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::CatchingUp { .. } | Self::Dropped { .. } | Self::Asking { .. } | Self::Elsewhere(_))
    }
}

/// Displays `partition 2 is`, `partitions 2, 3 are`.
pub(crate) struct Partitions<'p>(pub(crate) &'p [i32]);

impl fmt::Display for Partitions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [one] => write!(f, "partition {one} is"),
            many => {
                let names: Vec<String> = many.iter().map(ToString::to_string).collect();
                write!(f, "partitions {} are", names.join(", "))
            }
        }
    }
}

/// The reason why a partition is not folded at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// Whether folding continues by itself once the cause is over.
    pub by_itself: bool,
    /// Whether the cause is a lack of memory at the reader.
    #[serde(default)]
    pub no_room: bool,
    /// The cause, for people.
    pub why: String,
}

impl Stall {
    /// A cause that ends by itself.
    pub fn stalled(why: impl Into<String>) -> Self {
        Self { by_itself: true, no_room: false, why: why.into() }
    }

    /// A lack of memory at the reader; folding continues once there is enough.
    pub fn no_room(why: impl Into<String>) -> Self {
        Self { by_itself: true, no_room: true, why: why.into() }
    }

    /// A cause that does not end by itself.
    pub fn stopped(why: impl Into<String>) -> Self {
        Self { by_itself: false, no_room: false, why: why.into() }
    }
}

/// The speed layer as its readers see it.
#[async_trait]
pub trait Realtime: Send + Sync + fmt::Debug {
    /// The states of `view` from `start` on, for each partition that can be read from there.
    ///
    /// # Errors
    /// Errors of the view as a whole; those of single partitions are in [`RealtimeView::missing`].
    async fn read(&self, view: &ViewName, start: &Cut) -> Result<RealtimeView, RealtimeError>;

    /// Asks to keep a slice boundary at `at` in every partition, until two later requests for the view: the reader has
    /// merged everything below, and will merge only the rest the next time. A boundary saves work and is never needed.
    fn keep_boundary(&self, view: &ViewName, at: &Offsets) {
        let _ = (view, at);
    }

    /// The offset up to which each held partition of `view` is folded.
    fn head(&self, view: &ViewName) -> Result<Offsets, RealtimeError>;

    /// The partitions in which `view` is stalled, and why. They can still be read up to their head.
    fn stalled(&self, _view: &ViewName) -> Vec<(i32, Stall)> {
        vec![]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> ViewName {
        ViewName::parse("clicks").unwrap()
    }

    fn lost(partition: i32, why: &str) -> (i32, RealtimeError) {
        (partition, RealtimeError::Missing { view: view(), partitions: vec![partition], why: why.to_owned() })
    }

    #[test]
    fn a_view_is_whole_when_nothing_is_missing() {
        assert!(RealtimeView::default().whole().is_ok());
        let missing = [lost(2, "`b` is gone"), lost(3, "`b` is gone"), lost(5, "`c` is gone")].into();
        let error = RealtimeView { missing, ..RealtimeView::default() }.whole().unwrap_err();
        assert_eq!(error.to_string(), "view `clicks`: partitions 2, 3, 5 are missing: `b` is gone; `c` is gone");
    }

    #[test]
    fn what_passes_by_itself_is_waited_for_first() {
        let passing = RealtimeError::CatchingUp { view: view(), partition: 4, head: 7, behind: 2 };
        let stopped = RealtimeError::Stopped { view: view(), partition: 3, why: "it did".to_owned() };
        let mut realtime = RealtimeView {
            missing: [lost(2, "gone"), (3, stopped.clone()), (4, passing.clone())].into(),
            ..RealtimeView::default()
        };
        assert_eq!(realtime.clone().whole().unwrap_err(), passing);
        realtime.missing.remove(&4);
        assert_eq!(realtime.whole().unwrap_err(), stopped);
    }
}
