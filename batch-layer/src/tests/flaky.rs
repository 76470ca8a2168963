//! A log that can be away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};
use dovetail_ingestion::log::{Log, LogError, SourceMark, SourcePosition};
use tokio::sync::Notify;

/// A log over another one: while it is away every question fails, and waiting tasks get an error.
#[derive(Debug)]
pub(crate) struct Flaky {
    log: Arc<dyn Log>,
    away: AtomicBool,
    left: Notify,
}

impl Flaky {
    pub(crate) fn over(log: Arc<dyn Log>) -> Arc<Self> {
        Arc::new(Self { log, away: AtomicBool::new(false), left: Notify::new() })
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
        self.left.notify_waiters();
    }

    fn there(&self) -> Result<&dyn Log, LogError> {
        match self.away.load(Ordering::SeqCst) {
            false => Ok(self.log.as_ref()),
            true => Err(LogError::Unreachable { brokers: "nowhere".to_owned(), why: "away".to_owned() }),
        }
    }
}

#[async_trait]
impl Log for Flaky {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        self.there()?.create_topic(topic, partitions).await
    }

    async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        self.there()?.partitions(topic).await
    }

    async fn append(&self, t: &str, p: i32, r: Records, mark: Option<SourceMark>) -> Result<OffsetRange, LogError> {
        self.there()?.append(t, p, r, mark).await
    }

    async fn source_position(
        &self,
        topic: &str,
        partition: i32,
        source: &str,
    ) -> Result<Option<SourcePosition>, LogError> {
        self.there()?.source_position(topic, partition, source).await
    }

    async fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError> {
        self.there()?.bounds(topic, partition).await
    }

    async fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Fetched, LogError> {
        self.there()?.read(topic, partition, from, max_bytes).await
    }

    async fn wait_past(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        let left = self.left.notified();
        tokio::select! {
            waited = self.there()?.wait_past(topic, partition, offset) => waited,
            () = left => self.there().map(drop),
        }
    }

    async fn trim(&self, topic: &str, partition: i32, before: i64) -> Result<(), LogError> {
        self.there()?.trim(topic, partition, before).await
    }

    async fn disk_bytes(&self) -> Result<u64, LogError> {
        self.there()?.disk_bytes().await
    }
}
