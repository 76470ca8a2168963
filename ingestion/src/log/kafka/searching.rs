//! The search through a partition for the marks of sources.

use std::sync::Arc;
use std::time::Duration;

use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use metrics::counter;
use tokio::time::Instant;

use super::clients::Clients;
use super::partition::Partition;
use super::reading;
use super::sources::{Found, WINDOW};
use crate::log::kafka::batch_builder::Mark;
use crate::log::{LogError, SourcePosition};

/// Greatest window: after each one the next search begins behind it.
const WIDEST: i64 = 1 << 20;
/// Interval of checks whether a transaction has ended.
const DECIDED_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Time after which a search is logged, again and again.
const SEARCH_REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Time limit of a search, after which the next request continues it.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(20);

/// The position of `source` by all that is in the log now.
pub(super) async fn position(
    clients: &Arc<Clients>,
    partition: &Arc<Partition>,
    source: &str,
    until: Instant,
) -> Result<Option<SourcePosition>, LogError> {
    let mut search = None;
    loop {
        let bounds = all_decided(clients, partition, until).await?;
        let mut sources = partition.sources.lock().await;
        while let Some(range) = sources.uncovered(bounds.end) {
            for Mark { source, number, spread, .. } in marks(clients, partition, range).await? {
                sources.met(&source, number, &spread);
            }
            sources.cover_to(range.end);
        }
        match sources.find(source) {
            Found::At(position) => return Ok(Some(position)),
            Found::Nowhere => return Ok(None),
            Found::Unmet if sources.starts_by(bounds.start) => return Ok(None),
            Found::Unmet | Found::Forgotten => drop(sources),
        }
        search.get_or_insert_with(|| Search::new(partition, source)).go_back(clients, bounds.start).await?;
    }
}

/// Waits until no transaction below the present end is open, and returns the bounds: records behind an open transaction
/// cannot be read yet, though they may be committed.
async fn all_decided(
    clients: &Arc<Clients>,
    partition: &Arc<Partition>,
    until: Instant,
) -> Result<OffsetRange, LogError> {
    let mut high = None;
    loop {
        let bounds = reading::bounds(clients, partition).await?;
        let end = match high {
            Some(end) => end,
            None => *high.insert(reading::undecided_end(clients, partition).await?),
        };
        if bounds.end >= end {
            return Ok(bounds);
        }
        if clock::now_monotonic() >= until {
            let (topic, partition) = (partition.topic.to_string(), partition.number);
            return Err(LogError::Undecided { topic, partition, offset: bounds.end });
        }
        clock::sleep(DECIDED_POLL_INTERVAL).await;
    }
}

/// The search backwards through a partition for one source; every source on the way is remembered.
struct Search<'s> {
    partition: &'s Arc<Partition>,
    source: &'s str,
    began: Instant,
    told: Instant,
}

impl<'s> Search<'s> {
    fn new(partition: &'s Arc<Partition>, source: &'s str) -> Self {
        let now = clock::now_monotonic();
        Self { partition, source, began: now, told: now }
    }

    /// Searches back to the source's mark, or to the partition's `start`: then it is known to be nowhere.
    async fn go_back(&mut self, clients: &Arc<Clients>, start: i64) -> Result<(), LogError> {
        // Another search of this partition waits, and continues from the end of this one.
        let _alone = self.partition.searching.lock().await;
        let mut sources = self.partition.sources.lock().await;
        if sources.find(self.source) == Found::Forgotten {
            sources.look_again();
        }
        let mut window = WINDOW;
        loop {
            if matches!(sources.find(self.source), Found::At(_) | Found::Nowhere) {
                return Ok(());
            }
            let from = sources.covered.map_or(start, |covered| covered.start);
            if from <= start {
                sources.is_nowhere(self.source);
                return Ok(());
            }
            drop(sources);
            self.tell(from, start)?;
            let range = OffsetRange::new(start.max(from - window), from);
            let marks = marks(clients, self.partition, range).await?;
            sources = self.partition.sources.lock().await;
            for Mark { source, number, spread, .. } in marks {
                match source == self.source {
                    true => sources.met(&source, number, &spread),
                    false => sources.met_behind(&source, number, &spread),
                }
            }
            sources.cover_from(range.start);
            window = (window * 4).min(WIDEST);
        }
    }

    fn tell(&mut self, from: i64, start: i64) -> Result<(), LogError> {
        let (topic, partition, source) = (self.partition.topic.to_string(), self.partition.number, self.source);
        if self.told.elapsed() >= SEARCH_REPORT_INTERVAL {
            self.told = clock::now_monotonic();
            let seconds = self.began.elapsed().as_secs();
            tracing::info!(topic, partition, source, from, start, seconds, "looking back for what a source appended");
        }
        if self.began.elapsed() < SEARCH_TIMEOUT {
            return Ok(());
        }
        Err(LogError::Searching { topic, partition, source_id: source.to_owned(), from, start })
    }
}

/// The last mark of each source in `range`.
async fn marks(clients: &Arc<Clients>, partition: &Arc<Partition>, range: OffsetRange) -> Result<Vec<Mark>, LogError> {
    let (mut at, mut all) = (range.start, Vec::<Mark>::new());
    while at < range.end {
        let (marks, next) = reading::marks(clients, partition, at).await?;
        counter!("dovetail_log_searched_records_total", "topic" => partition.topic.to_string())
            .increment((next - at).unsigned_abs());
        all.extend(marks);
        at = next;
    }
    Ok(all)
}
