//! A log that counts and fails as a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};
use dovetail_ingestion::log::{Log, LogError, SourceMark, SourcePosition};
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn Log>,
    pub(crate) down: AtomicBool,
    /// Calls that asked for records or bounds.
    pub(crate) asked: AtomicU64,
    pub(crate) interrupted: Notify,
}

impl Faulty {
    fn ask(&self) -> Result<(), LogError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.down.load(Ordering::Relaxed) {
            true => Err(LogError::Store("no route to the log".into())),
            false => Ok(()),
        }
    }

    /// Wakes the tasks that wait for records, with an error.
    pub(crate) fn interrupt(&self) {
        self.interrupted.notify_waiters();
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Log for Faulty {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        self.inner.create_topic(topic, partitions).await
    }

    async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        self.inner.partitions(topic).await
    }

    async fn append(
        &self,
        topic: &str,
        partition: i32,
        records: Records,
        mark: Option<SourceMark>,
    ) -> Result<OffsetRange, LogError> {
        self.inner.append(topic, partition, records, mark).await
    }

    async fn source_position(
        &self,
        topic: &str,
        partition: i32,
        source: &str,
    ) -> Result<Option<SourcePosition>, LogError> {
        self.inner.source_position(topic, partition, source).await
    }

    async fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError> {
        self.ask()?;
        self.inner.bounds(topic, partition).await
    }

    async fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Fetched, LogError> {
        self.ask()?;
        self.inner.read(topic, partition, from, max_bytes).await
    }

    async fn wait_past(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        tokio::select! {
            waited = self.inner.wait_past(topic, partition, offset) => waited,
            () = self.interrupted.notified() => Err(LogError::Store("the connection was lost".into())),
        }
    }

    async fn trim(&self, topic: &str, partition: i32, before: i64) -> Result<(), LogError> {
        self.inner.trim(topic, partition, before).await
    }

    async fn disk_bytes(&self) -> Result<u64, LogError> {
        self.inner.disk_bytes().await
    }
}
