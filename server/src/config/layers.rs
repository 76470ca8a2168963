//! The settings of each layer and of its backends, derived from the configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytesize::ByteSize;
use dovetail_batch_layer::{BatchConfig, LandingConfig, RunConfig, Schedule};
use dovetail_core::catalog::MemberLayer;
use dovetail_core::clock;
use dovetail_core::store::S3Options;
use dovetail_ingestion::decoded_log::DecodedLogConfig;
use dovetail_ingestion::log::embedded::EmbeddedLogConfig;
use dovetail_ingestion::log::kafka::KafkaConfig;
use dovetail_kappa_layer::KappaConfig;
use dovetail_serving_layer::{RemoteConfig, ServingConfig};
use dovetail_speed_layer::{FlightConfig, SpeedConfig};

use super::{Config, Kafka, StorePlace};
use crate::process::membership::Addresses;
use crate::process::roles::Roles;

impl Config {
    /// The data folder; `dovetail-data` in the working directory by default.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from("dovetail-data"))
    }

    /// Address of the HTTP server; each role has a default port of its own.
    pub fn http_listen(&self, roles: Roles) -> String {
        let port = match roles {
            Roles::All | Roles::Both | Roles::Kappa | Roles::One(MemberLayer::Serve) => 8311,
            Roles::One(MemberLayer::Ingest) => 8312,
            Roles::One(MemberLayer::Batch) => 8313,
            Roles::One(MemberLayer::Speed) => 8314,
        };
        self.http.listen.clone().unwrap_or_else(|| format!("127.0.0.1:{port}"))
    }

    /// Address of a speed layer's Flight service.
    pub fn flight_listen(&self) -> &str {
        self.flight.listen.as_deref().unwrap_or("127.0.0.1:8315")
    }

    /// The addresses at which other processes reach this one: by HTTP, and by Flight if it is a speed layer.
    pub fn advertised(&self, http: SocketAddr, flight: Option<SocketAddr>) -> Addresses {
        let at = |address: SocketAddr| match &self.member.advertise {
            Some(host) => format!("{host}:{}", address.port()),
            None => address.to_string(),
        };
        Addresses { http: format!("http://{}", at(http)), flight: flight.map(at) }
    }

    /// Settings of the Kafka log; `None` without brokers, for the embedded log.
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

    /// URL of the catalog; a SQLite file in the data folder by default.
    pub fn catalog_url(&self) -> String {
        let file = || format!("sqlite:{}", self.data_dir().join("catalog.db").display());
        self.catalog.url.clone().unwrap_or_else(file)
    }

    /// URL of the object store; a folder in the data folder by default.
    pub fn store_url(&self) -> String {
        self.store.url.clone().unwrap_or_else(|| self.data_dir().join("store").display().to_string())
    }

    /// Settings of an S3 store.
    pub fn s3(&self) -> S3Options {
        let StorePlace { endpoint, region, allow_http, .. } = self.store.clone();
        S3Options { endpoint, region, allow_http }
    }

    /// Whether the log, the catalog or the store is in the data folder.
    pub fn needs_folder(&self) -> bool {
        self.kafka.brokers.is_none() || self.catalog.url.is_none() || self.store.url.is_none()
    }

    /// Settings of a speed layer's Flight service.
    pub fn flight(&self) -> FlightConfig {
        FlightConfig { interval: self.speed.seal, heartbeat: HEARTBEAT_INTERVAL, max_streams: 256 }
    }

    /// Settings for receiving from speed layers in other processes.
    pub fn remote(&self) -> RemoteConfig {
        RemoteConfig {
            stale_after: HEARTBEAT_INTERVAL * 4,
            idle: Duration::from_secs(60),
            starts: self.batch.keep_generations.saturating_add(2),
            memory_limit: bytes(self.speed.memory),
        }
    }

    /// Address of the PostgreSQL wire.
    pub fn postgres_listen(&self) -> &str {
        self.postgres.listen.as_deref().unwrap_or("127.0.0.1:5433")
    }

    /// Number of tasks that fold at the same time; the machine's cores by default.
    pub fn cores(&self) -> usize {
        self.batch.cores.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(2)
    }

    /// Memory limits of the embedded log.
    pub fn log(&self) -> EmbeddedLogConfig {
        EmbeddedLogConfig { queue_bytes: bytes(self.log.queue), tail_bytes: bytes(self.log.tail) }
    }

    /// Memory bounds of a decoded log.
    pub fn decoded_log(&self) -> DecodedLogConfig {
        DecodedLogConfig { batch_bytes: bytes(self.log.read), cache_bytes: bytes(self.log.decoded) }
    }

    /// Settings of the speed layer.
    pub fn speed(&self) -> SpeedConfig {
        SpeedConfig {
            memory_limit: bytes(self.speed.memory),
            seal_interval: self.speed.seal,
            poll_interval: Duration::from_secs(1),
        }
    }

    /// Settings of stream jobs.
    pub fn jobs(&self) -> KappaConfig {
        KappaConfig {
            fold: SpeedConfig { memory_limit: bytes(self.kappa.memory), ..self.speed() },
            decoded_log: self.decoded_log(),
            checkpoint_interval: self.kappa.checkpoint_every,
            keep_checkpoints: self.kappa.keep_checkpoints,
            lease: self.member.lease,
        }
    }

    /// Number of threads that fold stream jobs.
    pub fn job_threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        self.kappa.threads.unwrap_or_else(|| cores.div_ceil(2))
    }

    /// Settings of the batch layer; an error when a schedule does not parse.
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
            leader_lease: self.member.lease,
            keep_generations: self.batch.keep_generations,
            garbage_grace: self.batch.garbage_grace,
            staging_limit: self.batch.staging_limit,
            compact_to_bytes: self.batch.compact_to.as_u64(),
            upkeep_every: self.batch.upkeep_every,
        };
        Ok(BatchConfig { landing: Some(landing), runs: Some(runs) })
    }

    /// Limits of the serving layer.
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

/// Longest time without a message of a speed layer.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// Host and process, with a part that no other process of that name on such a host has.
fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} process {} ({:08x})", host.trim(), std::process::id(), clock::random::<u32>()).trim_start().to_owned()
}

/// librdkafka's settings by their names, which contain dots; variables cannot.
fn texts(settings: &BTreeMap<String, toml::Value>) -> BTreeMap<String, String> {
    let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    settings.iter().map(|(key, value)| (key.replace('_', "."), text(value))).collect()
}

/// The size in bytes, at most `usize::MAX`.
pub fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

fn schedule(key: &str, text: &str) -> Result<Option<Schedule>> {
    if text == "never" {
        return Ok(None);
    }
    text.parse().map(Some).with_context(|| format!("`{key}`"))
}
