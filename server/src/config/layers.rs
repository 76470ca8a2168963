//! What the settings come to for each layer and for what it stands on.

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
use dovetail_ingestion::decoded_log::FeedConfig;
use dovetail_ingestion::log::embedded::EmbeddedLogConfig;
use dovetail_ingestion::log::kafka::KafkaConfig;
use dovetail_serving_layer::{RemoteConfig, ServingConfig};
use dovetail_speed_layer::{FlightConfig, SpeedConfig};

use super::{Config, Kafka, StorePlace};
use crate::process::membership::Addresses;
use crate::process::roles::Roles;

impl Config {
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
    pub fn advertised(&self, http: SocketAddr, flight: Option<SocketAddr>) -> Addresses {
        let at = |address: SocketAddr| match &self.member.advertise {
            Some(host) => format!("{host}:{}", address.port()),
            None => address.to_string(),
        };
        Addresses { http: format!("http://{}", at(http)), flight: flight.map(at) }
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
        FlightConfig { interval: self.speed.seal, heartbeat: HEARTBEAT_INTERVAL, max_streams: 256 }
    }

    pub fn remote(&self) -> RemoteConfig {
        RemoteConfig {
            stale_after: HEARTBEAT_INTERVAL * 4,
            idle: Duration::from_secs(60),
            floors: self.batch.keep_generations.saturating_add(2),
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
            leader_lease: self.member.lease,
            keep_generations: self.batch.keep_generations,
            garbage_grace: self.batch.garbage_grace,
            staging_limit: self.batch.staging_limit,
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
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// Host and process, and what no other process of that name on such a host has.
fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} process {} ({:08x})", host.trim(), std::process::id(), clock::random::<u32>()).trim_start().to_owned()
}

/// librdkafka's settings have dots; variables cannot.
fn texts(settings: &BTreeMap<String, toml::Value>) -> BTreeMap<String, String> {
    let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    settings.iter().map(|(key, value)| (key.replace('_', "."), text(value))).collect()
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
