//! Looking through a partition for the marks of sources.

use std::sync::Arc;

use dovetail_core::offsets::OffsetRange;

use super::clients::Clients;
use super::partition::Partition;
use super::reading;
use super::sources::{Sources, WINDOW};
use crate::log::LogError;

/// A window that is worth a message: it takes a second or more.
const LONG: i64 = 1 << 20;

/// Number of the last record of `source` in the partition, by all that is in the log now.
pub(super) async fn position(
    clients: &Arc<Clients>,
    partition: &Arc<Partition>,
    sources: &mut Sources,
    source: &str,
) -> Result<Option<u64>, LogError> {
    let bounds = reading::bounds(clients, partition).await?;
    while let Some(range) = sources.uncovered(bounds.end) {
        look(clients, partition, sources, range).await?;
        sources.cover_to(range.end);
    }
    let mut window = WINDOW;
    while sources.last(source).is_none() {
        let end = sources.covered.map_or(bounds.end, |covered| covered.start);
        if end <= bounds.start {
            return Ok(None);
        }
        let range = OffsetRange::new(bounds.start.max(end - window), end);
        if window >= LONG {
            let (topic, partition) = (&partition.topic, partition.number);
            tracing::info!(%topic, partition, source, %range, "looking back for a source");
        }
        look(clients, partition, sources, range).await?;
        sources.cover_from(range.start);
        window *= 4;
    }
    Ok(sources.last(source))
}

async fn look(
    clients: &Arc<Clients>,
    partition: &Arc<Partition>,
    sources: &mut Sources,
    range: OffsetRange,
) -> Result<(), LogError> {
    let mut at = range.start;
    while at < range.end {
        let (marks, next) = reading::marks(clients, partition, at).await?;
        for mark in marks {
            sources.met(&mark.source, mark.number);
        }
        at = next;
    }
    Ok(())
}
