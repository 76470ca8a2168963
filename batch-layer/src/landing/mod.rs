//! Landing: every record of the log, once, in Parquet.
//!
//! One [`Lander`] per partition reads the feed, buffers a [`segment`], writes it and records it in the catalog,
//! which refuses a segment that does not start where the landing stands. A lander that cannot write waits and keeps
//! what it holds; it reads nothing meanwhile.

mod error;
mod record;
mod segment;
mod segment_writer;
mod status;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use dovetail_core::assignment::Owned;
use dovetail_core::catalog::Catalog;
use dovetail_core::clock::Clock;
use dovetail_core::store::Store;
use dovetail_ingestion::decoded_log::Feed;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::config::LandingConfig;
use crate::writer_id::Writer;

pub(crate) use segment_writer::Lander;
pub(crate) use status::Board;
pub use status::{LandingState, LandingStatus, PartitionLanding};

/// A boundary that a lander has decided on, before the segment is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEnd {
    pub topic: String,
    pub partition: i32,
    /// The segment that is being closed ends before this offset.
    pub end: i64,
}

/// What all landers share.
#[derive(Debug)]
pub(crate) struct Landing {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) config: LandingConfig,
    pub(crate) writer: Arc<Writer>,
    pub(crate) board: Board,
    pub(crate) ends: broadcast::Sender<SegmentEnd>,
    pub(crate) shutdown: CancellationToken,
}

impl Landing {
    /// A lander for each of some partitions of `feed`; they land those that are this process's.
    pub(crate) fn landers(
        self: &Arc<Self>,
        feed: &Arc<Feed>,
        partitions: Range<u32>,
        owned: Option<&watch::Receiver<Owned>>,
    ) -> Vec<Lander> {
        let partitions = partitions.start.cast_signed()..partitions.end.cast_signed();
        let lander = |partition| Lander::new(Arc::clone(self), Arc::clone(feed), partition, owned);
        partitions.map(lander).collect()
    }
}
