//! The log in Apache Kafka.
//!
//! ```text
//! append ─► producer: idempotent, acks=all ─► brokers ─► acknowledged
//! append_request ─► the source's producer: a transaction ─► brokers ─► committed
//! read   ◄─ cursor ◄─ its partition's queue ◄─ lane: a consumer for many partitions ◄─ brokers
//! ```
//!
//! Readers get committed records only, and the end is that of the last committed one. Offsets skip where markers of
//! transactions, aborted or compacted records are; a read ends at a position, not at a record. An append that was not
//! acknowledged in time stays with the producer and can still arrive. With a [`SourceMark`] it cannot once the source
//! is taken over: the brokers then refuse the earlier producer.
//!
//! A broker's restart duplicates nothing because the brokers know the producer. They forget it when its last record is
//! older than `producer.id.expiration.ms`, a day, by the record's own time.
//!
//! The brokers may be away at any time, also when the log is opened: an operation that cannot wait any longer fails
//! with [`LogError::Unreachable`], and works again when they are back.

mod batch_builder;
mod bloom;
mod consumer;
mod source_producers;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};
use futures::future::try_join_all;
use tokio_util::sync::CancellationToken;

use self::clients::Clients;
use self::partition::KafkaPartition;
use self::requests::RequestPart;
pub use self::settings::KafkaConfig;
use self::topics::KafkaTopics;
use super::{AppendBatch, AppendOutcome, Log, LogError, PartitionPosition, SourceMark, TakenUp};

mod appending;
mod clients;
mod context;
mod cursor;
mod delivery;
mod failure;
mod headers;
mod identity;
mod partition;
mod presence;
mod producer_pool;
mod reading;
mod requests;
mod searching;
mod sender;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod topics;

/// Greatest time until a topic's id is known, where the brokers have ids.
const TOPIC_ID_TIMEOUT: Duration = Duration::from_secs(3);
const TOPIC_ID_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Interval at which the clients' reports are handled while nothing is read.
const SERVE_INTERVAL: Duration = Duration::from_millis(200);
/// Interval of checks whether topics are still the same.
const TOPICS_REFRESH_INTERVAL: Duration = Duration::from_secs(5);
/// Time after which an unused cursor is dropped: the records that it fetches ahead take memory.
const CURSOR_IDLE_MAX: Duration = Duration::from_secs(10);

/// Time after which an unused producer of sources is dropped.
const PRODUCER_IDLE_MAX: Duration = Duration::from_secs(60);
/// Time for which a request's transaction is open at most, unless its process is slow or dead.
const OPEN_TRANSACTION_MAX: Duration = Duration::from_secs(2);

/// The version of the linked client.
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// A log in Kafka.
pub struct KafkaLog {
    clients: Arc<Clients>,
    topics: Arc<KafkaTopics>,
    closed: CancellationToken,
    keeper: Option<JoinHandle<()>>,
}

impl KafkaLog {
    /// Checks the settings and makes the clients; does not wait for the brokers.
    pub fn open(config: KafkaConfig) -> Result<Self, LogError> {
        let clients = Arc::new(Clients::open(config)?);
        let topics = Arc::new(KafkaTopics::default());
        let closed = CancellationToken::new();
        let keeper = {
            let (clients, topics, closed) = (Arc::clone(&clients), Arc::clone(&topics), closed.clone());
            let thread = std::thread::Builder::new().name("kafka-keeper".to_owned());
            thread.spawn(move || keep(&clients, &topics, &closed)).map_err(|error| LogError::Store(error.into()))?
        };
        Ok(Self { clients, topics, closed, keeper: Some(keeper) })
    }

    /// Refuses further appends, and wakes the tasks that wait for records.
    pub fn close(&self) {
        self.closed.cancel();
    }

    async fn partition(&self, topic: &str, number: i32) -> Result<Arc<KafkaPartition>, LogError> {
        if let Some(partition) = self.topics.known(topic, number) {
            return Ok(partition);
        }
        let partitions = self.partitions(topic).await?;
        let none = LogError::NoSuchPartition { topic: topic.to_owned(), partition: number, partitions };
        self.topics.known(topic, number).ok_or(none)
    }

