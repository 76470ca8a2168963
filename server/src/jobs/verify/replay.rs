//! All records of a partition, folded once more: from the landing where the log was trimmed, then from the log.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use dovetail_core::catalog::{Catalog, Gap, Segment};
use dovetail_core::offsets::{OffsetRange, Offsets};
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_ingestion::formats::{Decoded, Decoder};
use dovetail_ingestion::landed_records::LandedRecords;
use dovetail_ingestion::log::{Log, LogError};
use tokio::sync::mpsc;

use crate::jobs::folding::{Folding, READ_BYTES};
use crate::jobs::verify::VerifyTracker;
use crate::process::engine::Engine;

/// Number of batches of a segment that wait to be folded.
const AHEAD: usize = 2;

/// The part of the landing that covers an offset.
pub(crate) enum Coverage {
    Segment(Segment),
    /// A gap: the log had lost the records before.
    Gap(Gap),
}

/// The sources of a replay.
#[derive(Debug)]
pub(crate) struct Replay<'e> {
    /// The log, for records that are still there.
    pub log: &'e dyn Log,
    /// The catalog, for segments and gaps.
    pub catalog: &'e Catalog,
    /// The store, for the segments' objects.
    pub store: &'e Store,
    /// The stream.
    pub stream: &'e Arc<Stream>,
    /// The progress to report to.
    pub progress: &'e VerifyTracker,
    /// The first offset of each partition in the catalog, which never changes: it is read once.
    firsts: HashMap<i32, i64>,
}

impl<'e> Replay<'e> {
    /// A replay from `starts`, 0 where they name no partition; without them, from where landing began.
    pub(crate) async fn new(
        engine: &'e Engine,
        stream: &'e Arc<Stream>,
        starts: Option<&Offsets>,
        progress: &'e VerifyTracker,
    ) -> Result<Self> {
        let firsts = match starts {
            Some(starts) => {
                let partitions = 0..engine.log.partitions(&stream.topic).await?.cast_signed();
                partitions.map(|partition| (partition, starts.get(partition))).collect()
            }
            None => {
                let known = engine.catalog.partitions(&stream.topic).await?;
                known.into_iter().map(|known| (known.partition, known.first_offset)).collect()
            }
        };
        let (log, catalog, store) = (engine.log.as_ref(), &engine.catalog, &engine.store);
        Ok(Self { log, catalog, store, stream, progress, firsts })
    }

    /// Folds every record of the partition below `end`. Returns their number.
    pub(crate) async fn run(
        &self,
        partition: i32,
        end: i64,
        decoder: &mut Decoder,
        folding: &mut Folding,
    ) -> Result<u64> {
        let topic = &self.stream.topic;
        let mut at = self.first(partition).await?;
        let mut records = 0;
        while at < end {
            let fetched = match self.log.read(topic, partition, at, READ_BYTES).await {
                Err(LogError::Trimmed { .. }) => {
                    let next = match self.landed_at(partition, at).await? {
                        Coverage::Segment(segment) => {
                            records += self.landed(&segment, OffsetRange::new(at, end), folding).await?;
                            segment.range.end
                        }
                        Coverage::Gap(gap) => gap.range.end,
                    };
                    self.progress.read((next.min(end) - at).unsigned_abs());
                    at = next;
                    continue;
                }
                fetched => fetched?,
            };
            let next = fetched.range.end;
            if next <= at {
                bail!("the log of `{topic}` partition {partition} ends at {at}, before {end}");
            }
            let decoded = Arc::new(decoder.decode(partition, &fetched)?).between(at, end);
            records += fold(folding, &decoded).await?;
            self.progress.read((next.min(end) - at).unsigned_abs());
            at = next;
        }
        Ok(records)
    }

    /// Number of offsets to read below `head`, or in the whole log.
    pub(crate) async fn records(&self, head: Option<&Offsets>) -> Result<u64> {
        let topic = &self.stream.topic;
        let mut records = 0;
        for partition in 0..self.log.partitions(topic).await?.cast_signed() {
            let end = match head {
                Some(head) => head.get(partition),
                None => self.log.bounds(topic, partition).await?.end,
            };
            records += u64::try_from(end - self.first(partition).await?).unwrap_or(0);
        }
        Ok(records)
    }

    pub(crate) async fn first(&self, partition: i32) -> Result<i64> {
        Ok(match self.firsts.get(&partition) {
            Some(first) => *first,
            None => self.log.bounds(&self.stream.topic, partition).await?.start,
        })
    }

    /// The part of the landing that covers `offset`, which the log does not have.
    pub(crate) async fn landed_at(&self, partition: i32, offset: i64) -> Result<Coverage> {
        let topic = &self.stream.topic;
        let range = OffsetRange::new(offset, offset + 1);
        if let Some(segment) = self.catalog.segments_in(topic, partition, range).await?.into_iter().next() {
            return Ok(Coverage::Segment(segment));
        }
        let here = |gap: &Gap| gap.topic == *topic && gap.partition == partition && gap.range.contains(offset);
        let gap = self.catalog.gaps().await?.into_iter().find(here);
        let gone = || anyhow!("offset {offset} of `{topic}` partition {partition} is neither in the log nor landed");
        gap.map(Coverage::Gap).ok_or_else(gone)
    }

    /// The segment's records within `range`.
    async fn landed(&self, segment: &Segment, range: OffsetRange, folding: &mut Folding) -> Result<u64> {
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
            records += fold(folding, &decoded).await?;
        }
        decoding.await?;
        Ok(records)
    }
}

async fn fold(folding: &mut Folding, decoded: &Decoded) -> Result<u64> {
    folding.fold(&decoded.rows).await?;
    Ok((decoded.rows.num_rows() + decoded.dead.len()) as u64)
}
