//! The store under the log: one fjall keyspace, set up for large values that are written once.
//!
//! Batches are kept apart from their keys, so compaction moves a few bytes per batch and never the batch: a record
//! is written twice, to the journal and to its file. One keyspace for everything keeps the journal short, because
//! a journal can go only when every keyspace that wrote to it was flushed.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::Records;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use super::batch;
use super::keys::{self, PartitionId, TopicRow};
use super::topic::{Topic, TopicPartition};
use crate::log::LogError;
use crate::log::embedded::batch_builder::BatchBuilder;

/// Bytes collected in memory before they are written to a file; at most five times as much is in memory at once.
const WRITE_BUFFER_BYTES: u64 = 32 << 20;
const JOURNAL_BYTES: u64 = 256 << 20;
const FILE_BYTES: u64 = 64 << 20;
/// Version of the keys and values that this program writes and reads. A folder without one is of the first version.
const FORMAT: i64 = 1;
/// Values below this size stay beside their keys.
const SEPARATE_FROM_BYTES: u32 = 1 << 10;

#[derive(Clone)]
pub(super) struct LogStore {
    pub(super) db: Database,
    pub(super) data: Keyspace,
}

impl LogStore {
    /// Opens or creates the store in `path`.
    ///
    /// # Errors
    /// Also when a later version wrote it, in an unknown format.
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let store = Self::opened(path)?;
        match store.number(keys::FORMAT)? {
            Some(FORMAT) => Ok(store),
            Some(found) => Err(LogError::OtherFormat { path: path.to_owned(), found, reads: FORMAT }),
            None => store.name_format(FORMAT).map(|()| store),
        }
    }

    /// Records the store's format.
    pub(super) fn name_format(&self, format: i64) -> Result<(), LogError> {
        let mut step = self.db.batch().durability(Some(PersistMode::SyncData));
        step.insert(&self.data, keys::FORMAT, format.to_be_bytes());
        step.commit().map_err(failed)
    }

    fn opened(path: &Path) -> Result<Self, LogError> {
        let open = || {
            let db = Database::builder(path)
                .journal_compression(CompressionType::None)
                .max_journaling_size(JOURNAL_BYTES)
                .open()?;
            let data = db.keyspace("log", options)?;
            Ok(Self { db, data })
        };
        open().map_err(|error| match error {
            fjall::Error::Locked => LogError::InUse { path: path.to_owned() },
            fjall::Error::JournalRecovery(why) => {
                LogError::DamagedJournal { path: path.to_owned(), why: format!("{why:?}") }
            }
            error => LogError::Open { path: path.to_owned(), source: Box::new(error) },
        })
    }

    /// The identity of this log, made with the log or by the first version that asks for it.
    pub(super) fn identity(&self) -> Result<String, LogError> {
        if let Some(id) = self.data.get(keys::IDENTITY).map_err(failed)? {
            return String::from_utf8(id.to_vec()).map_err(|_| unreadable("identity", "i"));
        }
        let id = format!("{:032x}", clock::random::<u128>());
        let mut step = self.db.batch().durability(Some(PersistMode::SyncData));
        step.insert(&self.data, keys::IDENTITY, id.as_bytes());
        step.commit().map_err(failed)?;
        Ok(id)
    }

    /// Every topic with its bounds.
    pub(super) fn topics(&self) -> Result<HashMap<String, Arc<Topic>>, LogError> {
        let mut topics = HashMap::new();
        for row in self.data.prefix([keys::TOPIC]) {
            let (key, value) = row.into_inner().map_err(failed)?;
            let name = String::from_utf8_lossy(&key[1..]).into_owned();
            let row = TopicRow::read(&value).ok_or_else(|| unreadable("topic", &name))?;
            let bounds = (0..row.partitions).map(|number| self.bounds(PartitionId { topic: row.id, number }));
            let bounds = bounds.collect::<Result<Vec<_>, _>>()?;
            let topic = Topic::new(&name, row.id, bounds).first_with(row.first);
            topics.insert(name, Arc::new(topic));
        }
        Ok(topics)
    }

    fn bounds(&self, id: PartitionId) -> Result<OffsetRange, LogError> {
        let first = self.number(&keys::first(id))?.unwrap_or(0);
        let end = self.number(&keys::end(id))?.unwrap_or(0);
        if first > end {
            return Err(unreadable("bounds of partition", &id.number.to_string()));
        }
        Ok(OffsetRange::new(first, end))
    }

    /// The number stored under `key`.
    pub(super) fn number(&self, key: &[u8]) -> Result<Option<i64>, LogError> {
        match self.data.get(key).map_err(failed)? {
            None => Ok(None),
            Some(value) => keys::number(&value).map(Some).ok_or_else(|| unreadable("number", &format!("{key:?}"))),
        }
    }

    /// Fills `page` from disk, up to `end`. A batch that cannot be read is an error only when it is the first.
    pub(super) fn fill(&self, partition: &TopicPartition, page: &mut BatchBuilder, end: i64) -> Result<(), LogError> {
        let Some(first) = self.batch_at(partition.id, page.next())? else { return Ok(()) };
        let mut expected = first;
        for row in self.data.range(keys::batch(partition.id, first)..keys::batch(partition.id, end)) {
            let loaded = load(partition, row, expected);
            let (first, records) = match loaded {
                Ok(loaded) => loaded,
                Err(_) if !page.is_empty() => break,
                Err(error) => return Err(error),
            };
            expected = first + records.len() as i64;
            // Nothing is added beyond a hole: the batches in it were trimmed during this read.
            if !page.push(first, &records) {
                break;
            }
        }
        Ok(())
    }

    /// First offset of the batch that contains `offset`, or would contain it.
    pub(super) fn batch_at(&self, id: PartitionId, offset: i64) -> Result<Option<i64>, LogError> {
        let upto = self.data.range(keys::batch(id, 0)..=keys::batch(id, offset)).next_back();
        let key = upto.map(fjall::Guard::key).transpose().map_err(failed)?;
        Ok(key.and_then(|key| keys::offset_of_batch(&key)))
    }
}

