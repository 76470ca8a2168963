//! The protocol between a speed layer and a reader in another process, over Arrow Flight.
//!
//! The reader sends a [`RealtimeRequest`] as the ticket of a `DoGet`. The answer never ends by itself: the schema of the view's
//! states, then batches of it, each with a [`WireMessage`] as its `app_metadata`:
//!
//! ```text
//! part  base [5, 9)                 partition 0 from its start, slice by slice, ..
//! part       [9, 12)  done          .. and this was the last one: now the reader has [5, 12)
//! part  base [0, 4)   done          partition 1
//! status                            everything held was sent once; the rest is listed with its reasons
//! part       [12, 15) done          the records folded since
//! status                            so the reader knows that the speed layer lives
//! ```
//!
//! States are functions of the log: a state of a partition up to some offset is right for as long as that log exists,
//! whoever sent it. A reader that lost the connection asks again from its start.

use serde::{Deserialize, Serialize};

use crate::name::ViewName;
use crate::offsets::{Cut, OffsetRange};
use crate::realtime::{RealtimeError, Stall};
use crate::view::RowErrors;

/// Greatest number of starts in a request.
pub const STARTS_MAX: usize = 1024;

/// A reader's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealtimeRequest {
    /// The view.
    pub view: ViewName,
    /// Fingerprint of the view's definition at the reader: states of another definition are refused.
    pub fingerprint: String,
    /// Everything from the least of these starts on, with slice boundaries at all of them. With none, only [`Status`].
    #[serde(rename = "floors")]
    pub starts: Vec<Cut>,
}

/// The metadata of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum WireMessage {
    /// The batch is a part of a slice.
    Part(SlicePart),
    /// The batch is empty and reports the speed layer's state.
    Status(Status),
}

/// A part of a slice's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlicePart {
    /// The partition's number.
    pub partition: i32,
    /// The offsets of the whole slice.
    pub range: OffsetRange,
    /// Whether this part and those up to the next `done` replace everything sent of the partition before; otherwise
    /// they continue after it.
    pub base: bool,
    /// Whether this is the last part of the slice.
    pub end: bool,
    /// Whether this is the last part of the partition for the moment; parts cannot be used before it.
    pub done: bool,
    /// More of the records that the slice leaves out.
    #[serde(default, skip_serializing_if = "RowErrors::is_empty")]
    pub errors: RowErrors,
    /// Offsets at which boundaries will be requested; the reader should not merge across them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<i64>,
}

/// The speed layer's progress in the partitions that it owns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The partitions owned, in any order.
    pub partitions: Vec<ViewPartitionStatus>,
}

/// Progress in one partition of one view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewPartitionStatus {
    /// The partition's number.
    pub partition: i32,
    /// The offset up to which it has folded; `None` while the view is unfilled.
    pub head: Option<i64>,
    /// The least offset from which it can be read; requests below it are of no use.
    #[serde(default, rename = "floor", skip_serializing_if = "Option::is_none")]
    pub start: Option<i64>,
    /// The starts from which it cannot be read at the moment, and why.
    #[serde(rename = "unread")]
    pub backlog: Vec<(i64, RealtimeError)>,
    /// The reason why it is not folded, if it is stalled.
    #[serde(rename = "held_up")]
    pub stalled: Option<Stall>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip_as_json() {
        let view = ViewName::parse("clicks").unwrap();
        let error = RealtimeError::CatchingUp { view: view.clone(), partition: 1, head: 3, behind: 4 };
        let backlog = vec![(7, error), (9, RealtimeError::Unfilled(view.clone()))];
        let status = ViewPartitionStatus {
            partition: 1,
            head: Some(3),
            start: Some(2),
            backlog,
            stalled: Some(Stall::stalled("no log")),
        };
        let range = OffsetRange::new(5, 9);
        let part = SlicePart {
            partition: 0,
            range,
            base: true,
            end: true,
            done: false,
            errors: RowErrors::default(),
            pinned: vec![7],
        };
        for message in [WireMessage::Part(part), WireMessage::Status(Status { partitions: vec![status] })] {
            let json = serde_json::to_vec(&message).unwrap();
            assert_eq!(serde_json::from_slice::<WireMessage>(&json).unwrap(), message);
        }
        let starts = vec![Cut([(0, 5)].into_iter().collect())];
        let ask = RealtimeRequest { view, fingerprint: "abc".to_owned(), starts };
        assert_eq!(serde_json::from_slice::<RealtimeRequest>(&serde_json::to_vec(&ask).unwrap()).unwrap(), ask);
    }
}
