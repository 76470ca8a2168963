//! One view in one partition: its open state, its slices and its offsets.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Weak};

use dovetail_core::offsets::OffsetRange;
use dovetail_core::realtime::{RealtimeError, Slice};
use dovetail_core::slices::Slices;
use dovetail_core::view::{FoldError, Folder, View};
use dovetail_ingestion::formats::Decoded;

use crate::desired_state::{DesiredState, Start};
use crate::purpose::Purpose;
use crate::refold::{Refold, take_slice};

/// Number of segment ends that are remembered. A cut at an older one costs folding a slice again.
const EXPECTED: usize = 8;

/// Folds one view's rows of one partition.
///
/// A failure of one view stops that view only, at a boundary: everything folded before can still be read, and another
/// cut is a new start.
#[derive(Debug)]
pub(crate) struct ViewFold {
    pub(crate) view: Arc<View>,
    pub(crate) partition: i32,
    pub(crate) purpose: Purpose,
    /// The slice with which it begins, in place of what lies below in the log; dropped once it has begun.
    restored: Option<Slice>,
    target: DesiredState,
    /// Ends of the latest segments of the landing, where the next cut may fall.
    expected: BTreeSet<i64>,
    /// Ends of readers' merged copies, the latest last.
    kept: VecDeque<i64>,
    /// The offset up to which each subscriber was sent everything; dropped ones are removed at the next read.
    subscribed: Vec<(Weak<Subscriber>, i64)>,
    /// `None` while the view is unfilled.
    held: Option<HeldSlices>,
    /// The reason why it does not fold.
    stopped: Option<String>,
    /// Whether slices were sealed that may be merged with others.
    untidy: bool,
}

/// A reader that repeatedly gets new slices. Its boundaries are kept for as long as it lives.
#[derive(Debug)]
pub(crate) struct Subscriber;

#[derive(Debug)]
struct HeldSlices {
    start: i64,
    /// Offset at which folding began: below, nothing can be folded again.
    began: i64,
    slices: Slices,
    folder: Folder,
    /// Start of the open state; its end is `head`.
    open: i64,
    head: i64,
    /// The slice that the cut fell into, while it is folded again.
    split: Option<Refold>,
}

impl ViewFold {
    pub(crate) fn new(view: Arc<View>, partition: i32, purpose: Purpose, restored: Option<Slice>) -> Self {
        let target = DesiredState { start: Start::Unfilled, previous: None, coming: vec![] };
        Self {
            view,
            partition,
            purpose,
            restored,
            target,
            expected: BTreeSet::new(),
            kept: VecDeque::new(),
            subscribed: vec![],
            held: None,
            stopped: None,
            untidy: false,
        }
    }

    /// The offset up to which it has folded; `None` while it is unfilled.
    pub(crate) fn head(&self) -> Option<i64> {
        self.held.as_ref().map(|held| held.head)
    }

    /// The least offset from which it can be read; `None` while it is unfilled.
    pub(crate) fn start(&self) -> Option<i64> {
        self.held.as_ref().map(|held| held.start)
    }

    /// Next offset to fold; `None` while there is nothing to do.
    pub(crate) fn next(&self) -> Option<i64> {
        self.head().filter(|_| self.stopped.is_none())
    }

    /// Next offset to fold again.
    pub(crate) fn next_again(&self) -> Option<i64> {
        Some(self.held.as_ref()?.split.as_ref()?.next)
    }

    /// The offset at which folding again ends.
    pub(crate) fn again_end(&self) -> Option<i64> {
        Some(self.held.as_ref()?.split.as_ref()?.whole.end)
    }

    /// The reason why it does not fold, if it has stopped.
    pub(crate) fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    pub(crate) fn bytes(&self) -> usize {
        let held = self.held.as_ref();
        held.map_or(0, |h| h.slices.bytes() + h.folder.size() + h.split.as_ref().map_or(0, Refold::bytes))
    }

