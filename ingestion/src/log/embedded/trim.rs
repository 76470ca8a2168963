//! Trimming: old batches leave the log, and their bytes leave the disk.

use std::time::Duration;

use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use fjall::PersistMode;

use super::keys;
use super::store::{Store, failed};
use super::topic::Partition;
use crate::log::LogError;

/// Number of keys removed in one step, which bounds the size of a step.
const STEP: usize = 4096;
/// Time limit for the store to write its buffer; after it the space is given back some other time.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
const FLUSH_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Removes the batches of `partition` that lie below `before` as a whole. Runs on a thread that may block.
///
/// # On a crash
/// The first offset moves before anything is removed: batches may be left that no reader can reach, and the next trim
/// removes them.
pub(super) fn trim(store: &Store, partition: &Partition, before: i64) -> Result<(), LogError> {
    let old = partition.bounds();
    if before <= old.start {
        return Ok(());
    }
    let first = first_kept(store, partition, old, before)?;
    if first <= old.start {
        return Ok(());
    }
    write_first(store, partition, first)?;
    partition.bounds.send_modify(|bounds| bounds.start = first);

    remove_below(store, partition, first)?;
    give_back(store, || write_first(store, partition, first))
}

fn write_first(store: &Store, partition: &Partition, first: i64) -> Result<(), LogError> {
    let mut step = store.db.batch().durability(Some(PersistMode::SyncData));
    step.insert(&store.data, keys::first(partition.id), first.to_be_bytes());
    step.commit().map_err(failed)
}

/// First offset of the batch that holds `before`, or the log's end.
fn first_kept(store: &Store, partition: &Partition, old: OffsetRange, before: i64) -> Result<i64, LogError> {
    if before >= old.end {
        return Ok(old.end);
    }
    Ok(store.batch_at(partition.id, before)?.unwrap_or(old.start))
}

fn remove_below(store: &Store, partition: &Partition, first: i64) -> Result<(), LogError> {
    let doomed = store.data.range(keys::batch(partition.id, 0)..keys::batch(partition.id, first));
    let mut doomed = doomed.map(fjall::Guard::key).peekable();
    while doomed.peek().is_some() {
        let mut step = store.db.batch();
        for key in doomed.by_ref().take(STEP) {
            step.remove(&store.data, key.map_err(failed)?);
        }
        step.commit().map_err(failed)?;
    }
    Ok(())
}

/// Makes the store find its empty files and delete them.
///
/// The store would do so by itself after some more flushes, but a log without appends has none. Dropped data has to be
/// older than the last write, in each of two steps: first the batches leave their files, then the files without a
/// reader leave the disk. `write` is any write.
fn give_back(store: &Store, write: impl Fn() -> Result<(), LogError>) -> Result<(), LogError> {
    write()?;
    store.data.rotate_memtable().map_err(failed)?;
    let since = clock::now_monotonic();
    while store.data.sealed_memtable_count() > 0 {
        if since.elapsed() > FLUSH_TIMEOUT {
            tracing::warn!("the store did not write its buffer in time, trimmed space is given back later");
            return Ok(());
        }
        clock::block_for(FLUSH_POLL_INTERVAL);
    }
    // The first counts the dropped part of each file, the second acts on it.
    store.data.major_compact().map_err(failed)?;
    store.data.major_compact().map_err(failed)?;
    write()?;
    store.data.rotate_memtable().map_err(failed)?;
    Ok(())
}
