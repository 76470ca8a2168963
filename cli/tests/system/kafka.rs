//! One process on Kafka, whose topics change under it: they get more partitions, or lose records.

use std::sync::Arc;
use std::time::Duration;

use dovetail_core::catalog::Catalog;
use dovetail_core::record::Records;
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::kafka::KafkaLog;
use dovetail_server::config::Config;
use dovetail_testkit::fixtures::catalog_url;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{RwLock, RwLockReadGuard};

use crate::support::{Local, clicks, config, eventually, number, try_number, verify};

const PIPELINE: &str = "
    CREATE EXTERNAL TABLE clicks (ts TIMESTAMP, user_id BIGINT, page VARCHAR, ms BIGINT)
    STORED AS JSON LOCATION 'kafka://TOPIC' OPTIONS ('event_time' 'ts', 'partitions' '2');
    CREATE VIEW total AS SELECT count(*) AS n FROM clicks;
    CREATE VIEW per_user AS SELECT user_id, count(*) AS n, sum(ms) AS total_ms FROM clicks GROUP BY user_id;
";

/// A process that is alone does not wait for brokers that are away: who restarts them holds this for writing.
pub(crate) static BROKERS: RwLock<()> = RwLock::const_new(());

/// A topic of this test's own.
pub(crate) struct Topic {
    pub(crate) brokers: String,
    pub(crate) name: String,
    /// A lock that keeps other tests from restarting the brokers.
    pub(crate) _undisturbed: Option<RwLockReadGuard<'static, ()>>,
}

impl Topic {
    /// `None` where there is no Kafka: said by the test's name, and an error in CI.
    pub(crate) async fn find(test: &str) -> Option<Self> {
        let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
            assert!(std::env::var_os("CI").is_none(), "{test} needs KAFKA_BROKERS: `eval \"$(dev/kafka up)\"` sets it");
            eprintln!("{test}: skipped, `eval \"$(dev/kafka up)\"` starts what it needs");
            return None;
        };
        let undisturbed = Some(BROKERS.read().await);
        Some(Self { brokers, name: format!("t{:08x}", rand::random::<u32>()), _undisturbed: undisturbed })
    }

    fn pipeline(&self) -> String {
        PIPELINE.replace("TOPIC", &self.name)
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = config();
        config.kafka.brokers = Some(self.brokers.clone());
        config
    }

    /// Two partitions, the first with `n` records of which the first `lost` are gone.
    async fn with_a_hole(&self, n: u64, lost: i64) {
        let log = KafkaLog::open(self.config().kafka().unwrap().unwrap()).unwrap();
        log.create_topic(&self.name, 2).await.unwrap();
        log.append(&self.name, 0, records(0, n), None).await.unwrap();
        log.trim(&self.name, 0, lost).await.unwrap();
        assert_eq!(log.bounds(&self.name, 0).await.unwrap().start, lost);
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap()
    }

    /// Deletes the topic and makes it again, with so many records in each partition.
    pub(crate) async fn make_again(&self, partitions: u32, n: u64) {
        let deleted = self.admin().delete_topics(&[&self.name], &AdminOptions::new()).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        let log = KafkaLog::open(self.config().kafka().unwrap().unwrap()).unwrap();
        eventually("the new topic", async || log.create_topic(&self.name, partitions).await.ok()).await;
        for partition in 0..partitions as i32 {
            log.append(&self.name, partition, records(0, n), None).await.unwrap();
        }
    }

    pub(crate) fn partitions(&self) -> usize {
        let known = self.admin().inner().fetch_metadata(Some(&self.name), Duration::from_secs(30)).unwrap();
        known.topics()[0].partitions().len()
    }

    pub(crate) async fn grow_to(&self, partitions: usize) {
        let more = NewPartitions::new(&self.name, partitions);
        let done = self.admin().create_partitions(&[more], &AdminOptions::new()).await.unwrap();
        assert!(done.iter().all(Result::is_ok), "{done:?}");
    }
}

fn records(from: u64, to: u64) -> Records {
    let lines = clicks(from, to);
    Records::from_values(1_000, lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()))
}

async fn until(local: &Local, sql: &str, expected: i64) {
    let reached = async || (try_number(&local.client, sql).await.ok()? == expected).then_some(());
    eventually(&format!("{expected} from `{sql}`"), reached).await;
}

