//! Compaction: adjacent small segments become one. No boundary that a cut stands on is lost.
//!
//! ```text
//! before   | 40 kB | 35 kB | 50 kB ¦ 41 kB | 38 kB | 44 kB |      ¦ the cut of a generation that is kept
//! after    |        125 kB         ¦        123 kB         |
//! ```

use std::collections::BTreeSet;

use bytes::Bytes;
use dovetail_core::catalog::{CatalogError, Segment};
use dovetail_core::encode::{self, ParquetEncoder};
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use tracing::{info, warn};

use super::{Upkeep, UpkeepError};
use crate::put::put_segment;
use dovetail_ingestion::dead_letters;
use dovetail_ingestion::dead_letters::dead_letter_schema;

/// Least number of segments that are merged.
const SEGMENTS_PER_MERGE_MIN: usize = 4;
/// Greatest number of segments merged at once.
const SEGMENTS_PER_MERGE_MAX: usize = 256;
const BATCH_ROWS: usize = 8192;

impl Upkeep {
    pub(crate) async fn compact(&self) -> Result<(), UpkeepError> {
        if self.config.compact_to_bytes == 0 {
            return Ok(());
        }
        for stream in &self.streams {
            let segments = self.catalog.segments(&stream.topic).await?;
            let boundaries = self.catalog.boundaries(&stream.topic).await?;
            for group in choose(&segments, &boundaries, self.config.compact_to_bytes) {
                // Only segments of the present schema can be written again: the others keep their bytes.
                if group.iter().all(|segment| segment.schema == stream.fingerprint()) {
                    self.merge(stream, group).await?;
                }
            }
        }
        Ok(())
    }

    async fn merge(&self, stream: &Stream, group: &[Segment]) -> Result<(), UpkeepError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let range = OffsetRange::new(first.range.start, last.range.end);
        let (topic, partition) = (&first.topic, first.partition);
        let unique = self.writer.unique(&self.catalog).await?;
        let rows = encode::segment(&stream.decoded_schema())?;
        let rows = self.merged(rows, group.iter().map(|segment| segment.path.clone()).collect()).await?;
        let dead = group.iter().filter_map(|segment| segment.dead_path.clone()).collect::<Vec<_>>();
        let dead = match dead.is_empty() {
            true => None,
            false => Some(self.merged(encode::dead_letters(&dead_letter_schema())?, dead).await?),
        };
        let dead_path = dead.as_ref().map(|_| path::dead_letters(topic, partition, range, unique).to_string());
        let new = Segment {
            topic: topic.clone(),
            partition,
            range,
            path: path::segment(topic, partition, range, unique).to_string(),
            rows: group.iter().map(|segment| segment.rows).sum(),
            dead: group.iter().map(|segment| segment.dead).sum(),
            dead_path,
            bytes: rows.len() as u64,
            schema: first.schema.clone(),
            first_timestamp_ms: group.iter().filter_map(|segment| segment.first_timestamp_ms).min(),
            last_timestamp_ms: group.iter().filter_map(|segment| segment.last_timestamp_ms).max(),
            created_ms: self.clock.now_ms(),
        };
        let replaced = self.replace(group, &new, rows, dead).await;
        if let Err(error) = replaced {
            self.give_up(&new, error).await?;
            return Ok(());
        }
        info!(topic, partition, %range, segments = group.len(), bytes = new.bytes, "compacted segments");
        Ok(())
    }

    /// Puts the merged segment, then records it in place of the segments it was made of.
    ///
    /// # On a crash
    /// Before the catalog's transaction the old segments stay, and the new object is staged: upkeep deletes it after
    /// `batch.staging_limit`. After it the old ones are garbage, which upkeep deletes after `batch.garbage_grace`.
    async fn replace(
        &self,
        group: &[Segment],
        new: &Segment,
        rows: Bytes,
        dead: Option<Bytes>,
    ) -> Result<(), UpkeepError> {
        put_segment(&self.catalog, &self.store, new, &rows, dead.as_ref()).await?;
        Ok(self.catalog.replace_segments(group, new).await?)
    }

    /// Gives the new segment's objects up, unless it was recorded after all: the catalog checks.
    ///
    /// # On a crash
    /// The objects stay `staged`, and upkeep deletes them after `batch.staging_limit`.
    async fn give_up(&self, new: &Segment, error: UpkeepError) -> Result<(), UpkeepError> {
        self.catalog.give_up(&new.paths().collect::<Vec<_>>()).await?;
        match error {
            UpkeepError::Catalog(error @ (CatalogError::SegmentsChanged { .. } | CatalogError::NotStaged { .. })) => {
                warn!(%error, "segments were not compacted this time");
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Writes all rows of `paths`, in order, to one file.
    async fn merged(&self, mut encoder: ParquetEncoder, paths: Vec<String>) -> Result<Bytes, UpkeepError> {
        for path in paths {
            let object = self.store.get(&path.as_str().into()).await?;
            encoder = tokio::task::spawn_blocking(move || append(encoder, object)).await??;
        }
        Ok(tokio::task::spawn_blocking(move || encode::finish(encoder)).await??)
    }
}

fn append(mut encoder: ParquetEncoder, object: Bytes) -> Result<ParquetEncoder, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(object)?;
    for batch in builder.with_batch_size(BATCH_ROWS).build()? {
        encoder.write(&dead_letters::of_today(batch?)?)?;
    }
    Ok(encoder)
}

/// Groups of adjacent segments to merge. `segments` are ordered by partition and offset.
///
/// A group has at least [`SEGMENTS_PER_MERGE_MIN`] segments and at most `target` bytes, and is at least twice as large
/// as its largest segment. So a record is written again only when its segment at least doubles.
pub(super) fn choose<'s>(
    segments: &'s [Segment],
    boundaries: &BTreeSet<(i32, i64)>,
    target: u64,
) -> Vec<&'s [Segment]> {
    let mut chosen = vec![];
    let mut at = 0;
    while at < segments.len() {
        let group = longest_group(&segments[at..], boundaries, target);
        if is_worth_it(group) {
            chosen.push(group);
            at += group.len();
        } else {
            at += 1;
        }
    }
    chosen
}

fn longest_group<'s>(segments: &'s [Segment], boundaries: &BTreeSet<(i32, i64)>, target: u64) -> &'s [Segment] {
    let mut bytes = segments.first().map_or(0, |segment| segment.bytes);
    let mut end = 1;
    for pair in segments.windows(2).take(SEGMENTS_PER_MERGE_MAX - 1) {
        let [before, after] = pair else { break };
        let adjacent = before.partition == after.partition && before.range.end == after.range.start;
        let alike = before.schema == after.schema;
        bytes += after.bytes;
        if !adjacent || !alike || bytes > target || boundaries.contains(&(after.partition, after.range.start)) {
            break;
        }
        end += 1;
    }
    &segments[..end.min(segments.len())]
}

fn is_worth_it(group: &[Segment]) -> bool {
    let total: u64 = group.iter().map(|segment| segment.bytes).sum();
    let largest = group.iter().map(|segment| segment.bytes).max().unwrap_or(0);
    group.len() >= SEGMENTS_PER_MERGE_MIN && largest.saturating_mul(2) <= total
}
