//! The progress of a run. Its counts never decrease during a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use dovetail_core::name::ViewName;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::recompute::choose_cut::Choice;

/// The present step of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// There was no run yet.
    #[default]
    Idle,
    /// It checks that all segments exist.
    Checking,
    /// It folds segments.
    Folding,
    /// It writes the manifest and moves the pointer.
    Publishing,
    /// It has ended; the row of the run tells how.
    Ended,
}

impl Phase {
    /// The word for the step in the catalog and for clients.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Checking => "checking",
            Self::Folding => "folding",
            Self::Publishing => "publishing",
            Self::Ended => "ended",
        }
    }
}

/// The progress of a run over all its views: a segment that two views read counts twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The run's number, 0 before the first.
    pub run_id: i64,
    /// Its present step.
    pub phase: Phase,
    /// The view that is being folded.
    pub view: Option<ViewName>,
    /// Number of views folded.
    pub views_done: usize,
    /// Number of views to fold.
    pub views: usize,
    /// Number of segments folded.
    pub segments_done: usize,
    /// Number of segments to fold.
    pub segments: usize,
    /// Number of rows folded.
    pub rows_done: u64,
    /// Number of rows to fold.
    pub rows_total: u64,
    /// Time of its start, in milliseconds since the Unix epoch.
    pub started_ms: i64,
}

/// Reports the progress of a run.
#[derive(Debug)]
pub(crate) struct Reporter {
    sender: watch::Sender<Progress>,
    /// Rows and segments of the views that are folded.
    done: Mutex<(u64, usize)>,
}

impl Reporter {
    pub(crate) fn new() -> Self {
        Self { sender: watch::Sender::new(Progress::default()), done: Mutex::default() }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.sender.subscribe()
    }

    pub(crate) fn now(&self) -> Progress {
        self.sender.borrow().clone()
    }

    pub(crate) fn begin(&self, run_id: i64, choice: &Choice, started_ms: i64) {
        self.set_done((0, 0));
        self.sender.send_replace(Progress {
            run_id,
            phase: Phase::Checking,
            view: None,
            views_done: 0,
            views: choice.folds.len(),
            segments_done: 0,
            segments: choice.folds.iter().map(|fold| fold.segments.len()).sum(),
            rows_done: 0,
            rows_total: choice.folds.iter().map(crate::recompute::choose_cut::ViewFold::rows).sum(),
            started_ms,
        });
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.sender.send_modify(|progress| progress.phase = phase);
    }

    pub(crate) fn view(&self, view: &ViewName) {
        self.sender.send_modify(|progress| {
            progress.phase = Phase::Folding;
            progress.view = Some(view.clone());
        });
    }

    /// Reports that `rows` of `of_rows` of the present view were read.
    pub(crate) fn read(&self, rows: u64, of_rows: u64, of_segments: usize) {
        let (rows_before, segments_before) = self.done();
        let rows = rows.min(of_rows);
        // Only the number of rows is known, not the segments done.
        let segments = (u128::from(rows) * of_segments as u128).checked_div(u128::from(of_rows)).unwrap_or(0);
        self.sender.send_modify(|progress| {
            progress.rows_done = progress.rows_done.max(rows_before + rows);
            progress.segments_done =
                progress.segments_done.max(segments_before + usize::try_from(segments).unwrap_or(0));
        });
    }

    pub(crate) fn view_done(&self, of_rows: u64, of_segments: usize) {
        self.read(of_rows, of_rows, of_segments);
        let (rows, segments) = self.done();
        self.set_done((rows + of_rows, segments + of_segments));
        let (rows, segments) = self.done();
        self.sender.send_modify(|progress| {
            progress.views_done += 1;
            progress.rows_done = progress.rows_done.max(rows);
            progress.segments_done = progress.segments_done.max(segments);
        });
    }

    fn done(&self) -> (u64, usize) {
        *self.done.lock()
    }

    fn set_done(&self, done: (u64, usize)) {
        *self.done.lock() = done;
    }
}

/// The number of rows that a scan has returned so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowsRead {
    files: ExecutionPlanMetricsSet,
    decoded: Arc<AtomicU64>,
}

impl RowsRead {
    /// Counts the rows of `files`, the metrics of a scan of files.
    pub(crate) fn of(files: ExecutionPlanMetricsSet) -> Self {
        Self { files, decoded: Arc::default() }
    }

    /// Counter of the rows that are decoded again.
    pub(crate) fn decoded(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.decoded)
    }

    pub(crate) fn get(&self) -> u64 {
        let files = self.files.clone_inner().output_rows().unwrap_or(0);
        files as u64 + self.decoded.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_goes_backwards() {
        let reporter = Reporter::new();
        reporter.sender.send_modify(|progress| (progress.views, progress.rows_total, progress.segments) = (2, 200, 6));
        let mut seen = vec![];
        for (rows, of, segments) in [(40, 100, 4), (30, 100, 4), (400, 100, 4)] {
            reporter.read(rows, of, segments);
            seen.push((reporter.now().rows_done, reporter.now().segments_done));
        }
        reporter.view_done(100, 4);
        reporter.read(10, 100, 2);
        seen.push((reporter.now().rows_done, reporter.now().segments_done));
        reporter.view_done(100, 2);
        seen.push((reporter.now().rows_done, reporter.now().segments_done));
        assert_eq!(seen, [(40, 1), (40, 1), (100, 4), (110, 4), (200, 6)]);
    }
}
