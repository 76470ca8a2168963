//! `sys.partitions`: the offsets of every layer in every partition, and the lag behind the log.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use dovetail_core::catalog::Partition;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::Stall;
use dovetail_ingestion::log::Log;
use futures::future::join_all;
use serde::Serialize;

use super::column::{self, Column, int32, int64, text};
use crate::error::QueryError;
use crate::snapshot::generation::Filled;
use crate::snapshot::layers::{LOG_TIMEOUT, Layers};
use crate::sql::tables::Tables;

/// The state of one partition. Offsets are the next to read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PartitionState {
    pub(crate) stream: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The log's first offset.
    pub(crate) first: Option<i64>,
    pub(crate) landed: Option<i64>,
    /// The least of the cuts of the stream's batch views.
    pub(crate) cut: Option<i64>,
    /// The least of the heads of the stream's views in the speed layer.
    pub(crate) head: Option<i64>,
    pub(crate) log_end: Option<i64>,
    /// Number of records that are in the log and in no answer.
    pub(crate) lag_records: Option<i64>,
    /// Age of the first of them, in milliseconds; 0 when there is none.
    pub(crate) lag_ms: Option<i64>,
    /// The speed layer's state: `reading`, `behind`; `stalled` while it waits for something, `no room` when its slices
    /// do not fit into this process, `stopped` when it needs help.
    pub(crate) state: &'static str,
    pub(crate) error: Option<String>,
    /// The state of landing, and the reason why it is stalled or stopped.
    pub(crate) landing_state: Option<String>,
    pub(crate) landing_error: Option<String>,
}

/// All partitions of all streams.
pub(crate) async fn partitions(tables: &Tables) -> Result<Vec<PartitionState>, QueryError> {
    let mut all = vec![];
    for stream in &tables.layers.streams {
        let known = tables.layers.catalog.partitions(&stream.topic).await?;
        let landed: BTreeMap<i32, Partition> = known.into_iter().map(|p| (p.partition, p)).collect();
        let partitions = tables.layers.partitions_at_once(stream).await;
        let states = (0..partitions.cast_signed()).map(|p| state(tables, stream, p, landed.get(&p)));
        all.extend(join_all(states).await);
    }
    Ok(all)
}

/// The first offset and the end of a partition of the log, or why they are not known.
async fn bounds(log: &dyn Log, stream: &Stream, partition: i32) -> Result<OffsetRange, Stall> {
    match tokio::time::timeout(LOG_TIMEOUT, log.bounds(&stream.topic, partition)).await {
        Ok(Ok(bounds)) => Ok(bounds),
        Ok(Err(error)) => Err(Stall::stalled(error.to_string())),
        Err(_) => Err(Stall::stalled(format!("the log has not answered for {LOG_TIMEOUT:?}"))),
    }
}

async fn state(tables: &Tables, stream: &Stream, partition: i32, landed: Option<&Partition>) -> PartitionState {
    let (bounds, unknown) = match &tables.layers.log {
        Some(log) => {
            bounds(log.as_ref(), stream, partition).await.map_or_else(|why| (None, Some(why)), |b| (Some(b), None))
        }
        None => (None, None),
    };
    let (head, stalled) = head(&tables.layers, stream, partition);
    let log_end = bounds.map(|bounds| bounds.end);
    let lag_records = log_end.zip(head).map(|(end, head)| (end - head).max(0));
    let lag_ms = match (lag_records, head) {
        (Some(0), _) => Some(0),
        (Some(_), Some(head)) => age(tables, stream, partition, head).await,
        _ => None,
    };
    let stalled = stalled.or(unknown);
    let landing = tables.landing.as_ref().and_then(|landing| landing.at(&stream.name, partition));
    let state = match (&stalled, lag_records) {
        (Some(Stall { no_room: true, .. }), _) => "no room",
        (Some(Stall { by_itself: true, .. }), _) => "stalled",
        (Some(_), _) => "stopped",
        (None, Some(1..)) => "behind",
        _ => "reading",
    };
    PartitionState {
        stream: stream.name.to_string(),
        topic: stream.topic.clone(),
        partition,
        first: bounds.map(|bounds| bounds.start).or(landed.map(|landed| landed.first_offset)),
        landed: landed.map(|landed| landed.next_offset),
        cut: cut(&tables.layers, stream, partition),
        head,
        log_end,
        lag_records,
        lag_ms,
        state,
        error: stalled.map(|stalled| stalled.why),
        landing_state: landing.as_ref().map(|landing| landing.state.clone()),
        landing_error: landing.and_then(|landing| landing.error),
    }
}

