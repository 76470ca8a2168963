//! The values that are kept between queries, each with the room that it takes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::MemoryReservation;
use dovetail_core::offsets::Offsets;

/// Bytes that count until this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    pub(super) kept: MemoryReservation,
    pub(super) beside: MemoryReservation,
}

impl Room {
    /// Whether all of them are the cache's.
    pub(crate) fn is_kept(&self) -> bool {
        self.beside.size() == 0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.kept.size() + self.beside.size()
    }

    /// Releases the bytes above `bytes`.
    pub(crate) fn shrink_to(&self, bytes: usize) {
        let mut more = self.bytes().saturating_sub(bytes);
        for part in [&self.beside, &self.kept] {
            let less = part.size().min(more);
            part.shrink(less);
            more -= less;
        }
    }
}

/// The states of one batch view.
#[derive(Debug)]
pub(crate) struct States {
    /// Names of the files that they come from: equal ids are equal states.
    pub(crate) id: Arc<str>,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    /// Their bytes, which count until they are dropped.
    pub(super) room: Option<Room>,
}

impl States {
    /// The states of a view before the first generation.
    pub(crate) fn none() -> Arc<Self> {
        Arc::new(Self { id: "".into(), batches: vec![], rows: 0, bytes: 0, room: None })
    }

    pub(super) fn is_kept(&self) -> bool {
        self.room.as_ref().is_some_and(Room::is_kept)
    }
}

/// Batch states and the slices up to `ends`, merged: a merged copy.
#[derive(Debug)]
pub(crate) struct MergedStates {
    pub(super) states: Arc<str>,
    pub(super) ends: Offsets,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) rows: usize,
    #[expect(dead_code, reason = "counts until it is dropped")]
    pub(super) room: Room,
}

/// A finished answer and the parts that it was finished from.
#[derive(Debug)]
pub(crate) struct FinishedAnswer {
    pub(super) states: Arc<str>,
    pub(super) head: Offsets,
    pub(crate) batches: Vec<RecordBatch>,
    /// Its bytes in the cache; `None` when it is not kept and counts as its query's.
    pub(super) room: Option<Room>,
}

impl FinishedAnswer {
    /// Whether its bytes are the cache's.
    pub(crate) fn is_kept(&self) -> bool {
        self.room.is_some()
    }

    /// An answer that no other query will ask for.
    pub(crate) fn passing(batches: Vec<RecordBatch>) -> Arc<Self> {
        Arc::new(Self { states: "".into(), head: Offsets::default(), batches, room: None })
    }
}
