//! A cache of merged copies: the common part of many reads is merged once.
//!
//! ```text
//! batch states ─┐
//! slice, slice ─┴─► copy, up to an end per partition       merged once, shared
//!        slice, slice, slice  ..                            the delta: merged by each read
//! ```
//! Slices are immutable, so a copy stays right for every snapshot of the same batch states whose slices have a boundary
//! at the copy's end. A delta that has grown is merged into a new copy, beside the queries.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::MemoryReservation;
use dovetail_core::clock;
use dovetail_core::name::ViewName;
use dovetail_core::realtime::{Realtime, Slice};
use dovetail_core::view::View;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::memory::{Pool, SharedLimit};
use crate::snapshot::RealtimePart;
use crate::snapshot::cache::{Cache, CacheKind};
use crate::snapshot::kept::{FinishedAnswer, MergedStates, Room, States};

/// Number of slices at which a delta is merged although it has few rows.
const MANY_SLICES: usize = 48;
/// An answer is kept when it takes no more than the cache's size divided by this.
const PART_OF_CACHE: usize = 8;
/// Pause before the next attempt after a merge that failed.
const MERGE_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The state of merging one view.
#[derive(Debug, Default)]
struct Merging {
    is_on: AtomicBool,
    /// The earliest time of the next attempt, after a failed one.
    not_before: Mutex<Option<Instant>>,
}

/// A merge in progress, until this is dropped.
struct MergeTurn(Arc<Merging>);

impl Drop for MergeTurn {
    fn drop(&mut self) {
        self.0.is_on.store(false, Ordering::Release);
    }
}

impl Merging {
    fn turn(self: &Arc<Self>) -> Option<MergeTurn> {
        let not_before = *self.not_before.lock();
        if not_before.is_some_and(|at| clock::now_monotonic() < at) || self.is_on.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(MergeTurn(Arc::clone(self)))
    }
}

impl MergeTurn {
    fn ended(self, outcome: &'static str) {
        metrics::counter!("dovetail_merges_total", "outcome" => outcome).increment(1);
        let not_before = (outcome != "merged").then(|| clock::now_monotonic() + MERGE_RETRY_PAUSE);
        *self.0.not_before.lock() = not_before;
    }
}

/// The merged copies and last answers of all views.
#[derive(Debug)]
pub(crate) struct MergedCache {
    views: HashMap<ViewName, Arc<Merging>>,
    cache: Arc<Cache>,
    /// Memory of merges in progress.
    memory: Arc<Pool>,
    tasks: TaskTracker,
}

/// The part of a view that a read merges. A filtered read merges few rows, so it is a weaker reason to build the merged
/// copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    All,
    Filtered,
}

/// The states of one snapshot of a view, merged as far as they are.
#[derive(Debug)]
pub(crate) struct SnapshotStates {
    pub(crate) batches: Vec<RecordBatch>,
    /// The merged copy with some of them, which counts while they are used.
    #[expect(dead_code, reason = "counts until it is dropped")]
    base: Option<Arc<MergedStates>>,
    /// Number of rows of `batches` that are in no copy, and of the copy.
    delta_rows: usize,
    base_rows: usize,
    delta_slices: usize,
}

impl MergedCache {
    pub(crate) fn new(
        views: impl Iterator<Item = ViewName>,
        cache: &Arc<Cache>,
        memory: &SharedLimit,
        tasks: TaskTracker,
    ) -> Self {
        let views = views.map(|view| (view, Arc::default())).collect();
        Self { views, cache: Arc::clone(cache), memory: Pool::of("merging", memory), tasks }
    }

    /// The states of a snapshot; also starts a merge beside when they have become many for a read of this `reach`.
    pub(crate) fn pieces(
        &self,
        view: &Arc<View>,
        states: &Arc<States>,
        realtime_part: &Arc<RealtimePart>,
        reach: Reach,
        realtime: &Arc<dyn Realtime>,
    ) -> SnapshotStates {
        let Some(merging) = self.views.get(&view.name).filter(|_| view.is_aggregate()) else {
            return pieces(None, states, realtime_part);
        };
        let base = self.cache.merged(&view.name).filter(|base| fits(base, states, realtime_part));
        let pieces = pieces(base, states, realtime_part);
        if pieces.are_many(reach)
            && let Some(turn) = merging.turn()
        {
            match self.room_for(view, states, &pieces.batches) {
                Some(room) => {
                    realtime.keep_boundary(&view.name, &realtime_part.met.head);
                    self.merge((view, states, realtime_part), pieces.batches.clone(), room, turn);
                }
                None => turn.ended("no_room"),
            }
        }
        pieces
    }

    /// Memory for the result of a merge, and for its work, which takes about twice that. It has to fit beside the
    /// view's own states, or each would evict the other.
    fn room_for(&self, view: &View, states: &States, batches: &[RecordBatch]) -> Option<(Room, MemoryReservation)> {
        let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        if states.bytes.saturating_add(bytes) > self.cache.limit() {
            return None;
        }
        let work = self.memory.take(&view.name, bytes.saturating_mul(2)).ok()?;
        let room = self.cache.room(CacheKind::Merged, &view.name);
        self.cache.try_grow(&room, bytes).then_some((room, work))
    }