/// Reads and decodes one batch; `expected` is its first offset, for errors in which not even its key can be read.
fn load(partition: &TopicPartition, row: fjall::Guard, expected: i64) -> Result<(i64, Records), LogError> {
    let (key, value) = row.into_inner().map_err(|error| match disk_failure(&error) {
        true => failed(error),
        false => partition.damaged(expected, error),
    })?;
    let first = keys::offset_of_batch(&key).ok_or_else(|| partition.damaged(expected, "its key is no offset"))?;
    let records = batch::decode(Bytes::from_owner(value)).map_err(|why| partition.damaged(first, why))?;
    Ok((first, records))
}

/// Whether the disk failed, rather than its content.
fn disk_failure(error: &fjall::Error) -> bool {
    let io = |error: &(dyn Error + 'static)| error.downcast_ref::<io::Error>().map(io::Error::kind);
    let kind = match error {
        fjall::Error::Io(error) => Some(error.kind()),
        fjall::Error::Storage(error) => error.source().and_then(io),
        _ => return true,
    };
    kind.is_some_and(|kind| kind != io::ErrorKind::UnexpectedEof)
}

pub(super) fn failed(error: impl Error + Send + Sync + 'static) -> LogError {
    LogError::Store(Box::new(error))
}

pub(super) fn unreadable(what: &str, which: &str) -> LogError {
    LogError::Store(format!("the {what} `{which}` is not stored as this version stores it").into())
}

fn options() -> KeyspaceCreateOptions {
    let apart = KvSeparationOptions::default()
        .compression(CompressionType::None)
        .separation_threshold(SEPARATE_FROM_BYTES)
        .file_target_size(FILE_BYTES)
        // Trimming empties whole files. Only a file held back by a partition without appends is worth a rewrite.
        .staleness_threshold(0.5)
        .age_cutoff(1.0);
    KeyspaceCreateOptions::default()
        .max_memtable_size(WRITE_BUFFER_BYTES)
        .data_block_compression_policy(CompressionPolicy::disabled())
        .with_kv_separation(Some(apart))
}
