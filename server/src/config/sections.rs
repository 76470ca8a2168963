//! The sections of the settings, each with its defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// Everything that can be set. Unknown keys are errors. Serialized, it names all keys, which variables are looked up in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub data_dir: Option<PathBuf>,
    pub http: Listen,
    pub postgres: Listen,
    pub ingest: Ingest,
    pub log: Log,
    pub landing: Landing,
    pub batch: Batch,
    pub speed: Speed,
    pub query: Query,
    pub kafka: Kafka,
    pub catalog: CatalogPlace,
    pub store: StorePlace,
    pub flight: Listen,
    pub member: Member,
}

/// Brokers; without them, the log is the embedded one. Whatever else stands here is a setting of librdkafka.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Kafka {
    /// `host:port`, separated by commas.
    pub brokers: Option<String>,
    /// Replicas of a topic that is created.
    pub replication: Option<u16>,
    /// Settings of a topic that is created.
    pub topic: BTreeMap<String, toml::Value>,
    #[serde(flatten)]
    pub settings: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogPlace {
    /// `postgres://USER:PASSWORD@HOST/DATABASE`; by default a SQLite file in the data folder.
    pub url: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorePlace {
    /// `s3://BUCKET/PREFIX` or a folder; by default one in the data folder.
    pub url: Option<String>,
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub allow_http: Option<bool>,
}

/// How processes of a layer of their own find one another.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Member {
    /// Host at which others reach this one; by default that of the address it listens on.
    pub advertise: Option<String>,
    /// How long one counts as living without a sign of it.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
}

impl Default for Member {
    fn default() -> Self {
        Self { advertise: None, lease: Duration::from_secs(5) }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    pub listen: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// Bytes of requests that are being appended; more are told to come back.
    pub in_flight: ByteSize,
    /// Longest request.
    pub request: ByteSize,
}

impl Default for Ingest {
    fn default() -> Self {
        Self { in_flight: ByteSize::mib(64), request: ByteSize::mib(16) }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Bytes that wait for the disk.
    pub queue: ByteSize,
    /// Recent records kept in memory for readers at the log's end.
    pub tail: ByteSize,
    /// How much one read decodes.
    pub read: ByteSize,
    /// Decoded records that one layer leaves for the other, per partition.
    pub decoded: ByteSize,
    /// What stays in the embedded log once it is landed.
    pub keep: Keep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// What a generation that is kept does not cover: all that is ever read from the log again.
    Uncovered,
    /// Everything, for ever.
    All,
}

impl Log {
    pub fn trims(&self) -> bool {
        self.keep == Keep::Uncovered
    }
}

impl Default for Log {
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

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Landing {
    pub segment_size: ByteSize,
    #[serde(with = "humantime_serde")]
    pub segment_age: Duration,
}

impl Default for Landing {
    fn default() -> Self {
        Self { segment_size: ByteSize::mib(128), segment_age: Duration::from_secs(5) }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// When incremental runs start: `every 30s`, a cron expression with seconds, or `never`.
    pub schedule: String,
    /// When full runs start.
    pub full_schedule: String,
    pub cores: Option<usize>,
    pub keep_generations: usize,
    #[serde(with = "humantime_serde")]
    pub garbage_grace: Duration,
    /// How long whoever announced an object may take to record it, before it counts as abandoned.
    #[serde(with = "humantime_serde")]
    pub staging_limit: Duration,
    /// Adjacent segments are merged up to this size.
    pub compact_to: ByteSize,
    #[serde(with = "humantime_serde")]
    pub upkeep_every: Duration,
}

impl Default for Batch {
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

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Speed {
    pub memory: ByteSize,
    #[serde(with = "humantime_serde")]
    pub seal: Duration,
}

impl Default for Speed {
    fn default() -> Self {
        Self { memory: ByteSize::gib(1), seal: Duration::from_millis(10) }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    pub memory: ByteSize,
    pub total_memory: ByteSize,
    pub state_cache: ByteSize,
    pub concurrent: usize,
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