    fn merge(
        &self,
        (view, states, realtime_part): (&Arc<View>, &Arc<States>, &Arc<RealtimePart>),
        batches: Vec<RecordBatch>,
        (room, work): (Room, MemoryReservation),
        turn: MergeTurn,
    ) {
        let (view, states, realtime_part) = (Arc::clone(view), Arc::clone(states), Arc::clone(realtime_part));
        let cache = Arc::clone(&self.cache);
        self.tasks.spawn_blocking(move || {
            let _work = work;
            // A bug in one merge must not end merging for good.
            let outcome = match catch_unwind(AssertUnwindSafe(|| view.merge(&batches))) {
                Ok(Ok(batches)) => {
                    let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
                    let taken = room.bytes();
                    room.shrink_to(bytes);
                    if bytes <= taken || cache.try_grow(&room, bytes - taken) {
                        let rows = batches.iter().map(RecordBatch::num_rows).sum();
                        let ends = realtime_part.met.head.clone();
                        cache.keep_merged(
                            &view.name,
                            MergedStates { states: Arc::clone(&states.id), ends, batches, rows, room },
                        );
                        "merged"
                    } else {
                        "no_room"
                    }
                }
                Ok(Err(error)) => {
                    warn!(view = %view.name, %error, "states could not be merged ahead");
                    "failed"
                }
                Err(_panic) => {
                    error!(view = %view.name, "merging states ahead met a bug; queries merge them themselves");
                    "panicked"
                }
            };
            turn.ended(outcome);
        });
    }

    /// The answer of the same snapshot, if it was finished before.
    pub(crate) fn answer(
        &self,
        view: &View,
        states: &States,
        realtime_part: &RealtimePart,
        columns: &[usize],
    ) -> Option<Arc<FinishedAnswer>> {
        self.cache.answer(&view.name, columns).filter(|a| a.states == states.id && a.head == realtime_part.met.head)
    }

    /// The answer, kept for later readers if there is room.
    pub(crate) fn keep(
        &self,
        view: &View,
        states: &States,
        realtime_part: &RealtimePart,
        columns: &[usize],
        batches: Vec<RecordBatch>,
    ) -> Arc<FinishedAnswer> {
        let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let room = (view.is_aggregate() && bytes <= self.cache.limit() / PART_OF_CACHE)
            .then(|| self.cache.room(CacheKind::Answers, &view.name))
            .filter(|room| self.cache.try_grow(room, bytes));
        let answer =
            FinishedAnswer { states: Arc::clone(&states.id), head: realtime_part.met.head.clone(), batches, room };
        let answer = Arc::new(answer);
        if answer.is_kept() {
            self.cache.keep_answer(&view.name, columns, &answer);
        }
        answer
    }
}

impl SnapshotStates {
    /// The states of one layer alone.
    pub(crate) fn of(batches: Vec<RecordBatch>) -> Self {
        Self { batches, base: None, delta_rows: 0, base_rows: 0, delta_slices: 0 }
    }

    /// Whether merging them once would save later reads more than it costs.
    fn are_many(&self, reach: Reach) -> bool {
        let rows = match reach {
            Reach::All => self.delta_rows * 4,
            Reach::Filtered => self.delta_rows,
        };
        self.delta_slices > MANY_SLICES || (self.delta_slices > 1 && rows > self.base_rows)
    }
}

/// Whether every partition of the snapshot has a slice boundary at the end of the copy.
fn fits(base: &MergedStates, states: &States, realtime_part: &RealtimePart) -> bool {
    let boundary = |partition: i32, end: i64| {
        end == realtime_part.met.cut.get(partition)
            || realtime_part.slices.iter().any(|slice| slice.partition == partition && slice.range.end == end)
    };
    base.states == states.id && realtime_part.met.head.partitions().all(|p| boundary(p, base.ends.get(p)))
}

fn pieces(base: Option<Arc<MergedStates>>, states: &States, realtime_part: &RealtimePart) -> SnapshotStates {
    let above = |slice: &&Slice| base.as_ref().is_none_or(|base| slice.range.start >= base.ends.get(slice.partition));
    let delta: Vec<&Slice> =
        realtime_part.slices.iter().filter(above).filter(|slice| !slice.range.is_empty()).collect();
    let mut batches = base.as_ref().map_or_else(|| states.batches.clone(), |base| base.batches.clone());
    let base_rows = base.as_ref().map_or(states.rows, |base| base.rows);
    let mut delta_rows = 0;
    for batch in delta.iter().flat_map(|slice| slice.state.iter()) {
        delta_rows += batch.num_rows();
        batches.push(batch.clone());
    }
    let delta_slices = delta.len();
    SnapshotStates { batches, base, delta_rows, base_rows, delta_slices }
}
