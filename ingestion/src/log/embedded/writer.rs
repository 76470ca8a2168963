//! The writer: the one thread that commits appends, all waiting ones with one sync.
//!
//! While the disk syncs, the next group gathers: single appends take as long as a sync, and many at once are as fast as
//! the disk writes.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fjall::{OwnedWriteBatch, PersistMode, Slice};
use metrics::{counter, gauge};
use tokio::sync::{Semaphore, mpsc};

use super::group::{Append, GroupPlan, GroupedAppend, PartitionGrowth, plan};
use super::keys::PartitionId;
use super::positions::{Forgetful, Positions};
use super::store::{LogStore, failed};
use super::tails::Tails;
use super::topics::EmbeddedTopics;
use super::{batch, keys, positions};
use crate::log::LogError;

/// Greatest size of a group in bytes.
const GROUP_BYTES: usize = 32 << 20;

pub(super) struct LogWriter {
    pub(super) store: LogStore,
    pub(super) topics: Arc<EmbeddedTopics>,
    pub(super) positions: Positions,
    pub(super) forgetful: Arc<Forgetful>,
    pub(super) tails: Tails,
    /// Free bytes of the queue, and its size.
    pub(super) queue: Arc<Semaphore>,
    pub(super) queue_bytes: usize,
    /// Number of commits, each with one sync.
    pub(super) commits: Arc<AtomicU64>,
}

impl LogWriter {
    /// Commits the appends that arrive, until every sender is gone and the queue is empty.
    pub(super) fn run(mut self, mut appends: mpsc::Receiver<Append>) {
        while let Some(first) = appends.blocking_recv() {
            self.commit_group(gather(first, &mut appends));
            gauge!("dovetail_log_queue_bytes").set((self.queue_bytes - self.queue.available_permits()) as f64);
        }
    }

    fn commit_group(&mut self, group: Vec<Append>) {
        match self.commit(&group) {
            Ok(plan) => {
                for (append, outcome) in group.into_iter().zip(plan.outcomes) {
                    answer(append, outcome);
                }
            }
            Err(error) => refuse(group, error),
        }
    }

    /// Makes the group durable, then visible.
    ///
    /// # On a crash
    /// The journal has all of the group or nothing of it. A group in the journal is there after the next start, even if
    /// it was not acknowledged.
    fn commit(&mut self, group: &[Append]) -> Result<GroupPlan, LogError> {
        let stored = |id, source: &str| {
            // The spread does not matter here.
            Ok(positions::read(&self.store, id, source, 1)?.map(|position| position.last))
        };
        let plan = plan(group, stored)?;
        if plan.growth.is_empty() && plan.positions.is_empty() {
            return Ok(plan);
        }
        let written = self.write(&plan)?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        counter!("dovetail_log_commits_total").increment(1);
        for (growth, batches) in plan.growth.values().zip(written) {
            self.show(growth, batches);
        }
        Ok(plan)
    }

    /// Writes batches, ends and positions in one atomic step; returns the batches of each partition.
    fn write(&mut self, plan: &GroupPlan) -> Result<Vec<Vec<(i64, Slice)>>, LogError> {
        let mut step = self.store.db.batch().durability(Some(PersistMode::SyncData));
        let mut written = Vec::with_capacity(plan.growth.len());
        for (&id, growth) in &plan.growth {
            let batches = encode(growth);
            for (first, value) in &batches {
                step.insert(&self.store.data, keys::batch(id, *first), value.clone());
            }
            step.insert(&self.store.data, keys::end(id), growth.end.to_be_bytes());
            written.push(batches);
        }
        for ((id, source), position) in &plan.positions {
            let stamp = self.positions.next_stamp();
            step.insert(&self.store.data, keys::source(*id, source), positions::encode(position, stamp));
            for forgotten in self.positions.used(id.topic, source, stamp) {
                self.forget(&mut step, id.topic, &forgotten);
            }
        }
        step.commit().map_err(failed)?;
        Ok(written)
    }

    /// Removes the stored positions of a source in all partitions.
    fn forget(&self, step: &mut OwnedWriteBatch, topic: u32, source: &str) {
        if self.forgetful.add(topic) {
            tracing::warn!(topic, source, most = positions::SOURCES_MAX, "positions of sources begin to be forgotten");
        }
        step.insert(&self.store.data, keys::forgotten(topic), []);
        for number in 0..self.topics.partitions_of(topic) {
            step.remove(&self.store.data, keys::source(PartitionId { topic, number }, source));
        }
    }

    /// Puts a partition's new batches into its tail, then moves its end.
    fn show(&mut self, growth: &PartitionGrowth, batches: Vec<(i64, Slice)>) {
        let partition = &growth.partition;
        let mut bytes = 0;
        for (first, value) in batches {
            let len = value.len();
            bytes += len;
            match batch::decode(Bytes::from_owner(value)) {
                Ok(records) => self.tails.push(partition, first, records, len),
                Err(why) => tracing::error!(topic = %partition.topic, first, %why, "a batch was encoded wrongly"),
            }
        }
        let topic = partition.topic.to_string();
        counter!("dovetail_log_append_records_total", "topic" => topic.clone())
            .increment((growth.end - growth.start) as u64);
        counter!("dovetail_log_append_bytes_total", "topic" => topic).increment(bytes as u64);
        partition.bounds.send_modify(|bounds| bounds.end = growth.end);
    }
}

/// `first` and the other waiting appends, up to a bound.
fn gather(first: Append, appends: &mut mpsc::Receiver<Append>) -> Vec<Append> {
    let mut bytes = first.share.num_permits();
    let mut group = vec![first];
    while bytes < GROUP_BYTES {
        let Ok(append) = appends.try_recv() else { break };
        bytes += append.share.num_permits();
        group.push(append);
    }
    group
}

fn encode(growth: &PartitionGrowth) -> Vec<(i64, Slice)> {
    let mut first = growth.start;
    let mut encoded = Vec::new();
    for pieces in growth.batches() {
        encoded.push((first, Slice::from(batch::encode(&pieces))));
        first += pieces.iter().map(|piece| piece.len() as i64).sum::<i64>();
    }
    encoded
}

/// Answers an append; the records of an appender that no longer waits are appended all the same.
fn answer(append: Append, outcome: GroupedAppend) {
    let answer = match outcome {
        GroupedAppend::Appended(range) => Ok(range),
        GroupedAppend::Overlap { source, first, appended } => Err(LogError::SourceOverlap {
            topic: append.partition.topic.to_string(),
            partition: append.partition.number(),
            source_id: source,
            first,
            appended,
        }),
    };
    let _ = append.reply.send(answer);
}

/// Reports to all of a group that nothing of it is acknowledged.
fn refuse(group: Vec<Append>, error: LogError) {
    tracing::error!(%error, appends = group.len(), "commit failed, nothing of it was acknowledged");
    let source: Arc<dyn Error + Send + Sync> = match error {
        LogError::Store(source) => source.into(),
        error => Arc::new(error),
    };
    for append in group {
        let _ = append.reply.send(Err(LogError::Store(Box::new(Arc::clone(&source)))));
    }
}
