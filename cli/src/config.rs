//! Settings: defaults, then `dovetail.toml`, then `DOVETAIL_SECTION_KEY` variables, then flags.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytesize::ByteSize;
use dovetail_batch_layer::{BatchConfig, LandingConfig, RunConfig, Schedule};
use dovetail_core::catalog::MemberLayer;
use dovetail_core::store::S3Options;
use dovetail_ingestion::feed::FeedConfig;
use dovetail_ingestion::log::embedded::EmbeddedLogConfig;
use dovetail_ingestion::log::kafka::KafkaConfig;
use dovetail_serving_layer::{RemoteConfig, ServingConfig};
use dovetail_speed_layer::{FlightConfig, SpeedConfig};
use serde::Deserialize;

use crate::args::Place;
use crate::roles::Roles;

/// Everything that can be set. Unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize)]
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
#[derive(Debug, Clone, Default, Deserialize)]
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

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogPlace {
    /// `postgres://USER:PASSWORD@HOST/DATABASE`; by default a SQLite file in the data folder.
    pub url: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorePlace {
    /// `s3://BUCKET/PREFIX` or a folder; by default one in the data folder.
    pub url: Option<String>,
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub allow_http: Option<bool>,
}

/// How processes of a layer of their own find one another.
#[derive(Debug, Clone, Deserialize)]
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

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    pub listen: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
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

#[derive(Debug, Clone, Deserialize)]
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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

#[derive(Debug, Clone, Deserialize)]
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

#[derive(Debug, Clone, Deserialize)]
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
            compact_to: ByteSize::mib(128),
            upkeep_every: Duration::from_secs(30),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
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

#[derive(Debug, Clone, Deserialize)]
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

/// Where the settings are looked for when no file is named.
const FILE: &str = "dovetail.toml";
const PREFIX: &str = "DOVETAIL_";

impl Config {
    /// Reads the file and the environment, and applies the flags.
    pub fn load(place: &Place) -> Result<Self> {
        let file = place.config.clone().or_else(|| Path::new(FILE).exists().then(|| PathBuf::from(FILE)));
        let text = match &file {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?,
            None => String::new(),
        };
        let name = file.map_or_else(|| "settings".to_owned(), |f| f.display().to_string());
        let mut config = Self::parse(&name, &text, std::env::vars())?;
        config.data_dir = place.data_dir.clone().or(config.data_dir);
        config.http.listen = place.http.clone().or(config.http.listen);
        config.postgres.listen = place.postgres.clone().or(config.postgres.listen);
        config.flight.listen = place.flight.clone().or(config.flight.listen);
        Ok(config)
    }

    fn parse(name: &str, text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self> {
        // Errors of the file's own text carry its lines; variables are laid over it afterwards.
        let _: Self = toml::from_str(text).with_context(|| format!("in `{name}`"))?;
        let mut table: toml::Table = toml::from_str(text).with_context(|| format!("in `{name}`"))?;
        let mut used = vec![];
        for (variable, value) in variables {
            let Some((section, key)) = section_and_key(&variable) else { continue };
            let section_table = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let Some(section_table) = section_table.as_table_mut() else { bail!("`{name}`: not a section") };
            let value = value.parse::<i64>().map_or_else(|_| toml::Value::String(value), toml::Value::Integer);
            section_table.insert(key, value);
            used.push(variable);
        }
        table.try_into().with_context(|| format!("in the variables {}", used.join(", ")))
    }

    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from("dovetail-data"))
    }

    pub fn http_listen(&self, roles: Roles) -> String {
        let port = match roles {
            Roles::All | Roles::One(MemberLayer::Serve) => 8311,
            Roles::One(MemberLayer::Ingest) => 8312,
            Roles::One(MemberLayer::Batch) => 8313,
            Roles::One(MemberLayer::Speed) => 8314,
        };
        self.http.listen.clone().unwrap_or_else(|| format!("127.0.0.1:{port}"))
    }

    pub fn flight_listen(&self) -> &str {
        self.flight.listen.as_deref().unwrap_or("127.0.0.1:8315")
    }

    /// Where others reach this process: by HTTP, and by Flight if it is a speed layer.
    pub fn advertised(&self, http: SocketAddr, flight: Option<SocketAddr>) -> String {
        let at = |address: SocketAddr| match &self.member.advertise {
            Some(host) => format!("{host}:{}", address.port()),
            None => address.to_string(),
        };
        let flight = flight.map(|flight| format!(" {}", at(flight))).unwrap_or_default();
        format!("http://{}{flight}", at(http))
    }

    /// The Kafka log, if brokers are named.
    pub fn kafka(&self) -> Result<Option<KafkaConfig>> {
        let Kafka { brokers, replication, topic, settings } = &self.kafka;
        let Some(brokers) = brokers.clone() else {
            if let Some(setting) = settings.keys().next() {
                bail!("`[kafka]` sets `{setting}` but names no `brokers`");
            }
            return Ok(None);
        };
        Ok(Some(KafkaConfig {
            brokers,
            settings: texts(settings),
            replication: *replication,
            topic: texts(topic),
            patience: Duration::from_secs(10),
            readers: 4,
        }))
    }

    pub fn catalog_url(&self) -> String {
        let file = || format!("sqlite:{}", self.data_dir().join("catalog.db").display());
        self.catalog.url.clone().unwrap_or_else(file)
    }

    pub fn store_url(&self) -> String {
        self.store.url.clone().unwrap_or_else(|| self.data_dir().join("store").display().to_string())
    }

    pub fn s3(&self) -> S3Options {
        let StorePlace { endpoint, region, allow_http, .. } = self.store.clone();
        S3Options { endpoint, region, allow_http }
    }

    /// Whether anything lies in the data folder.
    pub fn needs_folder(&self) -> bool {
        self.kafka.brokers.is_none() || self.catalog.url.is_none() || self.store.url.is_none()
    }

    pub fn flight(&self) -> FlightConfig {
        FlightConfig { interval: self.speed.seal, heartbeat: HEARTBEAT, max_streams: 256 }
    }

    pub fn remote(&self) -> RemoteConfig {
        RemoteConfig {
            stale_after: HEARTBEAT * 4,
            idle: Duration::from_secs(60),
            memory_limit: bytes(self.speed.memory),
        }
    }

    pub fn postgres_listen(&self) -> &str {
        self.postgres.listen.as_deref().unwrap_or("127.0.0.1:5433")
    }

    pub fn cores(&self) -> usize {
        self.batch.cores.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(2)
    }

    pub fn log(&self) -> EmbeddedLogConfig {
        EmbeddedLogConfig { queue_bytes: bytes(self.log.queue), tail_bytes: bytes(self.log.tail) }
    }

    pub fn feed(&self) -> FeedConfig {
        FeedConfig { batch_bytes: bytes(self.log.read), cache_bytes: bytes(self.log.decoded) }
    }

    pub fn speed(&self) -> SpeedConfig {
        SpeedConfig {
            memory_limit: bytes(self.speed.memory),
            seal_interval: self.speed.seal,
            poll_interval: Duration::from_secs(1),
        }
    }

    pub fn batch(&self) -> Result<BatchConfig> {
        let landing = LandingConfig {
            segment_bytes: bytes(self.landing.segment_size),
            segment_age: self.landing.segment_age,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            stop_grace: Duration::from_secs(2),
        };
        let runs = RunConfig {
            incremental: schedule("batch.schedule", &self.batch.schedule)?,
            full: schedule("batch.full_schedule", &self.batch.full_schedule)?,
            cores: self.cores(),
            owner: owner(),
            lease: Duration::from_secs(30),
            keep_generations: self.batch.keep_generations,
            garbage_grace: self.batch.garbage_grace,
            orphan_age: self.batch.garbage_grace.max(Duration::from_secs(600)),
            compact_to_bytes: self.batch.compact_to.as_u64(),
            upkeep_every: self.batch.upkeep_every,
        };
        Ok(BatchConfig { landing: Some(landing), runs: Some(runs) })
    }

    pub fn serving(&self) -> ServingConfig {
        ServingConfig {
            query_timeout: self.query.timeout,
            query_memory: bytes(self.query.memory),
            total_memory: bytes(self.query.total_memory),
            state_cache_bytes: bytes(self.query.state_cache),
            max_queries: self.query.concurrent,
            max_connections: self.query.connections,
            catch_up: Duration::from_secs(2),
        }
    }
}

