//! The Kafka log on the real broker that `KAFKA_BROKERS` names; `dev/kafka up` starts one.

#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arrow::array::Array;
use dovetail_core::record::Records;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::time::Instant;

use super::*;
use crate::log::Spread;

mod outage;
mod own;
mod records;
mod secure;
mod settings;
mod sources;
mod topics;
mod transactions;

const PLENTY: usize = 1 << 20;
const LOG_TIMEOUT: Duration = Duration::from_secs(20);

/// The brokers to test with. Without any, a test says that it is left out, and fails where it must not be.
fn brokers(test: &str) -> Option<String> {
    let brokers = std::env::var("KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        assert!(std::env::var("CI").is_err(), "{test} needs KAFKA_BROKERS; `dev/kafka up` prints it");
        println!("skipped {test}: it needs KAFKA_BROKERS; `dev/kafka up` prints it");
    }
    brokers
}

fn config(brokers: &str) -> KafkaConfig {
    KafkaConfig {
        brokers: brokers.to_owned(),
        settings: BTreeMap::new(),
        replication: None,
        topic: BTreeMap::new(),
        patience: LOG_TIMEOUT,
        readers: 3,
    }
}

fn open(brokers: &str) -> KafkaLog {
    KafkaLog::open(config(brokers)).unwrap()
}

/// A name that no topic has had.
fn fresh(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = clock::Clock::System.now_ms();
    format!("test-{name}-{now}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A log with a new topic of one partition.
struct Rig {
    log: KafkaLog,
    topic: String,
    brokers: String,
}

impl Rig {
    async fn new(test: &str) -> Option<Self> {
        Self::with(test, |_| {}).await
    }

    async fn with(test: &str, change: impl FnOnce(&mut KafkaConfig)) -> Option<Self> {
        let brokers = brokers(test)?;
        let mut config = config(&brokers);
        change(&mut config);
        let log = KafkaLog::open(config).unwrap();
        let topic = fresh(test);
        log.create_topic(&topic, 1).await.unwrap();
        Some(Self { log, topic, brokers })
    }

    async fn append(&self, values: &[&str]) -> OffsetRange {
        self.log.append(&self.topic, 0, values_of(values), None).await.unwrap()
    }

    async fn bounds(&self) -> OffsetRange {
        self.log.bounds(&self.topic, 0).await.unwrap()
    }

    async fn read(&self, from: i64) -> Fetched {
        self.log.read(&self.topic, 0, from, PLENTY).await.unwrap()
    }

    /// Everything from `from` to the end of now, with offsets.
    async fn all(&self, from: i64) -> Vec<(i64, String)> {
        let end = self.bounds().await.end;
        let (mut at, mut all) = (from, Vec::new());
        while at < end {
            let page = self.read(at).await;
            assert!(page.range.start == at && page.range.end > at, "{}", page.range);
            all.extend(page.offsets.values().iter().copied().zip(texts(&page.records)));
            at = page.range.end;
        }
        assert_eq!(at, end, "a replay to a frozen end gets there, and not past it");
        all
    }

    async fn values(&self) -> Vec<String> {
        let start = self.bounds().await.start;
        self.all(start).await.into_iter().map(|(_, value)| value).collect()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap()
    }

    async fn delete_topic(&self) {
        let deleted = self.admin().delete_topics(&[&self.topic], &AdminOptions::new()).await.unwrap();
        assert!(deleted[0].is_ok(), "{deleted:?}");
    }

    /// A producer of somebody else's.
    fn producer(&self, settings: &[(&str, &str)]) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().unwrap()
    }
}

fn values_of(values: &[&str]) -> Records {
    Records::from_values(1_700_000_000_000, values.iter().map(|value| value.as_bytes()))
}

fn texts(records: &Records) -> Vec<String> {
    let text = |i| String::from_utf8(records.values.value(i).to_vec()).unwrap();
    (0..records.len()).map(text).collect()
}

/// Looks again and again until `done`.
async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} took too long");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
