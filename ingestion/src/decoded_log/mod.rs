//! The decoded log: decoded records of one stream, shared by both layers.
//!
//! Layers read at their own pace and know nothing of each other. The first reader decodes; the other finds the batch in
//! a bounded cache, or decodes again when it is too far behind. A layer that stalls delays no other: no lock is held
//! while the log is read.

mod partition;
mod recent;
mod slice;

use std::sync::Arc;

use dovetail_core::pipeline::Stream;
use parking_lot::RwLock;
use tokio::sync::watch;

use self::partition::DecodedPartition;
use crate::formats::{DecodeError, Decoded};
use crate::log::{Log, LogError};

#[cfg(test)]
mod tests;

/// The reason why a read of the decoded log failed.
#[derive(Debug, thiserror::Error)]
pub enum DecodedLogError {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A batch could not be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Memory bounds of a decoded log.
#[derive(Debug, Clone)]
pub struct DecodedLogConfig {
    /// Approximate number of payload bytes that one read decodes.
    pub batch_bytes: usize,
    /// Bytes that each partition keeps decoded for the other layer.
    pub cache_bytes: usize,
}

/// Decoded records of one stream. Cheap to share.
#[derive(Debug)]
pub struct DecodedLog {
    log: Arc<dyn Log>,
    stream: Arc<Stream>,
    config: DecodedLogConfig,
    /// By partition number; a topic gets more partitions, never fewer.
    partitions: RwLock<Vec<Arc<DecodedPartition>>>,
    count: watch::Sender<u32>,
}

impl DecodedLog {
    /// Opens the decoded log of all partitions of the stream's topic, which must exist.
    pub async fn open(
        log: Arc<dyn Log>,
        stream: Arc<Stream>,
        config: DecodedLogConfig,
    ) -> Result<Self, DecodedLogError> {
        let decoded_log = Self { log, stream, config, partitions: RwLock::default(), count: watch::Sender::new(0) };
        decoded_log.look().await?;
        Ok(decoded_log)
    }

    /// Adds the partitions that the topic has got since.
    pub async fn look(&self) -> Result<(), DecodedLogError> {
        let there = self.log.partitions(&self.stream.topic).await?;
        let mut all = self.partitions.write();
        while all.len() < there as usize {
            let number = i32::try_from(all.len()).unwrap_or(i32::MAX);
            let partition =
                DecodedPartition::new(Arc::clone(&self.log), Arc::clone(&self.stream), number, &self.config)?;
            all.push(Arc::new(partition));
        }
        drop(all);
        self.count.send_if_modified(|count| {
            let grown = *count < there;
            *count = there.max(*count);
            grown
        });
        Ok(())
    }

    /// The stream that is decoded.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// The log that is read.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// Number of partitions.
    pub fn partitions(&self) -> u32 {
        *self.count.borrow()
    }

    /// The number of partitions, as a value to watch.
    pub fn count(&self) -> watch::Receiver<u32> {
        self.count.subscribe()
    }

    fn partition(&self, number: i32) -> Option<Arc<DecodedPartition>> {
        let all = self.partitions.read();
        all.get(usize::try_from(number).ok()?).cloned()
    }

    /// Decoded records at or after `from`; an empty range at the log's end.
    pub async fn read(&self, partition: i32, from: i64) -> Result<Arc<Decoded>, DecodedLogError> {
        match self.partition(partition) {
            Some(partition) => partition.read(from).await,
            None => {
                let (topic, partitions) = (self.stream.topic.clone(), self.partitions());
                Err(LogError::NoSuchPartition { topic, partition, partitions }.into())
            }
        }
    }

    /// Waits until there are records at or after `from`.
    pub async fn wait(&self, partition: i32, from: i64) -> Result<(), DecodedLogError> {
        Ok(self.log.wait_past(&self.stream.topic, partition, from).await?)
    }
}
