//! Landing: every record of the log, once, in Parquet.
//!
//! Each partition has one [`SegmentWriter`]. It reads the decoded log, buffers a [`segment`], writes it and records it in
//! the catalog. The catalog refuses a segment that does not start at the partition's next offset. A segment writer that
//! cannot write waits and keeps its buffer; it reads nothing meanwhile.

mod error;
mod record;
mod segment;
mod segment_writer;
mod status;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use dovetail_core::assignment::Assignment;
use dovetail_core::catalog::Catalog;
use dovetail_core::clock::Clock;
use dovetail_core::store::Store;
use dovetail_ingestion::decoded_log::DecodedLog;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::config::LandingConfig;
use crate::writer_id::WriterId;

pub(crate) use segment_writer::SegmentWriter;
pub(crate) use status::Board;
pub use status::{LandingState, LandingStatus, PartitionLanding};

/// A boundary that a segment writer has decided on, before the segment is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEnd {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The segment that is being closed ends before this offset.
    pub end: i64,
}

/// State that all segment writers share.
#[derive(Debug)]
pub(crate) struct LandingParts {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) config: LandingConfig,
    pub(crate) writer: Arc<WriterId>,
    pub(crate) board: Board,
    pub(crate) ends: broadcast::Sender<SegmentEnd>,
    pub(crate) shutdown: CancellationToken,
}

impl LandingParts {
    /// A segment writer for each of some partitions of `decoded_log`; it lands the partition while it is assigned to this
    /// process.
    pub(crate) fn segment_writers(
        self: &Arc<Self>,
        decoded_log: &Arc<DecodedLog>,
        partitions: Range<u32>,
        assignment: Option<&watch::Receiver<Assignment>>,
    ) -> Vec<SegmentWriter> {
        let partitions = partitions.start.cast_signed()..partitions.end.cast_signed();
        let segment_writer =
            |partition| SegmentWriter::new(Arc::clone(self), Arc::clone(decoded_log), partition, assignment);
        partitions.map(segment_writer).collect()
    }
}