/// A speed layer is heard of this often.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Host and process.
fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} process {}", host.trim(), std::process::id()).trim_start().to_owned()
}

/// librdkafka's settings have dots; variables cannot.
fn texts(settings: &BTreeMap<String, toml::Value>) -> BTreeMap<String, String> {
    let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    settings.iter().map(|(key, value)| (key.replace('_', "."), text(value))).collect()
}

fn section_and_key(variable: &str) -> Option<(String, String)> {
    let rest = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let sections = [
        "http", "postgres", "ingest", "log", "landing", "batch", "speed", "query", "kafka", "catalog", "store",
        "flight", "member",
    ];
    let section = sections.into_iter().find(|s| rest.starts_with(&format!("{s}_")))?;
    Some((section.to_owned(), rest[section.len() + 1..].to_owned()))
}

pub fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

fn schedule(key: &str, text: &str) -> Result<Option<Schedule>> {
    if text == "never" {
        return Ok(None);
    }
    text.parse().map(Some).with_context(|| format!("`{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config> {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::parse("dovetail.toml", text, variables)
    }

    #[test]
    fn variables_go_over_the_file() {
        let text = "[landing]\nsegment_age = \"9s\"\nsegment_size = \"1MiB\"";
        let config = parse(text, &[("DOVETAIL_LANDING_SEGMENT_AGE", "2s"), ("HOME", "/")]).unwrap();
        assert_eq!(config.landing.segment_age, Duration::from_secs(2));
        assert_eq!(config.landing.segment_size, ByteSize::mib(1));
    }

    #[test]
    fn unknown_keys_are_errors_with_their_line() {
        let error = format!("{:#}", parse("[landing]\nsegmentage = \"9s\"", &[]).unwrap_err());
        assert!(error.contains("dovetail.toml") && error.contains("line 2") && error.contains("segmentage"), "{error}");
        let error = format!("{:#}", parse("", &[("DOVETAIL_SPEED_MEMRY", "1GiB")]).unwrap_err());
        assert!(error.contains("DOVETAIL_SPEED_MEMRY") && error.contains("memry"), "{error}");
    }
}
