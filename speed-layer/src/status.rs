//! What others may see of a partition without asking its task.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::realtime::HeldUp;
use parking_lot::Mutex;
use tokio::sync::watch;

/// How a partition is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoldState {
    Folding,
    /// At the memory limit: waits for a batch run.
    Paused,
    /// The log or the catalog does not answer at the moment; tried again.
    Stalled(String),
    /// Will not go on by itself: only `view`, if one is named, else every view. Reads are answered up to where it
    /// stopped.
    Stopped {
        view: Option<ViewName>,
        why: String,
    },
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
    /// From where each can be read, likewise.
    floors: Vec<AtomicI64>,
    owned: AtomicBool,
    /// Of the whole stream: grows when a head in any of its partitions moves.
    pub(crate) moved: watch::Sender<u64>,
    pub(crate) bytes: AtomicUsize,
    pub(crate) slices: AtomicUsize,
    pub(crate) state: watch::Sender<FoldState>,
    /// Per view of the stream, why it alone has stopped.
    stopped: Mutex<Vec<Option<String>>>,
}

const UNFILLED: i64 = -1;

impl Shared {
    pub(crate) fn new(views: usize, moved: &watch::Sender<u64>) -> Self {
        Self {
            owned: AtomicBool::new(true),
            moved: moved.clone(),
            heads: (0..views).map(|_| AtomicI64::new(UNFILLED)).collect(),
            floors: (0..views).map(|_| AtomicI64::new(UNFILLED)).collect(),
            bytes: AtomicUsize::new(0),
            slices: AtomicUsize::new(0),
            state: watch::Sender::new(FoldState::Folding),
            stopped: Mutex::new(vec![None; views]),
        }
    }

    /// Returns whether that is news.
    pub(crate) fn set_head(&self, view: usize, head: Option<i64>) -> bool {
        let head = head.unwrap_or(UNFILLED);
        self.heads[view].swap(head, Ordering::Relaxed) != head
    }

    pub(crate) fn set_owned(&self, owned: bool) {
        if self.owned.swap(owned, Ordering::Relaxed) != owned {
            self.moved.send_modify(|n| *n += 1);
        }
    }

    pub(crate) fn owned(&self) -> bool {
        self.owned.load(Ordering::Relaxed)
    }

    /// How far a view has folded, unless it is unfilled.
    pub(crate) fn head(&self, view: usize) -> Option<i64> {
        Some(self.heads[view].load(Ordering::Relaxed)).filter(|&head| head != UNFILLED)
    }

    pub(crate) fn set_floor(&self, view: usize, floor: Option<i64>) {
        self.floors[view].store(floor.unwrap_or(UNFILLED), Ordering::Relaxed);
    }

    /// From where a view can be read at the least, unless it is unfilled.
    pub(crate) fn floor(&self, view: usize) -> Option<i64> {
        Some(self.floors[view].load(Ordering::Relaxed)).filter(|&floor| floor != UNFILLED)
    }

    pub(crate) fn set_stopped(&self, view: usize, why: Option<&str>) {
        let mut stopped = self.stopped.lock();
        if stopped[view].as_deref() != why {
            stopped[view] = why.map(ToOwned::to_owned);
        }
    }

    /// Why a view is not folded, on its own account or because nothing of the partition is.
    pub(crate) fn held_up(&self, view: usize) -> Option<HeldUp> {
        let own = self.stopped.lock()[view].clone();
        own.map(HeldUp::stopped).or_else(|| match &*self.state.borrow() {
            FoldState::Folding => None,
            FoldState::Paused => Some(HeldUp::stalled("the speed layer is out of memory; a batch run makes room")),
            FoldState::Stalled(why) => Some(HeldUp::stalled(why)),
            FoldState::Stopped { view: None, why } => Some(HeldUp::stopped(why)),
            // That is another view: this one goes on.
            FoldState::Stopped { view: Some(_), .. } => None,
        })
    }

    pub(crate) fn lowest_head(&self) -> Option<i64> {
        (0..self.heads.len()).filter_map(|view| self.head(view)).min()
    }
}
