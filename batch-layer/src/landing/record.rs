//! The recording of a sealed segment: its objects, then its row in the catalog.

use dovetail_core::catalog::{CatalogError, Gap, Segment};
use dovetail_core::offsets::OffsetRange;
use dovetail_core::store::path;
use metrics::counter;
use tracing::{debug, error, warn};

use super::error::LandError;
use super::segment::Sealed;
use super::{LandingParts, SegmentWriter};
use crate::put::{PutError, put_segment};

impl SegmentWriter {
    /// The segment's row in the catalog, with paths that no other segment ever had.
    pub(super) async fn describe(&self, sealed: &Sealed) -> Result<Segment, LandError> {
        let unique = self.landing.writer.unique(&self.landing.catalog).await?;
        let (topic, partition, range) = (self.topic(), self.partition, sealed.range);
        let dead_path = sealed.dead.as_ref().map(|_| path::dead_letters(topic, partition, range, unique).to_string());
        Ok(Segment {
            topic: topic.to_owned(),
            partition,
            range,
            path: path::segment(topic, partition, range, unique).to_string(),
            rows: sealed.row_count,
            dead: sealed.dead_count,
            dead_path,
            bytes: sealed.rows.len() as u64,
            schema: self.fingerprint.clone(),
            first_timestamp_ms: sealed.times.first,
            last_timestamp_ms: sealed.times.last,
            created_ms: self.landing.clock.now_ms(),
        })
    }

    /// Writes the segment's objects, then records it; returns the offset at which the landing continues. A retry after
    /// any failure is safe. `None` means that this took so long that the objects were deleted as abandoned, and the
    /// segment has to be described anew.
    ///
    /// # On a crash
    /// Before the catalog's transaction objects may be in the store that nothing names. They are staged in the ledger,
    /// and upkeep deletes them after `batch.staging_limit`; the next owner of the partition reads the range again.
    /// After it the segment is landed, whether this process has learnt it or not.
    pub(super) async fn record(&self, segment: &Segment, sealed: &Sealed) -> Result<Option<i64>, LandError> {
        let LandingParts { store, catalog, .. } = self.landing.as_ref();
        match put_segment(catalog, store, segment, &sealed.rows, sealed.dead.as_ref()).await {
            // The segment may have been recorded although the answer was lost: recording it again tells.
            Ok(()) | Err(PutError::Catalog(CatalogError::NotStaged { .. })) => {}
            Err(error) => return Err(error.into()),
        }
        match catalog.record_segment(segment).await {
            Ok(()) => {
                self.count(segment, sealed);
                Ok(Some(segment.range.end))
            }
            Err(error @ CatalogError::NotStaged { .. }) => {
                warn!(topic = self.topic(), partition = self.partition, range = %segment.range, %error, "writing a segment once more");
                self.discard(segment).await?;
                Ok(None)
            }
            Err(CatalogError::Fenced { found, .. }) => {
                warn!(topic = self.topic(), partition = self.partition, range = %segment.range, found, "fenced, reading on from where another lander is");
                self.discard(segment).await?;
                Ok(Some(found))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Records that the log has lost `range`, and continues behind it. The speed layer waits for a run whose cut is
    /// past it, which is requested in the same transaction.
    ///
    /// # On a crash
    /// The transaction is all or nothing: the next owner of the partition continues behind the gap, or finds it again.
    pub(super) async fn record_gap(&self, range: OffsetRange) -> Result<i64, LandError> {
        let (topic, partition) = (self.topic(), self.partition);
        let gap = Gap {
            topic: topic.to_owned(),
            partition,
            range,
            why: format!("the log starts at {}: what is below was dropped before it was landed", range.end),
            noted_ms: self.landing.clock.now_ms(),
        };
        match self.landing.catalog.record_gap(&gap).await {
            Ok(()) => {
                error!(topic, partition, %range, "the log has lost offsets that were not landed; going on without them");
                counter!("dovetail_lost_offsets_total", "topic" => topic.to_owned())
                    .increment((range.end - range.start).unsigned_abs());
                Ok(range.end)
            }
            Err(CatalogError::Fenced { found, .. }) => Ok(found),
            Err(error) => Err(error.into()),
        }
    }

    async fn discard(&self, segment: &Segment) -> Result<(), LandError> {
        Ok(self.landing.catalog.give_up(&segment.paths().collect::<Vec<_>>()).await?)
    }

    fn count(&self, segment: &Segment, sealed: &Sealed) {
        let topic = || self.topic().to_owned();
        counter!("dovetail_landed_records_total", "topic" => topic()).increment(segment.rows + segment.dead);
        counter!("dovetail_landed_bytes_total", "topic" => topic()).increment(sealed.payload_bytes as u64);
        counter!("dovetail_segments_total", "topic" => topic()).increment(1);
        counter!("dovetail_dead_letters_total", "topic" => topic()).increment(segment.dead);
        debug!(topic = self.topic(), partition = self.partition, range = %segment.range, rows = segment.rows, dead = segment.dead, bytes = segment.bytes, "landed segment");
    }
}
