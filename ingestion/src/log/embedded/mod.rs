//! The embedded log: for one process, with nothing installed. Durable, and the same semantics as Kafka.
//!
//! ```text
//! append ─► queue (bounded in bytes) ─► writer: group ─► store, one sync ─► tail ─► end moves ─► acknowledged
//! read   ◄─ tail, when it reaches back far enough, else the store
//! ```
//!
//! Offsets do not skip here, and a batch is in the log as a whole or not at all. An append that fails with
//! [`LogError::Store`] was not acknowledged but can be in the log after a restart, as when a connection breaks; a
//! caller that must know sends a [`SourceMark`]. After such an error the store takes nothing until it is opened again.

mod batch_builder;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use async_trait::async_trait;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};
use metrics::gauge;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::group::Append;
use self::limits::{check_name, check_sizes};
use self::positions::{Forgetful, Positions};
use self::store::{LogStore, failed};
use self::tails::Tails;
use self::topic::TopicPartition;
use self::topics::EmbeddedTopics;
use self::writer::LogWriter;
use super::{Log, LogError, PartitionPosition, SourceMark};
use crate::log::embedded::batch_builder::{BatchBuilder, bytes_of_first};

mod batch;
mod group;
mod keys;
mod limits;
mod positions;
mod store;
mod tail;
mod tails;
#[cfg(test)]
mod tests;
mod topic;
mod topics;
mod trim;
mod writer;

/// Bytes of an append besides its records.
const APPEND_BYTES: usize = 512;
/// Bytes of a record besides its payload: a timestamp and the ends of key, headers and value.
const ROW_BYTES: usize = 20;

/// Memory limits of the embedded log.
#[derive(Debug, Clone)]
pub struct EmbeddedLogConfig {
    /// Bytes of appends that wait for the disk; beyond this `append` waits.
    pub queue_bytes: usize,
    /// Bytes of the newest batches of all partitions, which readers at the log's end get without the disk.
    pub tail_bytes: usize,
}

/// A log in a folder of this machine.
pub struct EmbeddedLog {
    store: LogStore,
    identity: String,
    topics: Arc<EmbeddedTopics>,
    forgetful: Arc<Forgetful>,
    /// Locked while something is trimmed: one trim after the other is cheaper.
    trimming: Arc<Mutex<()>>,
    queue: Arc<Semaphore>,
    queue_bytes: usize,
    appends: Mutex<Option<mpsc::Sender<Append>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    commits: Arc<AtomicU64>,
    closed: CancellationToken,
}

impl EmbeddedLog {
    /// Opens the log in the folder `path`, or creates it. Blocks while the journal is read.
    pub fn open(path: &Path, config: &EmbeddedLogConfig) -> Result<Self, LogError> {
        Self::open_with(path, config, positions::SOURCES_MAX)
    }

    fn open_with(path: &Path, config: &EmbeddedLogConfig, most_sources: usize) -> Result<Self, LogError> {
        let store = LogStore::open(path)?;
        let identity = store.identity()?;
        let topics = Arc::new(EmbeddedTopics::load(store.clone())?);
        let forgetful = Arc::new(Forgetful::load(&store)?);
        let queue_bytes = config.queue_bytes.clamp(APPEND_BYTES, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let queue = Arc::new(Semaphore::new(queue_bytes));
        let commits = Arc::new(AtomicU64::new(0));
        // The queue is bounded by bytes: no append takes less than this.
        let (appends, waiting) = mpsc::channel(queue_bytes / APPEND_BYTES);
        let writer = LogWriter {
            store: store.clone(),
            topics: Arc::clone(&topics),
            positions: Positions::load(&store, most_sources)?,
            forgetful: Arc::clone(&forgetful),
            tails: Tails::new(config.tail_bytes),
            queue: Arc::clone(&queue),
            queue_bytes,
            commits: Arc::clone(&commits),
        };
        let thread = std::thread::Builder::new().name("log-writer".to_owned());
        let writer = thread.spawn(move || writer.run(waiting)).map_err(failed)?;
        Ok(Self {
            store,
            identity,
            topics,
            forgetful,
            trimming: Arc::default(),
            queue,
            queue_bytes,
            appends: Mutex::new(Some(appends)),
            writer: Mutex::new(Some(writer)),
            commits,
            closed: CancellationToken::new(),
        })
    }

    /// Number of commits since the log was opened; each syncs once, for all appends that waited.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Refuses further appends, commits those that wait, and wakes the waiting readers. Reads go on.
    ///
    /// Blocks until the last commit is done. The folder is free once the log is dropped.
    pub fn close(&self) {
        self.closed.cancel();
        self.queue.close();
        drop(lock(&self.appends).take());
        if let Some(writer) = lock(&self.writer).take()
            && writer.join().is_err()
        {
            tracing::error!("the log's writer panicked, appends it held were not acknowledged");
        }
    }

    /// Waits for room in the queue, and puts an append there.
    async fn enqueue(
        &self,
        partition: Arc<TopicPartition>,
        records: Records,
        mark: Option<SourceMark>,
    ) -> Result<oneshot::Receiver<Result<OffsetRange, LogError>>, LogError> {
        let appends = lock(&self.appends).clone().ok_or(LogError::Closed)?;
        let bytes = APPEND_BYTES + records.len() * ROW_BYTES + bytes_of_first(&records, records.len());
        let share = u32::try_from(bytes.min(self.queue_bytes)).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.queue).acquire_many_owned(share).await.map_err(|_| LogError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let append = Append { partition, records, mark, reply, share };
        appends.send(append).await.map_err(|_| LogError::Closed)?;
        gauge!("dovetail_log_queue_bytes").set((self.queue_bytes - self.queue.available_permits()) as f64);
        Ok(answer)
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        check_name(topic)?;
        if partitions == 0 {
            return Err(LogError::NoPartitions { topic: topic.to_owned() });
        }
        let (topics, topic) = (Arc::clone(&self.topics), topic.to_owned());
        blocking(move || topics.create(&topic, partitions)).await
    }

    async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        Ok(self.topics.topic(topic)?.partition_count())
    }

