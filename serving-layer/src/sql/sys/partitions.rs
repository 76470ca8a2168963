//! `sys.partitions`: where every layer stands in every partition, and how far it lags behind the log.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use dovetail_core::catalog::Partition;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::HeldUp;
use dovetail_ingestion::log::Log;
use futures::future::join_all;
use serde::Serialize;

use super::column::{self, Column, int32, int64, text};
use crate::error::QueryError;
use crate::snapshot::generation::Filled;
use crate::snapshot::layers::{LOG_TIMEOUT, Layers};
use crate::sql::tables::Tables;

/// One partition as it stands. Offsets are the next to read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PartitionState {
    pub(crate) stream: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// Where the log begins.
    pub(crate) first: Option<i64>,
    pub(crate) landed: Option<i64>,
    /// Where the batch views of this stream end, the least of them.
    pub(crate) cut: Option<i64>,
    /// How far the speed layer has folded, the least of its views.
    pub(crate) head: Option<i64>,
    pub(crate) log_end: Option<i64>,
    /// Records that are in the log and in no answer.
    pub(crate) lag_records: Option<i64>,
    /// Age of the first of them; 0 when there is none.
    pub(crate) lag_ms: Option<i64>,
    /// What the speed layer does: `reading`, `behind`; `stalled` while it waits for something, `no room` where what it
    /// sends does not fit here, `stopped` when it does not go on by itself.
    pub(crate) state: &'static str,
    pub(crate) error: Option<String>,
    /// What landing does, and why it does not go on.
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

/// Where a partition of the log begins and ends, or why that is not known.
async fn bounds(log: &dyn Log, stream: &Stream, partition: i32) -> Result<OffsetRange, HeldUp> {
    match tokio::time::timeout(LOG_TIMEOUT, log.bounds(&stream.topic, partition)).await {
        Ok(Ok(bounds)) => Ok(bounds),
        Ok(Err(error)) => Err(HeldUp::stalled(error.to_string())),
        Err(_) => Err(HeldUp::stalled(format!("the log has not answered for {LOG_TIMEOUT:?}"))),
    }
}

async fn state(tables: &Tables, stream: &Stream, partition: i32, landed: Option<&Partition>) -> PartitionState {
    let (bounds, unknown) = match &tables.layers.log {
        Some(log) => {
            bounds(log.as_ref(), stream, partition).await.map_or_else(|why| (None, Some(why)), |b| (Some(b), None))
        }
        None => (None, None),
    };
    let (head, held_up) = head(&tables.layers, stream, partition);
    let log_end = bounds.map(|bounds| bounds.end);
    let lag_records = log_end.zip(head).map(|(end, head)| (end - head).max(0));
    let lag_ms = match (lag_records, head) {
        (Some(0), _) => Some(0),
        (Some(_), Some(head)) => age(tables, stream, partition, head).await,
        _ => None,
    };
    let held_up = held_up.or(unknown);
    let landing = tables.landing.as_ref().and_then(|landing| landing.at(&stream.name, partition));
    let state = match (&held_up, lag_records) {
        (Some(HeldUp { no_room: true, .. }), _) => "no room",
        (Some(HeldUp { by_itself: true, .. }), _) => "stalled",
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
        error: held_up.map(|held_up| held_up.why),
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

fn head(layers: &Layers, stream: &Stream, partition: i32) -> (Option<i64>, Option<HeldUp>) {
    let mut least: Option<i64> = None;
    for view in layers.folded().filter(|view| view.stream == stream.name) {
        match layers.realtime.head(&view.name) {
            Ok(head) => {
                // A partition that nobody holds has no head.
                if let Some((_, here)) = head.iter().find(|&(held, _)| held == partition) {
                    least = Some(least.map_or(here, |least| least.min(here)));
                }
            }
            Err(error) => return (least, Some(HeldUp::stopped(error.to_string()))),
        }
    }
    (least, held_up(layers, stream, partition))
}

/// Why the first view that is not folded any further is not.
fn held_up(layers: &Layers, stream: &Stream, partition: i32) -> Option<HeldUp> {
    layers.folded().filter(|view| view.stream == stream.name).find_map(|view| {
        let held_up = layers.realtime.held_up(&view.name);
        let (_, held_up) = held_up.into_iter().find(|&(held_up, _)| held_up == partition)?;
        Some(HeldUp { why: format!("view `{}`: {}", view.name, held_up.why), ..held_up })
    })
}

/// How long ago the record at `offset` was produced.
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
