//! A digest of every record of a stream, in the log, or in the landing where the log was trimmed.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::Array;
use bytes::Bytes;
use dovetail_api::frames::digest;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::Stream;
use dovetail_core::record::Fetched;
use dovetail_ingestion::landed_records::LandedRecords;
use dovetail_ingestion::log::LogError;
use tokio::sync::mpsc;

use crate::jobs::folding::READ_BYTES;
use crate::jobs::verify::VerifyTracker;
use crate::jobs::verify::replay::{Coverage, Replay};
use crate::process::engine::Engine;

/// Sends the digests of all present records, partition by partition; ends early without a receiver.
pub(crate) async fn digests(engine: &Engine, stream: &Arc<Stream>, to: &mpsc::Sender<Result<Bytes>>) -> Result<()> {
    let (topic, progress) = (&stream.topic, VerifyTracker::default());
    let replay = Replay::new(engine, stream, None, &progress).await?;
    for partition in 0..engine.log.partitions(topic).await?.cast_signed() {
        let end = engine.log.bounds(topic, partition).await?.end;
        let mut at = replay.first(partition).await?;
        while at < end {
            let (next, digests) = match engine.log.read(topic, partition, at, READ_BYTES).await {
                Err(LogError::Trimmed { .. }) => landed(&replay, partition, OffsetRange::new(at, end)).await?,
                fetched => {
                    let fetched = fetched?;
                    (fetched.range.end, of(&fetched, OffsetRange::new(at, end)))
                }
            };
            if next <= at {
                bail!("the log of `{topic}` partition {partition} ends at {at}, before {end}");
            }
            at = next;
            if !digests.is_empty() && to.send(Ok(digests.into())).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The digests of the segment or gap that covers the start of `range`, and its end.
async fn landed(replay: &Replay<'_>, partition: i32, range: OffsetRange) -> Result<(i64, Vec<u8>)> {
    let segment = match replay.landed_at(partition, range.start).await? {
        Coverage::Gap(gap) => return Ok((gap.range.end, vec![])),
        Coverage::Segment(segment) => segment,
    };
    let whole = || format!("segment `{}`", segment.path);
    let records = LandedRecords::open(replay.store, &segment).await.with_context(whole)?;
    let digesting = tokio::task::spawn_blocking(move || {
        let mut digests = vec![];
        for fetched in records {
            digests.extend(of(&fetched?, range));
        }
        Ok::<_, anyhow::Error>(digests)
    });
    let digests = digesting.await?.with_context(whole)?;
    Ok((segment.range.end, digests))
}

/// The digests of the records within `range`, end to end.
fn of(fetched: &Fetched, range: OffsetRange) -> Vec<u8> {
    let values = &fetched.records.values;
    let rows = (0..values.len()).filter(|&row| values.is_valid(row) && range.contains(fetched.offsets.value(row)));
    rows.flat_map(|row| digest(values.value(row))).collect()
}
