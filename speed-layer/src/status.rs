//! The state of a partition that can be read without asking its task.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::realtime::Stall;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::purpose::Purpose;

/// The state of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoldState {
    /// It folds.
    Folding,
    /// It is at the memory limit and waits for room, which a batch run makes.
    Paused,
    /// The log or the catalog does not answer; it retries.
    Stalled(String),
    /// It needs help: only `view`, if one is named, else every view. It can be read up to its head.
    Stopped {
        /// The view that has stopped; `None` for all.
        view: Option<ViewName>,
        /// The cause, and what to do about it.
        why: String,
    },
}

/// The status of one partition of one stream.
#[derive(Debug, Clone)]
pub struct PartitionStatus {
    /// The stream.
    pub stream: StreamName,
    /// The partition's number.
    pub partition: i32,
    /// The offset up to which every filled view has folded.
    pub head: i64,
    /// Bytes of states in memory.
    pub bytes: usize,
    /// Number of slices of all views.
    pub slices: usize,
    /// Its state.
    pub state: FoldState,
}

/// Written by the partition's task.
#[derive(Debug)]
pub(crate) struct SharedStatus {
    /// Heads of the stream's views; [`UNFILLED`] for an unfilled one.
    heads: Vec<AtomicI64>,
    /// Likewise, the least offset from which each view can be read.
    starts: Vec<AtomicI64>,
    assignment: AtomicBool,
    /// Grows when a head in any partition of the stream moves.
    pub(crate) moved: watch::Sender<u64>,
    pub(crate) bytes: AtomicUsize,
    pub(crate) slices: AtomicUsize,
    pub(crate) state: watch::Sender<FoldState>,
    purpose: Purpose,
    /// For each view of the stream, the reason why it alone has stopped.
    stopped: Mutex<Vec<Option<String>>>,
}

const UNFILLED: i64 = -1;

impl SharedStatus {
    pub(crate) fn new(views: usize, purpose: Purpose, moved: &watch::Sender<u64>) -> Self {
        Self {
            assignment: AtomicBool::new(true),
            moved: moved.clone(),
            heads: (0..views).map(|_| AtomicI64::new(UNFILLED)).collect(),
            starts: (0..views).map(|_| AtomicI64::new(UNFILLED)).collect(),
            bytes: AtomicUsize::new(0),
            slices: AtomicUsize::new(0),
            state: watch::Sender::new(FoldState::Folding),
            purpose,
            stopped: Mutex::new(vec![None; views]),
        }
    }

    /// Sets a head; returns whether it has changed.
    pub(crate) fn set_head(&self, view: usize, head: Option<i64>) -> bool {
        let head = head.unwrap_or(UNFILLED);
        self.heads[view].swap(head, Ordering::Relaxed) != head
    }

    pub(crate) fn set_owned(&self, assignment: bool) {
        if self.assignment.swap(assignment, Ordering::Relaxed) != assignment {
            self.moved.send_modify(|n| *n += 1);
        }
    }

    pub(crate) fn is_assigned(&self) -> bool {
        self.assignment.load(Ordering::Relaxed)
    }

    /// The head of a view, unless it is unfilled.
    pub(crate) fn head(&self, view: usize) -> Option<i64> {
        Some(self.heads[view].load(Ordering::Relaxed)).filter(|&head| head != UNFILLED)
    }

    pub(crate) fn set_start(&self, view: usize, start: Option<i64>) {
        self.starts[view].store(start.unwrap_or(UNFILLED), Ordering::Relaxed);
    }

    /// The least offset from which a view can be read, unless it is unfilled.
    pub(crate) fn start(&self, view: usize) -> Option<i64> {
        Some(self.starts[view].load(Ordering::Relaxed)).filter(|&start| start != UNFILLED)
    }

    pub(crate) fn set_stopped(&self, view: usize, why: Option<&str>) {
        let mut stopped = self.stopped.lock();
        if stopped[view].as_deref() != why {
            stopped[view] = why.map(ToOwned::to_owned);
        }
    }

    /// The reason why a view is stalled, its own or the partition's.
    pub(crate) fn stalled(&self, view: usize) -> Option<Stall> {
        let own = self.stopped.lock()[view].clone();
        own.map(Stall::stopped).or_else(|| match &*self.state.borrow() {
            FoldState::Folding => None,
            FoldState::Paused => Some(Stall::stalled(self.purpose.no_room())),
            FoldState::Stalled(why) => Some(Stall::stalled(why)),
            FoldState::Stopped { view: None, why } => Some(Stall::stopped(why)),
            // Another view has stopped: this one goes on.
            FoldState::Stopped { view: Some(_), .. } => None,
        })
    }

    pub(crate) fn lowest_head(&self) -> Option<i64> {
        (0..self.heads.len()).filter_map(|view| self.head(view)).min()
    }
}
