//! What others may see of a partition without asking its task.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use dovetail_core::name::StreamName;
use tokio::sync::watch;

/// How a partition is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoldState {
    Folding,
    /// At the memory limit: waits for a batch run.
    Paused,
    /// The log or the catalog does not answer at the moment; tried again.
    Stalled(String),
    /// At least one view will not go on by itself. Reads are answered up to where it stopped.
    Stopped(String),
}

/// How one partition of one stream is doing.
#[derive(Debug, Clone)]
pub struct PartitionStatus {
    pub stream: StreamName,
    pub partition: i32,
    /// Up to where every view that is filled has folded.
    pub head: i64,
    /// Bytes of states.
    pub bytes: usize,
    /// Slices of all views.
    pub slices: usize,
    pub state: FoldState,
}

/// Written by the partition's task.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Per view of the stream; [`UNFILLED`] while it is.
    heads: Vec<AtomicI64>,
    pub(crate) bytes: AtomicUsize,
    pub(crate) slices: AtomicUsize,
    pub(crate) state: watch::Sender<FoldState>,
}

const UNFILLED: i64 = -1;

impl Shared {
    pub(crate) fn new(views: usize) -> Self {
        Self {
            heads: (0..views).map(|_| AtomicI64::new(UNFILLED)).collect(),
            bytes: AtomicUsize::new(0),
            slices: AtomicUsize::new(0),
            state: watch::Sender::new(FoldState::Folding),
        }
    }

    pub(crate) fn set_head(&self, view: usize, head: Option<i64>) {
        self.heads[view].store(head.unwrap_or(UNFILLED), Ordering::Relaxed);
    }

    /// How far a view has folded, unless it is unfilled.
    pub(crate) fn head(&self, view: usize) -> Option<i64> {
        Some(self.heads[view].load(Ordering::Relaxed)).filter(|&head| head != UNFILLED)
    }

    pub(crate) fn lowest_head(&self) -> Option<i64> {
        (0..self.heads.len()).filter_map(|view| self.head(view)).min()
    }
}
