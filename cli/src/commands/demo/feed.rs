//! The feed: generated service requests, appended at the requested pace.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use dovetail_connectors::sources::file::{Pace, Pacer};
use dovetail_connectors::sources::generate::{GenerateOptions, Generator, Kind, generate};
use dovetail_core::clock;
use dovetail_ingestion::append::Appender;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pause;
use crate::args::Demo;

/// Records due within this time of each other are appended together ..
const BATCH_INTERVAL: Duration = Duration::from_millis(20);
/// .. up to this number.
const BATCH_RECORDS_MAX: usize = 5_000;
/// Share of late records, as in a real feed.
const LATE: f64 = 0.05;
const BAD: f64 = 0.001;

/// The progress of the feed.
#[derive(Debug, Clone, Default)]
pub(super) struct Fed {
    /// Records that were in the log before.
    pub(super) before: i64,
    /// Records appended by this feed, and durable.
    pub(super) appended: u64,
    /// Time at which the last of them were acknowledged.
    pub(super) at: Option<Instant>,
    pub(super) began: Option<Instant>,
    /// Whether all records are appended.
    pub(super) done: bool,
    pub(super) failed: bool,
}

impl Fed {
    /// Sum of the log's ends.
    pub(super) fn log_end(&self) -> i64 {
        self.before + self.appended.cast_signed()
    }

    /// Records a second so far.
    pub(super) fn rate(&self) -> f64 {
        let (Some(began), Some(at)) = (self.began, self.at) else { return 0.0 };
        self.appended as f64 / (at - began).as_secs_f64().max(BATCH_INTERVAL.as_secs_f64())
    }
}

/// Appends all records, or as many as there is time for before `stop`.
pub(super) async fn run(
    args: Demo,
    appender: Arc<Appender>,
    progress: watch::Sender<Fed>,
    before: i64,
    stop: CancellationToken,
) -> Result<()> {
    let options = GenerateOptions { events: args.events, seed: args.seed, late: LATE, bad: BAD, start_ms: None };
    let mut source =
        Source { generator: generate(Kind::Nyc311, &options), pacer: Pacer::new(Pace::Rate(args.rate)), next: None };
    let began = clock::now_monotonic();
    progress.send_modify(|fed| (fed.before, fed.began) = (before, Some(began)));
    loop {
        let (records, due) = source.due_by(began.elapsed() + BATCH_INTERVAL);
        if !records.is_empty() {
            let values: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
            let appended = appender.append(&values, None).await;
            let appended = appended.inspect_err(|_| progress.send_modify(|fed| fed.failed = true))?;
            progress.send_modify(|fed| {
                fed.appended += appended;
                fed.at = Some(clock::now_monotonic());
            });
        }
        let Some(due) = due else {
            progress.send_modify(|fed| fed.done = true);
            return Ok(());
        };
        if !pause(due.saturating_sub(began.elapsed()), &stop).await {
            return Ok(());
        }
    }
}

/// Generated records with their due times.
struct Source {
    generator: Generator,
    pacer: Pacer,
    /// A record that was generated and is not due yet.
    next: Option<(Vec<u8>, Duration)>,
}

impl Source {
    /// The records due by `time`, and the due time of the next one; `None` after the last.
    fn due_by(&mut self, time: Duration) -> (Vec<Vec<u8>>, Option<Duration>) {
        let mut records = vec![];
        loop {
            let next = self.next.take().or_else(|| self.generator.next().map(|record| (record, self.pacer.due(None))));
            let Some((record, due)) = next else { return (records, None) };
            if due > time || records.len() == BATCH_RECORDS_MAX {
                self.next = Some((record, due));
                return (records, Some(due));
            }
            records.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_when_they_are_due_and_none_is_left_out() {
        let options = GenerateOptions { events: 10, seed: 1, late: 0.0, bad: 0.0, start_ms: None };
        let all: Vec<Vec<u8>> = generate(Kind::Nyc311, &options).collect();
        let mut source =
            Source { generator: generate(Kind::Nyc311, &options), pacer: Pacer::new(Pace::Rate(10.0)), next: None };
        let (first, due) = source.due_by(Duration::from_millis(250));
        assert_eq!((first.len(), due), (3, Some(Duration::from_millis(300))));
        let (rest, due) = source.due_by(Duration::from_secs(10));
        assert_eq!((rest.len(), due), (7, None));
        assert_eq!([first, rest].concat(), all);
    }
}
