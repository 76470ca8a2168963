//! All records of a partition, folded once more: from the landing where the log was trimmed, then from the log.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use dovetail_batch_layer::LandedRecords;
use dovetail_core::catalog::{Catalog, Segment};
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_core::view::Folder;
use dovetail_ingestion::decode::{Decoded, Decoder};
use dovetail_ingestion::log::{Log, LogError};
use tokio::sync::mpsc;

/// Payload bytes per read of the log.
const READ: usize = 4 << 20;
/// Batches of a segment that wait to be folded.
const AHEAD: usize = 2;

/// Where records are read from again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replay<'e> {
    pub log: &'e dyn Log,
    pub catalog: &'e Catalog,
    pub store: &'e Store,
    pub stream: &'e Arc<Stream>,
}

impl Replay<'_> {
    /// Folds every record of the partition below `end`. Returns how many there were.
    pub(crate) async fn run(&self, partition: i32, end: i64, folder: &mut Folder) -> Result<u64> {
        let topic = &self.stream.topic;
        let known = self.catalog.partitions(topic).await?.into_iter().find(|p| p.partition == partition);
        let mut decoder = Decoder::new(Arc::clone(self.stream))?;
        let mut at = match known {
            Some(partition) => partition.first_offset,
            None => self.log.bounds(topic, partition).await?.start,
        };
        let mut records = 0;
        while at < end {
            let fetched = match self.log.read(topic, partition, at, READ).await {
                Err(LogError::Trimmed { .. }) => {
                    let segment = self.segment_at(partition, at).await?;
                    records += self.landed(&segment, OffsetRange::new(at, end), folder).await?;
                    at = segment.range.end;
                    continue;
                }
                fetched => fetched?,
            };
            let next = fetched.range.end;
            if next <= at {
                bail!("the log of `{topic}` partition {partition} ends at {at}, before {end}");
            }
            let decoded = Arc::new(decoder.decode(partition, &fetched)?).between(at, end);
            records += fold(folder, &decoded).await?;
            at = next;
        }
        Ok(records)
    }

    async fn segment_at(&self, partition: i32, offset: i64) -> Result<Segment> {
        let topic = &self.stream.topic;
        let range = OffsetRange::new(offset, offset + 1);
        let segments = self.catalog.segments_in(topic, partition, range).await?;
        let gone = || anyhow!("offset {offset} of `{topic}` partition {partition} is neither in the log nor landed");
        segments.into_iter().next().ok_or_else(gone)
    }

    /// The segment's records within `range`.
    async fn landed(&self, segment: &Segment, range: OffsetRange, folder: &mut Folder) -> Result<u64> {
        let landed = LandedRecords::open(self.store, segment).await;
        let landed = landed.with_context(|| format!("segment `{}`", segment.path))?;
        let (output, mut batches) = mpsc::channel(AHEAD);
        let (partition, mut decoder) = (segment.partition, Decoder::new(Arc::clone(self.stream))?);
        let decoding = tokio::task::spawn_blocking(move || {
            for fetched in landed {
                let decoded = fetched.map_err(anyhow::Error::from).and_then(|f| Ok(decoder.decode(partition, &f)?));
                if output.blocking_send(decoded).is_err() {
                    return;
                }
            }
        });
        let mut records = 0;
        while let Some(decoded) = batches.recv().await {
            let decoded = decoded.with_context(|| format!("segment `{}`", segment.path))?;
            let decoded = Arc::new(decoded).between(range.start, range.end);
            records += fold(folder, &decoded).await?;
        }
        decoding.await?;
        Ok(records)
    }
}

async fn fold(folder: &mut Folder, decoded: &Decoded) -> Result<u64> {
    folder.fold(&decoded.rows).await?;
    Ok((decoded.rows.num_rows() + decoded.dead.len()) as u64)
}