async fn recompute(local: &Local) {
    let run: Value = local.client.post("/v1/recompute", &json!({})).await.unwrap();
    assert!(run["generation"].is_u64(), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_are_taken_up() {
    let Some(topic) = Topic::find("partitions_that_are_added_are_taken_up").await else { return };
    let local = Local::start(&topic.pipeline(), topic.config()).await;
    local.append("clicks", clicks(0, 1_000)).await;
    until(&local, "SELECT count(*) FROM raw.clicks", 1_000).await;
    recompute(&local).await;
    topic.grow_to(5).await;
    let log = Arc::clone(&local.engine.log);
    eventually("the log to know the new partitions", async || {
        (log.partitions(&topic.name).await.ok()? == 5).then_some(())
    })
    .await;
    for partition in [2, 4] {
        log.append(&topic.name, partition, records(1_000, 1_300), None).await.unwrap();
    }
    until(&local, "SELECT n FROM total", 1_600).await;
    until(&local, "SELECT count(*) FROM raw.clicks", 1_600).await;
    until(&local, "SELECT count(*) FROM sys.partitions WHERE landed = log_end", 5).await;
    verify(&local.client, &[]).await;
    recompute(&local).await;
    until(&local, "SELECT n FROM batch.total", 1_600).await;
    verify(&local.client, &[]).await;
    assert_eq!(number(&local.client, "SELECT count(*) FROM sys.drift WHERE drift > 0").await, 0);
    local.engine.stop().await;
    // The pipeline's number of partitions applies to a topic that does not exist yet.
    let again = Local::start(&topic.pipeline(), topic.config()).await;
    until(&again, "SELECT n FROM total", 1_600).await;
}

/// A catalog that has seen the topic when nothing was lost yet.
async fn catalog(folder: &TempDir, topic: &Topic) -> String {
    let url = catalog_url(folder.path());
    let catalog = Catalog::open(&url).await.unwrap();
    catalog.init_partition(&topic.name, 0, 0).await.unwrap();
    catalog.close().await;
    url
}

/// An engine whose catalog expects records that the log has lost; the folder is the catalog's.
async fn start_at_a_hole(topic: &Topic, pipeline: &str, n: u64, lost: i64) -> (Local, TempDir) {
    topic.with_a_hole(n, lost).await;
    let folder = TempDir::new().unwrap();
    let mut config = topic.config();
    config.catalog.url = Some(catalog(&folder, topic).await);
    (Local::start(pipeline, config).await, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_lost_is_left_out_where_the_stream_says_so_and_told() {
    let Some(topic) = Topic::find("what_the_log_lost_is_left_out_where_the_stream_says_so_and_told").await else {
        return;
    };
    let lossy = topic.pipeline().replace("'partitions' '2'", "'partitions' '2', 'on_data_loss' 'continue'");
    let (local, _folder) = start_at_a_hole(&topic, &lossy, 1_000, 400).await;
    until(&local, "SELECT n FROM total", 600).await;
    let gaps = "SELECT end_offset - start_offset FROM sys.gaps WHERE partition = 0 AND start_offset = 0";
    assert_eq!(number(&local.client, gaps).await, 400);
    local.append("clicks", clicks(1_000, 1_500)).await;
    until(&local, "SELECT n FROM total", 1_100).await;
    verify(&local.client, &[]).await;
    until(&local, "SELECT count(*) FROM raw.clicks", 1_100).await;
    recompute(&local).await;
    until(&local, "SELECT n FROM batch.total", 1_100).await;
    verify(&local.client, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_lost_stops_its_partition_otherwise() {
    let Some(topic) = Topic::find("what_the_log_lost_stops_its_partition_otherwise").await else { return };
    let (local, _folder) = start_at_a_hole(&topic, &topic.pipeline(), 100, 40).await;
    let stopped = "SELECT count(*) FROM sys.partitions WHERE partition = 0 AND landing_state = 'stopped' \
                   AND landing_error LIKE '%the log starts at 40: 40 offsets are missing%'";
    until(&local, stopped, 1).await;
    assert_eq!(number(&local.client, "SELECT count(*) FROM sys.gaps").await, 0);
    assert_eq!(number(&local.client, "SELECT count(*) FROM raw.clicks").await, 0);
}
