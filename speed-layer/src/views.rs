//! All views of one partition, each at its own offset. They share the reads of the log.

use std::collections::HashMap;
use std::sync::Arc;

use dovetail_core::name::ViewName;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::realtime::Slice;
use dovetail_core::view::View;
use dovetail_ingestion::formats::Decoded;

use crate::desired_state::{DesiredState, Start, Targets};
use crate::purpose::Purpose;
use crate::status::{FoldState, SharedStatus};
use crate::view_fold::ViewFold;

/// The slice with which each partition of each view begins.
pub(crate) type RestoredSlices = HashMap<ViewName, HashMap<i32, Slice>>;

#[derive(Debug)]
pub(crate) struct Views {
    pub(crate) folds: Vec<ViewFold>,
}

impl Views {
    pub(crate) fn new(views: &[Arc<View>], partition: i32, purpose: Purpose, restored: &RestoredSlices) -> Self {
        let restored = |view: &View| restored.get(&view.name).and_then(|of| of.get(&partition)).cloned();
        let folds = views.iter().map(|view| ViewFold::new(Arc::clone(view), partition, purpose, restored(view)));
        Self { folds: folds.collect() }
    }

    /// Next offset to fold: that of the view that is furthest behind.
    pub(crate) fn next(&self) -> Option<i64> {
        self.folds.iter().filter_map(ViewFold::next).min()
    }

    /// Next offset to fold again.
    pub(crate) fn next_again(&self) -> Option<i64> {
        self.folds.iter().filter_map(ViewFold::next_again).min()
    }

    /// The offset at which folding again ends.
    pub(crate) fn again_end(&self) -> Option<i64> {
        self.folds.iter().filter_map(ViewFold::again_end).max()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.folds.iter().map(ViewFold::bytes).sum()
    }

    /// The first view that has stopped.
    pub(crate) fn stopped(&self) -> Option<FoldState> {
        self.folds.iter().find_map(|fold| {
            Some(FoldState::Stopped { view: Some(fold.view.name.clone()), why: fold.stopped()?.to_owned() })
        })
    }

    pub(crate) fn starts_anew(&self, targets: &Targets) -> bool {
        self.folds.iter().any(|fold| targets.views.get(&fold.view.name).is_some_and(|t| fold.starts_anew(t)))
    }

    pub(crate) fn apply(&mut self, targets: &Targets, log: OffsetRange) {
        for fold in &mut self.folds {
            if let Some(target) = targets.views.get(&fold.view.name) {
                let lost = target.is_log_start() && targets.lost(&fold.view.stream, fold.partition, log.start);
                let start = if lost { Start::Unfilled } else { target.start.clone() };
                fold.apply(DesiredState { start, ..target.clone() }, log);
            }
        }
    }

    pub(crate) fn leave(&mut self) {
        self.folds.iter_mut().for_each(ViewFold::leave);
    }

    pub(crate) fn expect(&mut self, end: i64) {
        self.folds.iter_mut().for_each(|fold| fold.expect(end));
    }

    pub(crate) fn tidy(&mut self) {
        self.folds.iter_mut().for_each(ViewFold::tidy);
    }

    pub(crate) fn retire_previous(&mut self) {
        self.folds.iter_mut().for_each(ViewFold::retire_previous);
    }

    pub(crate) async fn fold(&mut self, decoded: &Arc<Decoded>) {
        for fold in &mut self.folds {
            fold.fold(decoded).await;
        }
    }

    pub(crate) async fn fold_again(&mut self, decoded: &Arc<Decoded>) {
        for fold in &mut self.folds {
            fold.fold_again(decoded).await;
        }
    }

    /// The log begins at `first` only: views that still need something below start elsewhere or stop.
    pub(crate) fn trimmed(&mut self, first: i64, log: OffsetRange) {
        for fold in &mut self.folds {
            if fold.next_again().is_some_and(|next| next < first) {
                fold.give_up_split(log);
            }
            if let Some(next) = fold.next().filter(|next| *next < first) {
                fold.stop(fold.purpose.lost(next, OffsetRange::new(first, log.end.max(first))));
            }
        }
    }

    /// Publishes the status.
    pub(crate) fn show(&self, shared: &SharedStatus) {
        use std::sync::atomic::Ordering::Relaxed;
        let mut moved = false;
        for (i, fold) in self.folds.iter().enumerate() {
            moved |= shared.set_head(i, fold.head());
            shared.set_start(i, fold.start());
            shared.set_stopped(i, fold.stopped());
        }
        if moved {
            shared.moved.send_modify(|n| *n += 1);
        }
        shared.slices.store(self.folds.iter().map(ViewFold::slices).sum(), Relaxed);
    }
}
