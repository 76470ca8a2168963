//! The local state of a partition: its known end, and the cursors that read it.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::cursor::Cursor;
use super::sources::Sources;
use crate::log::LogError;

pub(super) struct Partition {
    pub(super) topic: Arc<str>,
    pub(super) number: i32,
    /// The highest end seen: records below it can be read.
    pub(super) end: watch::Sender<i64>,
    /// Locked by the task that watches for new records on behalf of all.
    pub(super) watching: tokio::sync::Mutex<()>,
    /// Locked while records are handed to the producer, so that those of one append are contiguous.
    pub(super) sending: tokio::sync::Mutex<()>,
    pub(super) sources: tokio::sync::Mutex<Sources>,
    /// Locked by the task that searches backwards for a source.
    pub(super) searching: tokio::sync::Mutex<()>,
    /// One slot per consumer.
    slots: Mutex<Vec<Slot>>,
    released: Notify,
}

enum Slot {
    Empty,
    Idle {
        cursor: Cursor,
        since: Instant,
    },
    /// Leased; `watched` is the offset of a cursor that waits for records, and comes back once there are some.
    Lent {
        watched: Option<i64>,
    },
}

impl Partition {
    pub(super) fn new(topic: &Arc<str>, number: i32, lanes: usize) -> Self {
        Self {
            topic: Arc::clone(topic),
            number,
            end: watch::Sender::new(-1),
            watching: tokio::sync::Mutex::new(()),
            sending: tokio::sync::Mutex::new(()),
            sources: tokio::sync::Mutex::default(),
            searching: tokio::sync::Mutex::new(()),
            slots: Mutex::new((0..lanes).map(|_| Slot::Empty).collect()),
            released: Notify::new(),
        }
    }

    pub(super) fn known_end(&self) -> i64 {
        *self.end.borrow()
    }

    pub(super) fn reaches(&self, end: i64) {
        self.end.send_if_modified(|known| {
            let further = end > *known;
            *known = end.max(*known);
            further
        });
    }

    /// Refuses a read that cannot begin at `from`.
    pub(super) fn check(&self, from: i64, bounds: OffsetRange) -> Result<(), LogError> {
        let (topic, partition) = (self.topic.to_string(), self.number);
        if from < bounds.start {
            return Err(LogError::Trimmed { topic, partition, offset: from, first: bounds.start });
        }
        if from > bounds.end {
            return Err(LogError::PastEnd { topic, partition, offset: from, end: bounds.end });
        }
        Ok(())
    }

    /// Leases the cursor at `from`, or an unused one, or a slot for a new one.
    pub(super) async fn lend(self: &Arc<Self>, from: i64, watch: bool) -> Loan {
        let mut released = pin!(self.released.notified());
        loop {
            released.as_mut().enable();
            if let Some((lane, cursor)) = choose(&mut self.slots(), from, watch) {
                return Loan { partition: Arc::clone(self), lane, cursor };
            }
            released.as_mut().await;
            released.set(self.released.notified());
        }
    }

    /// Drops cursors that were unused for `age`, except those at the end, where the next record is awaited.
    pub(super) fn retire(&self, age: Duration) {
        let end = self.known_end();
        for slot in self.slots().iter_mut() {
            if matches!(slot, Slot::Idle { cursor, since } if since.elapsed() > age && cursor.next() < end) {
                *slot = Slot::Empty;
            }
        }
    }

    fn slots(&self) -> parking_lot::MutexGuard<'_, Vec<Slot>> {
        self.slots.lock()
    }
}

fn choose(slots: &mut [Slot], from: i64, watch: bool) -> Option<(usize, Option<Cursor>)> {
    let there = slots.iter().position(|slot| matches!(slot, Slot::Idle { cursor, .. } if cursor.next() == from));
    // A cursor that waits at this offset is back in a moment: no other has to be moved.
    let coming = slots.iter().any(|slot| matches!(slot, Slot::Lent { watched: Some(at) } if *at == from));
    if there.is_none() && coming {
        return None;
    }
    let empty = || slots.iter().position(|slot| matches!(slot, Slot::Empty));
    let lane = there.or_else(empty).or_else(|| longest_idle(slots))?;
    let lent = Slot::Lent { watched: watch.then_some(from) };
    match std::mem::replace(&mut slots[lane], lent) {
        Slot::Idle { cursor, .. } => Some((lane, Some(cursor))),
        Slot::Empty | Slot::Lent { .. } => Some((lane, None)),
    }
}

fn longest_idle(slots: &[Slot]) -> Option<usize> {
    let idle = slots.iter().enumerate().filter_map(|(lane, slot)| match slot {
        Slot::Idle { since, .. } => Some((since, lane)),
        Slot::Empty | Slot::Lent { .. } => None,
    });
    idle.min().map(|(_, lane)| lane)
}

/// A leased cursor; it is returned when this is dropped.
pub(super) struct Loan {
    partition: Arc<Partition>,
    pub(super) lane: usize,
    cursor: Option<Cursor>,
}

impl Loan {
    /// Drops the cursor: the next lease opens a new one.
    pub(super) fn discard(mut self) {
        self.cursor = None;
    }
}

impl Deref for Loan {
    type Target = Option<Cursor>;

    fn deref(&self) -> &Option<Cursor> {
        &self.cursor
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut Option<Cursor> {
        &mut self.cursor
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let slot = match self.cursor.take() {
            Some(cursor) => Slot::Idle { cursor, since: clock::now_monotonic() },
            None => Slot::Empty,
        };
        self.partition.slots()[self.lane] = slot;
        self.partition.released.notify_waiters();
    }
}