    pub(crate) fn slices(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.slices.len())
    }

    /// Stops folding until the next desired state; `why` is shown in the status.
    pub(crate) fn stop(&mut self, why: String) {
        tracing::error!(view = %self.view.name, partition = self.partition, why, "view stopped folding");
        let labels = [("view", self.view.name.to_string()), ("stream", self.view.stream.to_string())];
        metrics::counter!("dovetail_speed_fold_errors_total", &labels).increment(1);
        self.stopped = Some(why);
    }

    /// After a failed fold the open state may hold a part of a batch: it is reset to its start.
    fn failed(&mut self, error: &FoldError) {
        if let Some(held) = &mut self.held {
            match Folder::new(&self.view) {
                Ok(folder) => (held.folder, held.head) = (folder, held.open),
                Err(_) => self.held = None,
            }
        }
        self.stop(error.to_string());
    }

    /// Announces that a segment will end at `end`: when that is ahead, a slice will end there too.
    pub(crate) fn expect(&mut self, end: i64) {
        self.expected.insert(end);
        while self.expected.len() > EXPECTED {
            self.expected.pop_first();
        }
        // When it is behind, later records at least do not extend the slice around it.
        if self.head().is_some_and(|head| end <= head) {
            self.seal();
        }
    }

    /// Keeps a boundary at the end of a reader's merged copy, and the one before: the new copy may not be in use yet.
    pub(crate) fn keep(&mut self, at: i64) {
        self.kept.push_back(at);
        if self.kept.len() > 2 {
            self.kept.pop_front();
        }
    }

    /// Keeps a boundary at the end of the slices just given to `subscriber`.
    pub(crate) fn subscribe(&mut self, subscriber: &Arc<Subscriber>) {
        let Some(open) = self.held.as_ref().map(|held| held.open) else { return };
        self.subscribed.retain(|(other, _)| other.upgrade().is_some_and(|other| !Arc::ptr_eq(&other, subscriber)));
        self.subscribed.push((Arc::downgrade(subscriber), open));
    }

    /// Drops everything: the partition is assigned to another process.
    pub(crate) fn leave(&mut self) {
        *self = Self::new(Arc::clone(&self.view), self.partition, self.purpose, None);
    }

    /// Offsets of present and expected cuts.
    pub(crate) fn cuts(&self) -> BTreeSet<i64> {
        let mut cuts = self.target.pinned(self.partition);
        cuts.extend(&self.expected);
        cuts
    }

    fn pinned(&self) -> BTreeSet<i64> {
        let mut pinned = self.cuts();
        pinned.extend(&self.kept);
        pinned.extend(self.subscribed.iter().filter(|(who, _)| who.strong_count() > 0).map(|(_, at)| at));
        pinned.extend(self.held.as_ref().map(|held| held.began));
        pinned
    }

    /// Whether applying `target` starts anew, so that the log's bounds are needed.
    pub(crate) fn starts_anew(&self, target: &DesiredState) -> bool {
        target.start(self.partition).is_some_and(|start| !self.reaches(start))
    }

    fn reaches(&self, start: i64) -> bool {
        self.held.as_ref().is_some_and(|held| held.start <= start && start <= held.head)
    }

    /// Applies the desired state `target`. `log` has the log's bounds, which matter when it [`Self::starts_anew`].
    pub(crate) fn apply(&mut self, target: DesiredState, log: OffsetRange) {
        let moved = self.target.start != target.start;
        self.target = target;
        let Some(start) = self.target.start(self.partition) else {
            (self.held, self.stopped) = (None, None);
            return;
        };
        self.expected.retain(|&end| end > start);
        if moved {
            // The cause of the stop may lie below the new cut.
            self.stopped = None;
        }
        if !self.reaches(start) {
            return self.begin(start, log);
        }
        self.seal();
        let Some(held) = &mut self.held else { return };
        held.split.take_if(|split| split.at != start);
        match held.slices.cut_by(start) {
            Some(_) if held.split.is_some() => {}
            Some(whole) => match Refold::new(&self.view, whole, start) {
                Ok(split) => held.split = Some(split),
                Err(error) => self.failed(&error.into()),
            },
            None => self.retire(self.target.retire_below(self.partition)),
        }
    }

    /// Starts empty at `start`.
    pub(crate) fn begin(&mut self, start: i64, log: OffsetRange) {
        let folder = match Folder::new(&self.view) {
            Ok(folder) => folder,
            Err(error) => return self.failed(&error.into()),
        };
        let mut slices = Slices::default();
        let mut head = start;
        // Nothing was landed below either: for Dovetail the log begins there.
        if self.target.is_log_start() && log.start > start {
            slices.push(Slice::empty(self.partition, OffsetRange::new(start, log.start)));
            head = log.start;
        }
        if let Some(restored) = self.restored.take().filter(|restored| restored.range.start == start) {
            head = restored.range.end;
            slices.push(restored);
        }
        self.held = Some(HeldSlices { start, began: head, slices, folder, open: head, head, split: None });
        if head < log.start {
            self.stop(self.purpose.lost(head, log));
        } else if head > log.end {
            self.stop(format!("the log ends at {}, before the cut {head}: it is not the log that was landed", log.end));
        }
    }

    /// Drops the slices below `below`. A previous cut can lie in the middle of a slice after a rollback: only whole
    /// slices are dropped.
    fn retire(&mut self, below: i64) {
        let Some(held) = &mut self.held else { return };
        if held.slices.cut_by(below).is_none() {
            held.slices.retire(below);
            held.start = held.start.max(below.min(held.open));
        }
    }

    /// Drops the previous generation's slices, when memory is short.
    pub(crate) fn retire_previous(&mut self) {
        if let Some(start) = self.target.start(self.partition) {
            self.retire(start);
        }
    }

    /// Folds the rows of `decoded` that this view has not folded yet.
    pub(crate) async fn fold(&mut self, decoded: &Arc<Decoded>) {
        let Some(head) = self.next().filter(|&head| decoded.range.contains(head)) else { return };
        let pinned = self.pinned();
        let mut boundaries: Vec<i64> = pinned.range(head + 1..decoded.range.end).copied().collect();
        boundaries.push(decoded.range.end);
        for end in boundaries {
            let Some(held) = self.held.as_mut().filter(|_| self.stopped.is_none()) else { return };
            let before = held.folder.errors().tally.count;
            let folded = held.folder.fold(&decoded.between(held.head, end).rows).await;
            let left_out = held.folder.errors().tally.count - before;
            let reached = match folded {
                Ok(()) => Ok(end),
                Err(FoldError::Row(error)) => Err(error),
                Err(error) => return self.failed(&error),
            };
            held.head = reached.as_ref().map_or_else(|error| error.offset, |&end| end);
            if left_out > 0 {
                let labels = [("view", self.view.name.to_string()), ("stream", self.view.stream.to_string())];
                metrics::counter!("dovetail_view_errors_total", &labels).increment(left_out);
            }
            if let Err(error) = reached {
                return self.stop(error.to_string());
            }
            // Rows are sealed at once: open ones keep the whole batch in memory.
            if pinned.contains(&end) || !self.view.is_aggregate() {
                self.seal();
            }
        }
    }

    /// Folds a part of a slice again that the cut fell into, and splits it when it has both parts.
    pub(crate) async fn fold_again(&mut self, decoded: &Arc<Decoded>) {
        let Some(held) = &mut self.held else { return };
        let Some(mut split) = held.split.take() else { return };
        if let Err(error) = split.fold(decoded).await {
            return self.failed(&error);
        }
        if !split.is_done() {
            held.split = Some(split);
            return;
        }
        let (whole, at) = (split.whole, split.at);
        match split.into_slices(&self.view, self.partition) {
            Ok((below, above)) => held.slices.split(whole, at, below, above),
            Err(error) => return self.failed(&error.into()),
        }
        self.retire(self.target.retire_below(self.partition));
    }

    /// The log no longer has the records for a split: starts anew at the cut.
    pub(crate) fn give_up_split(&mut self, log: OffsetRange) {
        if let Some(start) = self.target.start(self.partition)
            && self.next_again().is_some()
        {
            self.begin(start, log);
        }
    }

    /// Closes the open state into a slice; [`ViewFold::tidy`] merges it with others when no reader waits.
    pub(crate) fn seal(&mut self) {
        let Some(held) = self.held.as_mut().filter(|held| held.open < held.head) else { return };
        let range = OffsetRange::new(held.open, held.head);
        let sealed = take_slice(&self.view, &mut held.folder, self.partition, range).map(|slice| {
            held.slices.push(slice);
            held.open = held.head;
        });
        self.untidy = true;
        metrics::counter!("dovetail_speed_seals_total", "stream" => self.view.stream.to_string()).increment(1);
        if let Err(error) = sealed {
            self.failed(&error.into());
        }
    }

    /// Merges slices that were sealed since the last time.
    pub(crate) fn tidy(&mut self) {
        if !std::mem::take(&mut self.untidy) {
            return;
        }
        let pinned = self.pinned();
        let Some(held) = &mut self.held else { return };
        if let Err(error) = held.slices.compact(&self.view, &pinned) {
            self.failed(&error.into());
        }
    }

    /// The sealed slices from `start`, and the offset at which they end.
    pub(crate) fn read(&self, start: i64) -> Result<(Vec<Slice>, i64), RealtimeError> {
        let view = || self.view.name.clone();
        let Some(held) = &self.held else { return Err(RealtimeError::Unfilled(view())) };
        let reachable = held.start <= start && start <= held.open && held.slices.cut_by(start).is_none();
        if reachable {
            return Ok((held.slices.from(start), held.open));
        }
        if let Some(why) = &self.stopped {
            let (partition, why) = (self.partition, why.clone());
            return Err(RealtimeError::Stopped { view: view(), partition, why });
        }
        if start < held.start {
            let (partition, from) = (self.partition, held.start);
            return Err(RealtimeError::Dropped { view: view(), partition, start, from });
        }
        let (head, towards) = match &held.split {
            Some(split) if start <= held.open => (split.next, split.whole.end),
            _ => (held.head, start),
        };
        let behind = (towards - head).max(0);
        Err(RealtimeError::CatchingUp { view: view(), partition: self.partition, head, behind })
    }
}
