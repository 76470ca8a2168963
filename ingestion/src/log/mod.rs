//! The log: partitions of records in the order they were appended.
//!
//! The trait is shaped for Kafka. Offsets may skip, a position can run ahead of the last record, and the first offset
//! moves forward when old records are trimmed. Every implementation has to pass `conformance` in `testkit/`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};
use futures::future::{join_all, try_join_all};

pub use self::spread::Spread;
pub use dovetail_api::prefix::Prefix;

pub mod by_time;
pub mod embedded;
pub mod kafka;
mod spread;

/// The origin of appended records, so that an interrupted source can continue without losing or repeating one.
///
/// A source numbers its records upwards; not every number need reach every partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceMark {
    /// Name of the source: stable across restarts of the same ingest.
    pub source: String,
    /// Number of each record of the batch, ascending.
    pub numbers: Vec<u64>,
    /// The number of partitions over which the source's records are spread, up to those of the batch.
    pub spread: Spread,
}

/// The position of a source in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionPosition {
    /// Number of its last record there.
    pub last: u64,
    /// The spread in the mark of that record.
    pub spread: Spread,
}

impl SourceMark {
    /// Numbers of the first and of the last record; none when there is no record.
    pub fn span(&self) -> Option<(u64, u64)> {
        Some((*self.numbers.first()?, *self.numbers.last()?))
    }
}

/// Records of one request of a source that go to one partition.
#[derive(Debug)]
pub struct AppendBatch {
    /// The partition's number.
    pub partition: i32,
    /// The records, in their order.
    pub records: Records,
    /// Their numbers in the source.
    pub mark: SourceMark,
}

/// A source that this process has taken over.
#[derive(Debug, Clone, Default)]
pub struct TakenUp {
    /// Its position in each of the requested partitions.
    pub positions: Vec<Option<PartitionPosition>>,
    /// Number of the takeover; a request that is planned by the positions carries it.
    pub hold: u64,
}

/// The outcome of one request of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppendOutcome {
    /// Number of records that were not in the log before.
    pub records: u64,
    /// Whether the request must be planned again: the source was taken over meanwhile, or another request of it came
    /// through, so that some of these records may be in the log. The source has to be taken over again first.
    pub again: bool,
}

