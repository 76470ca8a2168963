//! The progress of verification.

use dovetail_api::verify::VerifyProgress;
use dovetail_core::name::ViewName;
use parking_lot::Mutex;
use tokio::sync::MutexGuard;

/// A shared record of the progress.
#[derive(Debug, Default)]
pub struct VerifyTracker {
    turns: tokio::sync::Mutex<()>,
    noted: Mutex<ProgressState>,
}

#[derive(Debug, Default)]
struct ProgressState {
    verified: VerifyProgress,
    /// Least number of records of each view that is still to come.
    expected: Vec<u64>,
}

impl VerifyTracker {
    pub(crate) fn now(&self) -> VerifyProgress {
        self.noted.lock().verified.clone()
    }

    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turns.lock().await
    }

    /// Begins a verification of views with `expected` records each. It ends when the returned guard is dropped: done,
    /// failed, or given up by the client.
    pub(super) fn begin(&self, expected: &[u64]) -> Verifying<'_> {
        self.note(|noted| {
            noted.expected = expected.iter().rev().copied().collect();
            let (number, records) = (noted.verified.number + 1, expected.iter().sum());
            noted.verified = VerifyProgress { number, records, ..VerifyProgress::default() };
        });
        Verifying(self)
    }

    /// Continues with the next view, which reads `records`.
    pub(super) fn view(&self, view: &ViewName, records: u64) {
        self.note(|noted| {
            let expected = noted.expected.pop().unwrap_or(0);
            noted.verified.view = Some(view.to_string());
            noted.verified.records = noted.verified.records.saturating_sub(expected) + records;
        });
    }

    pub(crate) fn read(&self, records: u64) {
        self.note(|noted| noted.verified.records_done += records);
    }

    fn note(&self, change: impl FnOnce(&mut ProgressState)) {
        change(&mut self.noted.lock());
    }
}

/// A verification in progress; it ends when this is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Verifying<'p>(&'p VerifyTracker);

impl Drop for Verifying<'_> {
    fn drop(&mut self) {
        self.0.note(|noted| {
            noted.verified.view = None;
            noted.expected.clear();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_that_moved_are_counted_and_nothing_goes_backwards() {
        let progress = VerifyTracker::default();
        let view = |name: &str| ViewName::parse(name).unwrap();
        let mut seen = vec![];
        let mut see = |progress: &VerifyTracker| {
            let VerifyProgress { number, records_done, records, .. } = progress.now();
            seen.push((number, records_done, records));
        };
        let verifying = progress.begin(&[100, 50]);
        progress.view(&view("a"), 120);
        progress.read(70);
        see(&progress);
        progress.read(50);
        progress.view(&view("b"), 60);
        see(&progress);
        progress.read(60);
        drop(verifying);
        see(&progress);
        let verifying = progress.begin(&[7]);
        see(&progress);
        drop(verifying);
        assert_eq!(seen, [(1, 70, 170), (1, 120, 180), (1, 180, 180), (2, 0, 7)]);
    }
    /// As when a view fails, or the client hangs up: the future is dropped wherever it is.
    #[tokio::test]
    async fn what_is_given_up_has_ended() {
        let progress = VerifyTracker::default();
        let mut verifying = Box::pin(async {
            let _turn = progress.turn().await;
            let _verifying = progress.begin(&[100, 50]);
            progress.view(&ViewName::parse("a").unwrap(), 100);
            progress.read(70);
            std::future::pending::<()>().await;
        });
        assert!(futures::poll!(verifying.as_mut()).is_pending());
        assert_eq!(progress.now().view.as_deref(), Some("a"));
        drop(verifying);
        let VerifyProgress { number, view, records_done, records } = progress.now();
        assert_eq!((number, view, records_done, records), (1, None, 70, 150));
        let _turn = progress.turn().await;
        let _next = progress.begin(&[5]);
        progress.view(&ViewName::parse("b").unwrap(), 5);
        let VerifyProgress { number, view, records_done, records } = progress.now();
        assert_eq!((number, view.as_deref(), records_done, records), (2, Some("b"), 0, 5));
    }
}