fn cut(layers: &Layers, stream: &Stream, partition: i32) -> Option<i64> {
    let served = layers.served();
    let cuts = layers.folded().filter(|view| view.stream == stream.name).filter_map(|view| match served.filled(view) {
        Filled::States(states) => Some(states.cut.get(partition)),
        _ => None,
    });
    cuts.min()
}

fn head(layers: &Layers, stream: &Stream, partition: i32) -> (Option<i64>, Option<Stall>) {
    let mut least: Option<i64> = None;
    for view in layers.folded().filter(|view| view.stream == stream.name) {
        match layers.realtime.head(&view.name) {
            Ok(head) => {
                // A partition that no speed layer holds has no head.
                if let Some((_, here)) = head.iter().find(|&(held, _)| held == partition) {
                    least = Some(least.map_or(here, |least| least.min(here)));
                }
            }
            Err(error) => return (least, Some(Stall::stopped(error.to_string()))),
        }
    }
    (least, stalled(layers, stream, partition))
}

/// The reason why a view is stalled, of the first such view.
fn stalled(layers: &Layers, stream: &Stream, partition: i32) -> Option<Stall> {
    layers.folded().filter(|view| view.stream == stream.name).find_map(|view| {
        let stalled = layers.realtime.stalled(&view.name);
        let (_, stalled) = stalled.into_iter().find(|&(stalled, _)| stalled == partition)?;
        Some(Stall { why: format!("view `{}`: {}", view.name, stalled.why), ..stalled })
    })
}

/// The age of the record at `offset`, in milliseconds.
async fn age(tables: &Tables, stream: &Stream, partition: i32, offset: i64) -> Option<i64> {
    let read = tables.layers.log.as_ref()?.read(&stream.topic, partition, offset, 1);
    let fetched = tokio::time::timeout(LOG_TIMEOUT, read).await.ok()?.ok()?;
    let produced = fetched.records.timestamps.values().first().copied()?;
    Some((tables.clock.now_ms() - produced).max(0))
}

pub(super) const COLUMNS: &[Column<PartitionState>] = &[
    text("stream", |of: &PartitionState| Some(of.stream.clone())).required(),
    text("topic", |of: &PartitionState| Some(of.topic.clone())).required(),
    int32("partition", |of: &PartitionState| Some(of.partition)).required(),
    int64("first", |of: &PartitionState| of.first),
    int64("landed", |of: &PartitionState| of.landed),
    int64("cut", |of: &PartitionState| of.cut),
    int64("head", |of: &PartitionState| of.head),
    int64("log_end", |of: &PartitionState| of.log_end),
    int64("lag_records", |of: &PartitionState| of.lag_records),
    int64("lag_ms", |of: &PartitionState| of.lag_ms),
    text("state", |of: &PartitionState| Some(of.state.to_owned())).required(),
    text("error", |of: &PartitionState| of.error.clone()),
    text("landing_state", |of: &PartitionState| of.landing_state.clone()),
    text("landing_error", |of: &PartitionState| of.landing_error.clone()),
];

pub(super) async fn rows(tables: &Tables) -> Result<RecordBatch, QueryError> {
    column::batch(COLUMNS, &partitions(tables).await?)
}
