//! The progress of a long command: a bar on a terminal, otherwise a line now and then; on standard error.

use std::time::Duration;

use anyhow::Result;
use dovetail_core::clock;
use indicatif::{ProgressBar, ProgressStyle};

const PROGRESS_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Pause between two lines without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The progress: `done` of `total`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) what: String,
    pub(super) done: u64,
    pub(super) total: u64,
}

impl Step {
    fn line(&self, unit: &str) -> String {
        let Self { what, done, total } = self;
        let percent = done.saturating_mul(100).checked_div(*total).map_or(100, |percent| percent.min(100));
        format!("{what}: {done} of {total} {unit}, {percent} %")
    }
}

/// Waits for `work`, and meanwhile shows the progress that `look` returns.
pub(super) async fn while_showing<T>(
    unit: &str,
    work: impl Future<Output = Result<T>>,
    look: impl AsyncFn() -> Option<Step>,
) -> Result<T> {
    let template = format!("{{msg}} {{bar:30}} {{pos}}/{{len}} {unit}, {{per_sec}}, ETA {{eta}}");
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(&template)?);
    let mut said = clock::now_monotonic();
    tokio::pin!(work);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            () = clock::sleep(PROGRESS_POLL_INTERVAL) => {}
        }
        let Some(step) = look().await else { continue };
        if bar.is_hidden() && said.elapsed() >= LINE_INTERVAL {
            said = clock::now_monotonic();
            eprintln!("{}", step.line(unit));
        }
        bar.set_length(step.total);
        bar.set_position(step.done.max(bar.position()));
        bar.set_message(step.what);
    };
    bar.finish_and_clear();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let step = |done, total| Step { what: "verifying by_page".to_owned(), done, total }.line("records");
        assert_eq!(step(250, 1000), "verifying by_page: 250 of 1000 records, 25 %");
        assert_eq!(step(0, 0), "verifying by_page: 0 of 0 records, 100 %");
    }
}
