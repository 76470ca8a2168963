//! Freshness: the time from a record's acknowledgement until a query sees it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dovetail_serving_layer::Serving;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::feed::Fed;
use super::pause;

/// A small query of a merged view.
const PROBE: &str = "SELECT total FROM open_requests WHERE agency = 'NYPD'";
const QUERY_PAUSE: Duration = Duration::from_millis(5);
const SAMPLE_PAUSE: Duration = Duration::from_millis(250);
/// Number of samples whose median is shown.
const SAMPLES: usize = 21;

/// Takes samples until `stop`.
pub(super) async fn run(
    serving: Arc<Serving>,
    mut fed: watch::Receiver<Fed>,
    median: watch::Sender<Option<Duration>>,
    stop: CancellationToken,
) {
    let mut samples = VecDeque::new();
    while pause(SAMPLE_PAUSE, &stop).await {
        fed.mark_unchanged();
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = fed.changed() => next,
        };
        if next.is_err() {
            return;
        }
        let (records, at) = {
            let fed = fed.borrow_and_update();
            (fed.log_end(), fed.at)
        };
        let Some(at) = at else { continue };
        while head(&serving).await.is_none_or(|head| head < records) {
            if !pause(QUERY_PAUSE, &stop).await {
                return;
            }
        }
        samples.push_back(at.elapsed());
        if samples.len() > SAMPLES {
            samples.pop_front();
        }
        median.send_replace(middle(&samples));
    }
}

/// Number of records in a merged answer now, dead letters included; `None` while there is no answer.
pub(super) async fn head(serving: &Serving) -> Option<i64> {
    let answer = serving.query(PROBE).await.ok()?;
    let head = answer.as_of.first().map(|as_of| as_of.head.total());
    answer.collect().await.ok()?;
    head
}

fn middle(samples: &VecDeque<Duration>) -> Option<Duration> {
    let mut sorted: Vec<Duration> = samples.iter().copied().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}