    async fn identity(&self, topic: &str) -> Result<Option<String>, LogError> {
        self.topics.topic(topic)?;
        Ok(Some(self.identity.clone()))
    }

    async fn append(
        &self,
        topic: &str,
        partition: i32,
        records: Records,
        mark: Option<SourceMark>,
    ) -> Result<OffsetRange, LogError> {
        let partition = self.topics.partition(topic, partition)?;
        check_sizes(&partition, &records)?;
        if let Some(mark) = &mark {
            check_name(&mark.source)?;
        }
        let answer = self.enqueue(partition, records, mark).await?;
        answer.await.map_err(|_| LogError::Closed)?
    }

    async fn source_position(
        &self,
        topic: &str,
        partition: i32,
        source: &str,
    ) -> Result<Option<PartitionPosition>, LogError> {
        let topic = self.topics.topic(topic)?;
        let (id, first) = (topic.partition(partition)?.id, topic.first);
        check_name(source)?;
        let (store, source) = (self.store.clone(), source.to_owned());
        blocking(move || positions::read(&store, id, &source, first)).await
    }

    async fn forgets_sources(&self, topic: &str) -> Result<Option<usize>, LogError> {
        let topic = self.topics.topic(topic)?;
        Ok(self.forgetful.has(topic.id).then_some(positions::SOURCES_MAX))
    }

    async fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError> {
        Ok(self.topics.partition(topic, partition)?.bounds())
    }

    async fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Fetched, LogError> {
        let partition = self.topics.partition(topic, partition)?;
        let end = partition.bounds_around(from)?.end;
        let mut page = BatchBuilder::new(from, max_bytes);
        if from == end || partition.tail.fill(&mut page) {
            return page.finish().map_err(failed);
        }
        let store = self.store.clone();
        blocking(move || {
            store.fill(&partition, &mut page, end)?;
            if page.is_empty() {
                // It was trimmed after the bounds were read, or else it should be there.
                partition.bounds_around(from)?;
                return Err(partition.damaged(from, "it is missing"));
            }
            page.finish().map_err(failed)
        })
        .await
    }

    async fn wait_past(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        let mut bounds = self.topics.partition(topic, partition)?.bounds.subscribe();
        let past = bounds.wait_for(|bounds| bounds.end > offset);
        match self.closed.run_until_cancelled(past).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(LogError::Closed),
        }
    }

    async fn trim(&self, topic: &str, partition: i32, before: i64) -> Result<(), LogError> {
        let partition = self.topics.partition(topic, partition)?;
        let (store, trimming) = (self.store.clone(), Arc::clone(&self.trimming));
        blocking(move || {
            let _alone = lock(&trimming);
            trim::trim(&store, &partition, before)
        })
        .await
    }

    async fn disk_bytes(&self) -> Result<u64, LogError> {
        let store = self.store.clone();
        blocking(move || store.db.disk_space().map_err(failed)).await
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedLog").field("path", &self.store.data.path()).finish_non_exhaustive()
    }
}

/// Runs work that may touch the disk on a thread where it blocks no task.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
