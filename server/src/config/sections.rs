//! The sections of the settings, each with its defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// All settings. Unknown keys are errors. Serialized, it contains all keys, by which variables are looked up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder for the log, the catalog and the store, as far as those have no place of their own.
    pub data_dir: Option<PathBuf>,
    /// The HTTP server.
    pub http: Listen,
    /// The PostgreSQL wire.
    pub postgres: Listen,
    /// Limits of requests that append.
    pub ingest: IngestSettings,
    /// The embedded log and the decoded log.
    pub log: LogSettings,
    /// Segments.
    pub landing: LandingSettings,
    /// Runs and upkeep.
    pub batch: BatchSettings,
    /// The speed layer.
    pub speed: Speed,
    /// Stream jobs.
    pub kappa: KappaSettings,
    /// Queries.
    pub query: Query,
    /// The Kafka log.
    pub kafka: Kafka,
    /// The catalog.
    pub catalog: CatalogPlace,
    /// The object store.
    pub store: StorePlace,
    /// The Flight service of a speed layer.
    pub flight: Listen,
    /// Membership of processes of one layer.
    pub member: MemberSettings,
}

/// The Kafka log; without brokers, the log is the embedded one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Kafka {
    /// `host:port`, separated by commas.
    pub brokers: Option<String>,
    /// Number of replicas of a created topic.
    pub replication: Option<u16>,
    /// Settings of a created topic.
    pub topic: BTreeMap<String, toml::Value>,
    /// All other keys: settings of librdkafka.
    #[serde(flatten)]
    pub settings: BTreeMap<String, toml::Value>,
}

/// The place of the catalog.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogPlace {
    /// `postgres://USER:PASSWORD@HOST/DATABASE`; by default a SQLite file in the data folder.
    pub url: Option<String>,
}

/// The place of the object store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorePlace {
    /// `s3://BUCKET/PREFIX` or a folder; by default one in the data folder.
    pub url: Option<String>,
    /// URL of an S3 store other than AWS's own.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// Whether an endpoint without TLS is accepted.
    pub allow_http: Option<bool>,
}

/// Membership of processes with one layer each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemberSettings {
    /// Host at which other processes reach this one; by default that of the address it listens on.
    pub advertise: Option<String>,
    /// Time for which a member counts as live without a renewal.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
}

impl Default for MemberSettings {
    fn default() -> Self {
        Self { advertise: None, lease: Duration::from_secs(5) }
    }
}

/// A server's address.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// `HOST:PORT`; each server has a default.
    pub listen: Option<String>,
}

/// Limits of requests that append records.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestSettings {
    /// Size of all requests that are being appended; beyond it, requests get 429.
    pub in_flight: ByteSize,
    /// Greatest size of one request.
    pub request: ByteSize,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self { in_flight: ByteSize::mib(64), request: ByteSize::mib(16) }
    }
}

/// Sizes of the embedded log and of the decoded log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Size of appends that wait for the disk.
    pub queue: ByteSize,
    /// Size of recent records in memory for readers at the log's end.
    pub tail: ByteSize,
    /// Approximate size of the records that one read decodes.
    pub read: ByteSize,
    /// Size of decoded records per partition that one layer leaves for the other.
    pub decoded: ByteSize,
    /// The part of the embedded log that is kept after landing.
    pub keep: Keep,
}

/// The retention of the embedded log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Records above the cut of some kept generation: only those are ever read from the log again.
    Uncovered,
    /// Everything, for ever.
    All,
}

impl LogSettings {
    /// Whether the log is trimmed.
    pub fn trims(&self) -> bool {
        self.keep == Keep::Uncovered
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            queue: ByteSize::mib(64),
            tail: ByteSize::mib(64),
            read: ByteSize::mib(4),
            decoded: ByteSize::mib(32),
            keep: Keep::Uncovered,
        }
    }
}

/// Limits of a segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LandingSettings {
    /// Payload at which a segment is closed.
    pub segment_size: ByteSize,
    /// Age of a segment's first record at which it is closed.
    #[serde(with = "humantime_serde")]
    pub segment_age: Duration,
}

impl Default for LandingSettings {
    fn default() -> Self {
        Self { segment_size: ByteSize::mib(128), segment_age: Duration::from_secs(5) }
    }
}

/// Schedules and upkeep of the batch layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// Schedule of incremental runs: `every 30s`, a cron expression with seconds, or `never`.
    pub schedule: String,
    /// Schedule of full runs, in the same form.
    pub full_schedule: String,
    /// Number of tasks that fold at the same time; the machine's cores by default.
    pub cores: Option<usize>,
    /// Number of the newest generations that are kept.
    pub keep_generations: usize,
    /// Time for which an object that nothing names is kept.
    #[serde(with = "humantime_serde")]
    pub garbage_grace: Duration,
    /// Time in which a writer has to record a staged object, before it counts as abandoned.
    #[serde(with = "humantime_serde")]
    pub staging_limit: Duration,
    /// Greatest size of a segment merged from adjacent ones; 0 merges none.
    pub compact_to: ByteSize,
    /// Interval of upkeep.
    #[serde(with = "humantime_serde")]
    pub upkeep_every: Duration,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            schedule: "every 1m".to_owned(),
            full_schedule: "never".to_owned(),
            cores: None,
            keep_generations: 3,
            garbage_grace: Duration::from_secs(300),
            staging_limit: Duration::from_secs(3600),
            compact_to: ByteSize::mib(128),
            upkeep_every: Duration::from_secs(30),
        }
    }
}

/// Limits of the speed layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Speed {
    /// Size of states above which a run is requested; at twice as much folding pauses.
    pub memory: ByteSize,
    /// Least time between two seals of a view's open state.
    #[serde(with = "humantime_serde")]
    pub seal: Duration,
}

impl Default for Speed {
    fn default() -> Self {
        Self { memory: ByteSize::gib(1), seal: Duration::from_millis(10) }
    }
}

/// Stream jobs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KappaSettings {
    /// Size of the states of one job at which it folds no further.
    pub memory: ByteSize,
    /// Time between two checkpoints of a job.
    #[serde(with = "humantime_serde")]
    pub checkpoint_every: Duration,
    /// Number of the newest checkpoints of a job that are kept.
    pub keep_checkpoints: usize,
    /// Number of threads that fold the jobs; half of the machine's cores by default, so that a replay leaves the others
    /// to the work that is live.
    pub threads: Option<usize>,
}

impl Default for KappaSettings {
    fn default() -> Self {
        Self { memory: ByteSize::gib(1), checkpoint_every: Duration::from_secs(10), keep_checkpoints: 3, threads: None }
    }
}

/// Limits of queries.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// Longest time of one query.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Memory of one query.
    pub memory: ByteSize,
    /// Memory of all queries together, and of the work beside them.
    pub total_memory: ByteSize,
    /// Memory for decoded states, merged copies and answers.
    pub state_cache: ByteSize,
    /// Number of queries that run at the same time.
    pub concurrent: usize,
    /// Number of connections of the PostgreSQL wire.
    pub connections: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            memory: ByteSize::mib(512),
            total_memory: ByteSize::gib(2),
            state_cache: ByteSize::gib(1),
            concurrent: 16,
            connections: 100,
        }
    }
}