/// The reason why an operation on the log failed. The fields are the facts that the message names.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No topic has this name.
    #[error("topic `{topic}` does not exist; it is created when a pipeline that names it is started")]
    NoSuchTopic { topic: String },
    /// The topic has fewer partitions.
    #[error("topic `{topic}` has no partition {partition}; it has {partitions}")]
    NoSuchPartition { topic: String, partition: i32, partitions: u32 },
    /// The topic has fewer partitions than the pipeline declares.
    #[error(
        "topic `{topic}` has {existing} partitions and the pipeline asks for {wanted}; add some to the topic with Kafka's tools (`kafka-topics.sh --alter --topic {topic} --partitions {wanted}`), or write 'partitions' '{existing}'"
    )]
    PartitionsDiffer { topic: String, existing: u32, wanted: u32 },
    /// The brokers have not heard of all partitions over which the source is spread; retry later.
    #[error(
        "topic `{topic}` has {existing} partitions by what the brokers say, but source `{source_id}` was spread over {spread}; it goes on when all brokers know of them"
    )]
    PartitionsUnheard { topic: String, source_id: String, existing: u32, spread: u32 },
    /// The search for the source's position goes on; retry to continue it.
    #[error(
        "{topic}/{partition}: looking for what source `{source_id}` appended before: everything from offset {from} on is looked through, down to {start} is to come; send it again, it goes on from there"
    )]
    Searching { topic: String, partition: i32, source_id: String, from: i64, start: i64 },
    /// The source's position was forgotten, so duplicates could not be recognised.
    #[error(
        "topic `{topic}`: where source `{source_id}` is, is no longer known: the log keeps the positions of {most} sources, and its record {first} is not its first; give it another name, and send what is not in the log yet"
    )]
    SourceForgotten { topic: String, source_id: String, first: u64, most: usize },
    /// The records at the offset were trimmed.
    #[error("{topic}/{partition}: offset {offset} is gone, the log starts at {first}: {} offsets are missing", first - offset)]
    Trimmed { topic: String, partition: i32, offset: i64, first: i64 },
    /// The offset has not been reached yet.
    #[error("{topic}/{partition}: offset {offset} is past the log's end {end}")]
    PastEnd { topic: String, partition: i32, offset: i64, end: i64 },
    /// A batch of the source is in the log in part.
    #[error(
        "{topic}/{partition}: source `{source_id}` overlaps what it appended before: record {first} came again, {appended} was the last"
    )]
    SourceOverlap { topic: String, partition: i32, source_id: String, first: u64, appended: u64 },
    /// Another process appends records of the same source; send the request again.
    #[error(
        "topic `{topic}`: another process appends records of source `{source_id}` too, or the brokers do not take them; send the request again"
    )]
    Contended { topic: String, source_id: String },
    /// A stored batch cannot be read.
    #[error("{topic}/{partition}: batch at offset {offset} is damaged: {why}")]
    Damaged { topic: String, partition: i32, offset: i64, why: String },
    /// A topic was to be created without partitions.
    #[error("topic `{topic}` needs at least one partition")]
    NoPartitions { topic: String },
    /// The name of a topic or a source is too long.
    #[error("the name `{name}..` is longer than {most} bytes; use a shorter one")]
    NameTooLong { name: String, most: usize },
    /// A record is larger than the log takes.
    #[error(
        "{topic}/{partition}: a record of {bytes} bytes is more than the log takes, {most}; store it elsewhere and append a reference"
    )]
    RecordTooLarge { topic: String, partition: i32, bytes: usize, most: usize },
    /// Another process has the log open.
    #[error("the log in `{path}` is open in another process; stop that one, or use another folder", path = .path.display())]
    InUse { path: PathBuf },
    /// The log's folder cannot be opened.
    #[error("the log in `{path}` cannot be opened; see if the folder can be written and was made by this version", path = .path.display())]
    Open { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// The log's journal cannot be read.
    #[error(
        "the journal of the log in `{path}` is damaged ({why}); restore the folder from a copy, or move it away and ingest again",
        path = .path.display()
    )]
    DamagedJournal { path: PathBuf, why: String },
    #[error(
        "the log in `{path}` has format {found}, this program reads format {reads}: use the version that wrote it, or a newer one",
        path = .path.display()
    )]
    OtherFormat { path: PathBuf, found: i64, reads: i64 },
    /// The brokers did not answer in time; retry later.
    #[error("Kafka at `{brokers}` does not do what was asked ({why}); it goes on when it does")]
    Unreachable { brokers: String, why: String },
    /// A transaction is open in front of the records; retry later.
    #[error(
        "{topic}/{partition}: a transaction is open from offset {offset} on, so it is not known yet what is in the log behind it; the brokers end it within some seconds, and then it goes on"
    )]
    Undecided { topic: String, partition: i32, offset: i64 },
    /// The topic was deleted and created again since it was opened.
    #[error(
        "topic `{topic}` was deleted and created again: it was `{was}`, it is `{is}`; nothing of the new one continues the old one. Use another topic, or begin anew with this one"
    )]
    Recreated { topic: String, was: String, is: String },
    /// The brokers refused the operation; a retry does not help.
    #[error("Kafka refused {what} (topic `{topic}`): {why}")]
    Refused { what: String, topic: String, why: String },
    /// A setting for librdkafka is wrong or not permitted.
    #[error("Kafka setting `{name}`: {why}; librdkafka's CONFIGURATION.md lists them all")]
    KafkaSetting { name: String, why: String },
    /// The log was closed.
    #[error("the log is shutting down")]
    Closed,
    /// The embedded log's store failed; nothing is acknowledged until it is opened again.
    #[error("the log's store failed; see if the disk is full or read-only")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Partitions of records. Cheap to share; every method may be called from any task.
#[async_trait]
pub trait Log: fmt::Debug + Send + Sync {
    /// Ensures that `topic` exists with `partitions` partitions or more. A topic with fewer gets more if the log is
    /// used by Dovetail alone, else the result is [`LogError::PartitionsDiffer`].
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError>;

