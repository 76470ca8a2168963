//! Freshness: how long it takes until a merged answer counts what was appended, append by append.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use dovetail_server::process::engine::Engine;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::input::{clicks, now, records};
use crate::report::quantile_ms;

/// Appends a second, to one partition after the other.
const APPENDS: usize = 100;

/// From when on an append counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// When it was handed to the log.
    Produced,
    /// When the log had acknowledged it.
    Acknowledged,
}

/// Appends that go on until they are stopped.
#[derive(Debug)]
pub(crate) struct Load {
    topic: String,
    /// Records a second.
    rate: usize,
    /// Records that are there already.
    before: i64,
    since: Since,
    /// Counts of records that answers will reach, and since when they are awaited.
    awaited: Mutex<VecDeque<(i64, Instant)>>,
}

impl Load {
    pub(crate) fn new(topic: &str, rate: usize, before: i64, since: Since) -> Arc<Self> {
        Arc::new(Self { topic: topic.to_owned(), rate, before, since, awaited: Mutex::default() })
    }

    /// Appends at the rate until stopped; returns how many records it appended a second.
    pub(crate) async fn run(self: Arc<Self>, engine: Arc<Engine>, stop: CancellationToken) -> Result<f64> {
        let mut generator = clicks(u64::MAX, 4);
        let began = Instant::now();
        let mut appended = self.before;
        for turn in 0.. {
            let due = Duration::from_secs_f64(turn as f64 / APPENDS as f64);
            tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
            if stop.is_cancelled() {
                break;
            }
            let part = now(records(&mut generator, self.rate / APPENDS));
            appended += part.len() as i64;
            let produced = Instant::now();
            if self.since == Since::Produced {
                self.await_from(appended, produced);
            }
            engine.log.append(&self.topic, turn % 4, part, None).await?;
            if self.since == Since::Acknowledged {
                self.await_from(appended, Instant::now());
            }
        }
        Ok((appended - self.before) as f64 / began.elapsed().as_secs_f64())
    }

    fn await_from(&self, count: i64, since: Instant) {
        self.awaited.lock().push_back((count, since));
    }

    /// For how many seconds what `total` counts was awaited.
    fn reached(&self, total: i64) -> Vec<f64> {
        let mut awaited = self.awaited.lock();
        let next = || awaited.pop_front_if(|(count, _)| *count <= total);
        std::iter::from_fn(next).map(|(_, since)| since.elapsed().as_secs_f64()).collect()
    }

    /// Asks for the total again and again, for `time`.
    pub(crate) async fn freshness(&self, engine: &Engine, time: Duration) -> Result<String> {
        let mut seen = vec![];
        let began = Instant::now();
        while began.elapsed() < time {
            seen.extend(self.reached(total(engine).await?));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        seen.sort_by(f64::total_cmp);
        Ok(format!("p50 {}, p99 {} ({} appends)", quantile_ms(&seen, 0.5), quantile_ms(&seen, 0.99), seen.len()))
    }
}

async fn total(engine: &Engine) -> Result<i64> {
    let rows = engine.serving()?.query("SELECT clicks FROM total").await?.collect().await?;
    match rows.first() {
        Some(batch) => Ok(batch.column(0).as_primitive::<Int64Type>().value(0)),
        None => bail!("the total has no row"),
    }
}