    async fn unless_closed<T>(&self, work: impl Future<Output = Result<T, LogError>>) -> Result<T, LogError> {
        self.closed.run_until_cancelled(work).await.unwrap_or(Err(LogError::Closed))
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        if partitions == 0 {
            return Err(LogError::NoPartitions { topic: topic.to_owned() });
        }
        let existing = match self.partitions(topic).await {
            Err(LogError::NoSuchTopic { .. } | LogError::Recreated { .. }) => {
                self.topics.create(&self.clients, topic, partitions).await?;
                let (clients, topics, topic) = (Arc::clone(&self.clients), Arc::clone(&self.topics), topic.to_owned());
                blocking(move || topics.appears(&clients, &topic)).await?
            }
            existing => existing?,
        };
        if existing >= partitions {
            return Ok(());
        }
        Err(LogError::PartitionsDiffer { topic: topic.to_owned(), existing, wanted: partitions })
    }

    async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        let (clients, topics, topic) = (Arc::clone(&self.clients), Arc::clone(&self.topics), topic.to_owned());
        blocking(move || topics.refresh(&clients, &topic, clients.patience())).await
    }

    async fn identity(&self, topic: &str) -> Result<Option<String>, LogError> {
        let until = clock::now_monotonic() + TOPIC_ID_TIMEOUT.min(self.clients.patience());
        loop {
            // Each attempt asks the brokers, and the clients report what they hear of the topic.
            self.partitions(topic).await?;
            let identities = &self.clients.reported.identities;
            match identities.id(topic) {
                None if clock::now_monotonic() < until => clock::sleep(TOPIC_ID_POLL_INTERVAL).await,
                None => {
                    identities.tell_of_none(topic);
                    return Ok(None);
                }
                id => return Ok(id),
            }
        }
    }

    async fn append(
        &self,
        topic: &str,
        partition: i32,
        records: Records,
        mark: Option<SourceMark>,
    ) -> Result<OffsetRange, LogError> {
        let append = async {
            let partition = self.partition(topic, partition).await?;
            let Some(mark) = mark.filter(|_| !records.is_empty()) else {
                return appending::append(&self.clients, &partition, &records).await;
            };
            let until = clock::now_monotonic() + self.clients.patience();
            loop {
                let TakenUp { hold, .. } =
                    self.take_up(topic, &mark.source, partition.number..partition.number + 1).await?;
                let part =
                    RequestPart { partition: Arc::clone(&partition), records: records.clone(), mark: mark.clone() };
                match requests::append(&self.clients, &mark.source, vec![part], hold).await? {
                    Some(ranges) => return ranges.into_iter().next().ok_or(LogError::Closed),
                    None if clock::now_monotonic() < until => {}
                    None => return Err(LogError::Contended { topic: topic.to_owned(), source_id: mark.source }),
                }
            }
        };
        self.unless_closed(append).await
    }

    async fn take_up(&self, topic: &str, source: &str, partitions: Range<i32>) -> Result<TakenUp, LogError> {
        let partitions = try_join_all(partitions.map(|number| self.partition(topic, number))).await?;
        let take_up = async {
            self.clients.reported.identities.check(topic)?;
            let until = clock::now_monotonic() + self.clients.patience();
            let mut hold = source_producers::hold(&self.clients, topic, source, until).await?;
            let held = hold.held(&self.clients, topic, until).await?;
            let positions = held.positions(&self.clients, &partitions, source, until).await?;
            Ok(TakenUp { positions, hold: held.number() })
        };
        self.unless_closed(take_up).await
    }

    async fn append_request(
        &self,
        topic: &str,
        batches: Vec<AppendBatch>,
        hold: u64,
    ) -> Result<AppendOutcome, LogError> {
        let Some(source) = batches.first().map(|batch| batch.mark.source.clone()) else {
            return Ok(AppendOutcome::default());
        };
        let counts: Vec<u64> = batches.iter().map(|batch| batch.records.len() as u64).collect();
        let append = async {
            let part = async |AppendBatch { partition, records, mark }| {
                let partition = self.partition(topic, partition).await?;
                Ok(RequestPart { partition, records, mark })
            };
            let parts = try_join_all(batches.into_iter().map(part)).await?;
            requests::append(&self.clients, &source, parts, hold).await
        };
        match self.unless_closed(append).await {
            Ok(Some(ranges)) => {
                let there = ranges.iter().zip(counts).filter(|(range, _)| !range.is_empty());
                Ok(AppendOutcome { records: there.map(|(_, count)| count).sum(), again: false })
            }
            Ok(None) | Err(LogError::SourceOverlap { .. }) => Ok(AppendOutcome { records: 0, again: true }),
            Err(error) => Err(error),
        }
    }

    async fn source_position(
        &self,
        topic: &str,
        partition: i32,
        source: &str,
    ) -> Result<Option<PartitionPosition>, LogError> {
        let clients = &self.clients;
        let partition = self.partition(topic, partition).await?;
        clients.reported.identities.check(topic)?;
        let now = clock::now_monotonic();
        let until = now + clients.patience();
        match searching::position(clients, &partition, source, until.min(now + OPEN_TRANSACTION_MAX)).await {
            // The transaction may be of a process that died during a request of this source: taking the source over
            // ends it.
            Err(LogError::Undecided { .. }) => {
                let mut hold = source_producers::hold(clients, topic, source, until).await?;
                hold.held(clients, topic, until).await?;
                drop(hold);
                searching::position(clients, &partition, source, until).await
            }
            found => found,
        }
    }

    async fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError> {
        let partition = self.partition(topic, partition).await?;
        reading::bounds(&self.clients, &partition).await
    }

    async fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Fetched, LogError> {
        let partition = self.partition(topic, partition).await?;
        self.clients.reported.identities.check(topic)?;
        reading::read(&self.clients, &partition, from, max_bytes).await
    }

    async fn wait_past(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        let partition = self.partition(topic, partition).await?;
        self.clients.reported.identities.check(topic)?;
        self.unless_closed(reading::wait_past(&self.clients, &partition, offset)).await
    }

    /// Deletes up to the record, not to the batch.
    async fn trim(&self, topic: &str, partition: i32, before: i64) -> Result<(), LogError> {
        let partition = self.partition(topic, partition).await?;
        let bounds = reading::bounds(&self.clients, &partition).await?;
        if before <= bounds.start {
            return Ok(());
        }
        topics::trim(&self.clients, topic, partition.number, before.min(bounds.end)).await
    }

    /// 0: the disks are the brokers', and librdkafka cannot ask for their use.
    async fn disk_bytes(&self) -> Result<u64, LogError> {
        Ok(0)
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.close();
        if let Some(keeper) = self.keeper.take() {
            keeper.thread().unpark();
            if keeper.join().is_err() {
                tracing::error!("the log's keeper panicked");
            }
        }
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("brokers", &self.clients.config.brokers).finish_non_exhaustive()
    }
}

/// Does the periodic work, until the log is closed.
fn keep(clients: &Clients, topics: &KafkaTopics, closed: &CancellationToken) {
    let mut looked = clock::now_monotonic();
    while !closed.is_cancelled() {
        clients.serve();
        topics.each(|partition| partition.retire(CURSOR_IDLE_MAX));
        clients.holds.retire(PRODUCER_IDLE_MAX);
        if looked.elapsed() >= TOPICS_REFRESH_INTERVAL {
            for topic in topics.names() {
                // The refresh reports the topic's id; callers that use the topic get its errors.
                if let Err(error) = topics.refresh(clients, &topic, TOPICS_REFRESH_INTERVAL / 5) {
                    tracing::debug!(topic, %error, "look");
                }
            }
            looked = clock::now_monotonic();
        }
        std::thread::park_timeout(SERVE_INTERVAL);
    }
}

/// Runs work that waits for the brokers, or computes for long, on a thread where it blocks no task.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LogError::Store(error.into()))?
}