    /// Number of partitions of `topic`.
    async fn partitions(&self, topic: &str) -> Result<u32, LogError>;

    /// The identity of a topic, which differs from that of another one of its name: created after it was deleted, or in
    /// another log. None if the log reports none, after a wait for it.
    async fn identity(&self, topic: &str) -> Result<Option<String>, LogError> {
        self.partitions(topic).await?;
        Ok(None)
    }

    /// Appends `records` to one partition and returns once they are durable.
    ///
    /// With a `mark`, records that the source already appended to this partition are not appended again: when the last
    /// of them is not past the stored position, nothing happens and the result is an empty range at the log's end; a
    /// partial overlap is [`LogError::SourceOverlap`]. After another error the first records of the batch can be in the
    /// log: [`Log::source_position`] gives their number. Records of others can lie within the returned range.
    async fn append(
        &self,
        topic: &str,
        partition: i32,
        records: Records,
        mark: Option<SourceMark>,
    ) -> Result<OffsetRange, LogError>;

    /// The position of `source` in this partition; `None` when it has no record there.
    async fn source_position(
        &self,
        topic: &str,
        partition: i32,
        source: &str,
    ) -> Result<Option<PartitionPosition>, LogError>;

    /// Takes `source` over, and returns its position in each of `partitions`. Records of it that another process has in
    /// flight at this moment are either counted, or never reach the log.
    async fn take_up(&self, topic: &str, source: &str, partitions: Range<i32>) -> Result<TakenUp, LogError> {
        let positions = partitions.map(|partition| self.source_position(topic, partition, source));
        Ok(TakenUp { positions: try_join_all(positions).await?, hold: 0 })
    }

    /// Appends one request of a source that was taken over, each batch as [`Log::append`] does, those of one partition
    /// in their order. `hold` is from [`Log::take_up`]: nothing is appended if the source was taken over since.
    async fn append_request(
        &self,
        topic: &str,
        batches: Vec<AppendBatch>,
        _hold: u64,
    ) -> Result<AppendOutcome, LogError> {
        let mut parts = BTreeMap::<i32, Vec<AppendBatch>>::new();
        for batch in batches {
            parts.entry(batch.partition).or_default().push(batch);
        }
        let append = async |part: Vec<AppendBatch>| {
            let mut appended = AppendOutcome::default();
            for AppendBatch { partition, records, mark } in part {
                let count = records.len() as u64;
                match self.append(topic, partition, records, Some(mark)).await {
                    // The range can be wider: others append as well.
                    Ok(range) => appended.records += if range.is_empty() { 0 } else { count },
                    Err(LogError::SourceOverlap { .. }) => return Ok(AppendOutcome { again: true, ..appended }),
                    Err(error) => return Err(error),
                }
            }
            Ok(appended)
        };
        let mut all = AppendOutcome::default();
        // All of them run to their end, also when one fails.
        for appended in join_all(parts.into_values().map(append)).await {
            let AppendOutcome { records, again } = appended?;
            all.records += records;
            all.again |= again;
        }
        Ok(all)
    }

    /// The number of sources of the topic whose positions are kept, once some were forgotten: then a source without a
    /// position need not be new.
    async fn forgets_sources(&self, topic: &str) -> Result<Option<usize>, LogError> {
        self.partitions(topic).await?;
        Ok(None)
    }

    /// `[first offset still there, log end)`.
    async fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError>;

    /// Reads records at or after `from`, at most about `max_bytes` of payload but at least one record if there is one.
    /// At the log's end it returns an empty range at once.
    async fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Fetched, LogError>;

    /// Waits until the log's end is past `offset`. Cancel-safe.
    async fn wait_past(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError>;

    /// Drops whole batches below `before`; the first offset moves to at most `before`.
    async fn trim(&self, topic: &str, partition: i32, before: i64) -> Result<(), LogError>;

    /// Bytes the log holds on disk, for metrics and retention.
    async fn disk_bytes(&self) -> Result<u64, LogError>;
}
