//! A group: the appends that share one commit. The outcome is decided here, without access to the disk.

use std::collections::HashMap;
use std::sync::Arc;

use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::Records;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::keys::PartitionId;
use super::topic::TopicPartition;
use crate::log::embedded::batch_builder::{bytes_of_first, fitting};
use crate::log::{LogError, PartitionPosition, SourceMark};

#[cfg(test)]
mod tests;

/// Stored batches are cut at this size: small enough to be read for a part of them, large enough to need few keys.
const BATCH_BYTES: usize = 1 << 20;

/// One append on its way to the writer.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) partition: Arc<TopicPartition>,
    pub(super) records: Records,
    pub(super) mark: Option<SourceMark>,
    pub(super) reply: oneshot::Sender<Result<OffsetRange, LogError>>,
    /// Its permits of the queue, returned when the append is done.
    pub(super) share: OwnedSemaphorePermit,
}

/// The outcome of one append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GroupedAppend {
    /// The offsets of the records. An empty range if they had been appended before.
    Appended(OffsetRange),
    /// The source sent a part of the records that it had already appended.
    Overlap { source: String, first: u64, appended: u64 },
}

/// The outcome of a group.
#[derive(Debug, Default)]
pub(super) struct GroupPlan {
    /// One per append, in their order.
    pub(super) outcomes: Vec<GroupedAppend>,
    pub(super) growth: HashMap<PartitionId, PartitionGrowth>,
    pub(super) positions: HashMap<(PartitionId, String), PartitionPosition>,
}

/// The records that one partition gains.
#[derive(Debug)]
pub(super) struct PartitionGrowth {
    pub(super) partition: Arc<TopicPartition>,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) pieces: Vec<Records>,
}

/// Decides the outcome of `appends`; `stored` returns the position of a source before the group.
pub(super) fn plan(
    appends: &[Append],
    stored: impl Fn(PartitionId, &str) -> Result<Option<u64>, LogError>,
) -> Result<GroupPlan, LogError> {
    let mut plan = GroupPlan::default();
    for append in appends {
        let id = append.partition.id;
        let growth = plan.growth.entry(id).or_insert_with(|| PartitionGrowth::none(&append.partition));
        if let Some(mark) = &append.mark
            && let Some((first, last)) = mark.span()
        {
            let key = (id, mark.source.clone());
            let appended = match plan.positions.get(&key) {
                Some(position) => Some(position.last),
                None => stored(id, &mark.source)?,
            };
            if let Some(outcome) = repeated(&mark.source, (first, last), appended, growth.end) {
                plan.outcomes.push(outcome);
                continue;
            }
            plan.positions.insert(key, PartitionPosition { last, spread: mark.spread.clone() });
        }
        plan.outcomes.push(GroupedAppend::Appended(growth.add(&append.records)));
    }
    plan.growth.retain(|_, growth| growth.start < growth.end);
    Ok(plan)
}

/// The outcome of a batch that the source has appended before, at least in part.
fn repeated(source: &str, (first, last): (u64, u64), appended: Option<u64>, end: i64) -> Option<GroupedAppend> {
    let appended = appended?;
    if last <= appended {
        return Some(GroupedAppend::Appended(OffsetRange::new(end, end)));
    }
    let overlap = GroupedAppend::Overlap { source: source.to_owned(), first, appended };
    (first <= appended).then_some(overlap)
}

impl PartitionGrowth {
    fn none(partition: &Arc<TopicPartition>) -> Self {
        let end = partition.bounds().end;
        Self { partition: Arc::clone(partition), start: end, end, pieces: Vec::new() }
    }

    fn add(&mut self, records: &Records) -> OffsetRange {
        let start = self.end;
        self.end += records.len() as i64;
        self.pieces.push(records.clone());
        OffsetRange::new(start, self.end)
    }

    /// The records in batches of at most [`BATCH_BYTES`], or of one record that is larger.
    ///
    /// Single records of many appends share a batch, and one large append becomes several.
    pub(super) fn batches(&self) -> Vec<Vec<Records>> {
        let mut batches = Vec::new();
        let (mut batch, mut left) = (Vec::new(), BATCH_BYTES);
        for piece in &self.pieces {
            let mut rest = piece.clone();
            while !rest.is_empty() {
                let least = usize::from(batch.is_empty());
                let take = fitting(&rest, left).max(least);
                if take == 0 {
                    batches.push(std::mem::take(&mut batch));
                    left = BATCH_BYTES;
                    continue;
                }
                left = left.saturating_sub(bytes_of_first(&rest, take));
                batch.push(rest.slice(0, take));
                rest = rest.slice(take, rest.len() - take);
            }
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }
}
