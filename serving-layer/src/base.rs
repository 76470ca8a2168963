//! Merged bases: what many reads have in common is merged once.
//!
//! ```text
//! batch states ─┐
//! slice, slice ─┴─► base, up to some end per partition     merged once, shared
//!        slice, slice, slice  ..                            the delta: merged by each read
//! ```
//! Slices are immutable, so a base stays right for every snapshot of the same batch states whose slices have a
//! boundary where the base ends. A delta that has grown is merged into a new base, beside the queries.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use datafusion::common::Result;
use dovetail_core::name::ViewName;
use dovetail_core::offsets::Offsets;
use dovetail_core::realtime::{Realtime, Slice};
use dovetail_core::view::View;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::snapshot::Tail;
use crate::states::States;

/// A delta of so many slices is merged even when it has few rows.
const MANY_SLICES: usize = 48;
/// Finished answers kept per view.
const ANSWERS: usize = 2;

/// Batch states and the slices up to `ends`, merged.
#[derive(Debug)]
struct Base {
    states: Arc<str>,
    ends: Offsets,
    batches: Vec<RecordBatch>,
    rows: usize,
}

/// A finished answer and what it was finished from.
#[derive(Debug)]
struct Answer {
    states: Arc<str>,
    head: Offsets,
    columns: Vec<usize>,
    batches: Arc<Vec<RecordBatch>>,
}

/// What is kept for one view.
#[derive(Debug, Default)]
struct Kept {
    base: Mutex<Option<Arc<Base>>>,
    merging: AtomicBool,
    answers: Mutex<VecDeque<Answer>>,
}

/// The merged bases and last answers of all views.
#[derive(Debug)]
pub(crate) struct Bases {
    views: HashMap<ViewName, Arc<Kept>>,
    tasks: TaskTracker,
    /// An answer larger than this is not kept.
    answer_bytes: usize,
}

/// How much of a view a read merges. One that filters has little left to merge: that others could do it for good is
/// worth less to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    All,
    Filtered,
}

/// States that make up one snapshot of a view, merged as far as they are.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(crate) batches: Vec<RecordBatch>,
    /// Rows of `batches` that no base holds, and the base's own.
    delta_rows: usize,
    base_rows: usize,
    delta_slices: usize,
}

impl Bases {
    pub(crate) fn new(views: impl Iterator<Item = ViewName>, tasks: TaskTracker, answer_bytes: usize) -> Self {
        Self { views: views.map(|view| (view, Arc::default())).collect(), tasks, answer_bytes }
    }

    /// The states of a snapshot, and a merge started beside if they have become many for a read of this `reach`.
    pub(crate) fn pieces(
        &self,
        view: &Arc<View>,
        states: &Arc<States>,
        tail: &Arc<Tail>,
        reach: Reach,
        realtime: &Arc<dyn Realtime>,
    ) -> Pieces {
        let Some(kept) = self.views.get(&view.name).filter(|_| view.is_aggregate()) else {
            return pieces(None, states, tail);
        };
        let base = kept.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pieces = pieces(base.filter(|base| fits(base, states, tail)).as_deref(), states, tail);
        if pieces.are_many(reach) && !kept.merging.swap(true, Ordering::AcqRel) {
            let (kept, view, states, tail) = (Arc::clone(kept), Arc::clone(view), Arc::clone(states), Arc::clone(tail));
            realtime.keep_boundary(&view.name, &tail.met.head);
            let batches = pieces.batches.clone();
            self.tasks.spawn_blocking(move || {
                match merged(&view, &states, &tail, &batches) {
                    Ok(base) => *kept.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(base)),
                    Err(error) => warn!(view = %view.name, %error, "states could not be merged ahead"),
                }
                kept.merging.store(false, Ordering::Release);
            });
        }
        pieces
    }

    /// The answer of the same snapshot, if it was finished before.
    pub(crate) fn answer(
        &self,
        view: &View,
        states: &States,
        tail: &Tail,
        columns: &[usize],
    ) -> Option<Arc<Vec<RecordBatch>>> {
        let answers = self.views.get(&view.name)?.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            answers.iter().find(|a| a.states == states.id && a.head == tail.met.head && a.columns == columns)?;
        Some(Arc::clone(&found.batches))
    }

    /// Keeps an answer for whoever asks next.
    pub(crate) fn keep(
        &self,
        view: &View,
        states: &States,
        tail: &Tail,
        columns: &[usize],
        batches: &Arc<Vec<RecordBatch>>,
    ) {
        let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let Some(kept) = self.views.get(&view.name).filter(|_| bytes <= self.answer_bytes) else { return };
        let mut answers = kept.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.truncate(ANSWERS - 1);
        answers.push_front(Answer {
            states: Arc::clone(&states.id),
            head: tail.met.head.clone(),
            columns: columns.to_vec(),
            batches: Arc::clone(batches),
        });
    }
}

impl Pieces {
    /// Whether merging them once would save the reads that follow more than it costs.
    fn are_many(&self, reach: Reach) -> bool {
        let rows = match reach {
            Reach::All => self.delta_rows * 4,
            Reach::Filtered => self.delta_rows,
        };
        self.delta_slices > MANY_SLICES || (self.delta_slices > 1 && rows > self.base_rows)
    }
}

/// Whether every partition of the snapshot has a slice boundary where the base ends.
fn fits(base: &Base, states: &States, tail: &Tail) -> bool {
    let boundary = |partition: i32, end: i64| {
        end == tail.met.cut.get(partition)
            || tail.slices.iter().any(|slice| slice.partition == partition && slice.range.end == end)
    };
    base.states == states.id && tail.met.head.partitions().all(|p| boundary(p, base.ends.get(p)))
}

fn pieces(base: Option<&Base>, states: &States, tail: &Tail) -> Pieces {
    let above = |slice: &&Slice| base.is_none_or(|base| slice.range.start >= base.ends.get(slice.partition));
    let delta: Vec<&Slice> = tail.slices.iter().filter(above).filter(|slice| !slice.range.is_empty()).collect();
    let mut batches = base.map_or_else(|| states.batches.clone(), |base| base.batches.clone());
    let base_rows = base.map_or(states.rows, |base| base.rows);
    let mut delta_rows = 0;
    for batch in delta.iter().flat_map(|slice| slice.state.iter()) {
        delta_rows += batch.num_rows();
        batches.push(batch.clone());
    }
    Pieces { batches, delta_rows, base_rows, delta_slices: delta.len() }
}

fn merged(view: &View, states: &States, tail: &Tail, batches: &[RecordBatch]) -> Result<Base> {
    let batches = view.merge(batches)?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    Ok(Base { states: Arc::clone(&states.id), ends: tail.met.head.clone(), batches, rows })
}
