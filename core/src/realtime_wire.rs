//! What a speed layer and a reader in another process tell each other, over Arrow Flight.
//!
//! The reader sends an [`Ask`] as the ticket of a `DoGet`. The answer never ends by itself: the schema of the view's
//! states, then batches of it, each with a [`Message`] as its `app_metadata`:
//!
//! ```text
//! part  base [5, 9)                 partition 0 from its floor, slice by slice, ..
//! part       [9, 12)  done          .. and this was the last one: now the reader has [5, 12)
//! part  base [0, 4)   done          partition 1
//! status                            all that is held was sent once, and what could not be
//! part       [12, 15) done          what was folded since
//! status                            so the reader knows that the speed layer lives
//! ```
//!
//! States are functions of the log: whatever a reader holds of a partition up to some offset is right for as long as
//! that log exists, whoever sent it. A reader that lost the connection asks again from its floor.

use serde::{Deserialize, Serialize};

use crate::name::ViewName;
use crate::offsets::{Cut, OffsetRange};
use crate::realtime::{HeldUp, RealtimeError};
use crate::view::RowErrors;

/// So many floors may be asked for at a time.
pub const MOST_FLOORS: usize = 1024;

/// What a reader wants to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub view: ViewName,
    /// Of the view as the reader has it: states of another definition are refused.
    pub fingerprint: String,
    /// Everything from the least of these on, with slice boundaries at all of them. With none, only [`Status`].
    pub floors: Vec<Cut>,
}

/// What a batch belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Message {
    Part(Part),
    Status(Status),
}

/// A part of a slice's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub partition: i32,
    /// Of the slice.
    pub range: OffsetRange,
    /// What comes with this and up to the next `done` replaces what was sent of the partition before; otherwise it
    /// goes on where that ended.
    pub base: bool,
    /// Nothing more of this slice.
    pub end: bool,
    /// Nothing more of this partition for the moment: until then, what came cannot be used.
    pub done: bool,
    /// More of the records that the slice leaves out.
    #[serde(default, skip_serializing_if = "RowErrors::is_empty")]
    pub errors: RowErrors,
    /// Where boundaries will be asked for: the reader does well not to merge across them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<i64>,
}

/// Where the speed layer stands in the partitions that it has; others are not its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub partitions: Vec<PartitionStatus>,
}

/// One partition of one view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionStatus {
    pub partition: i32,
    /// How far it has folded; `None` while the view is unfilled.
    pub head: Option<i64>,
    /// From where it can be read at the least: floors below need not be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<i64>,
    /// The floors from which it cannot be read at the moment, and why.
    pub unread: Vec<(i64, RealtimeError)>,
    /// Why it is not folded any further.
    pub held_up: Option<HeldUp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip_as_json() {
        let view = ViewName::parse("clicks").unwrap();
        let error = RealtimeError::CatchingUp { view: view.clone(), partition: 1, head: 3, behind: 4 };
        let unread = vec![(7, error), (9, RealtimeError::Unfilled(view.clone()))];
        let status = PartitionStatus {
            partition: 1,
            head: Some(3),
            floor: Some(2),
            unread,
            held_up: Some(HeldUp::stalled("no log")),
        };
        let range = OffsetRange::new(5, 9);
        let part = Part {
            partition: 0,
            range,
            base: true,
            end: true,
            done: false,
            errors: RowErrors::default(),
            pinned: vec![7],
        };
        for message in [Message::Part(part), Message::Status(Status { partitions: vec![status] })] {
            let json = serde_json::to_vec(&message).unwrap();
            assert_eq!(serde_json::from_slice::<Message>(&json).unwrap(), message);
        }
        let floors = vec![Cut([(0, 5)].into_iter().collect())];
        let ask = Ask { view, fingerprint: "abc".to_owned(), floors };
        assert_eq!(serde_json::from_slice::<Ask>(&serde_json::to_vec(&ask).unwrap()).unwrap(), ask);
    }
}
