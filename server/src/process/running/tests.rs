//! Brokers that go away while a process starts.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};
use dovetail_ingestion::log::{Log, SourceMark, SourcePosition};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::*;
use crate::process::membership::Addresses;

/// A log that answers so many calls, and then cannot be reached.
#[derive(Debug)]
struct GoesAway {
    log: Arc<dyn Log>,
    calls_left: AtomicU32,
}

impl GoesAway {
    fn answering(&self) -> Result<&Arc<dyn Log>, LogError> {
        let left = self.calls_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let unreachable = |_| LogError::Unreachable { brokers: "b:9092".to_owned(), why: "it went away".to_owned() };
        left.map(|_| &self.log).map_err(unreachable)
    }
}

#[async_trait]
impl Log for GoesAway {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        self.answering()?.create_topic(topic, partitions).await
    }

    async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        self.answering()?.partitions(topic).await
    }

    async fn identity(&self, topic: &str) -> Result<Option<String>, LogError> {
        self.answering()?.identity(topic).await
    }

    async fn append(
        &self,
        topic: &str,
        partition: i32,
        records: Records,
        mark: Option<SourceMark>,
    ) -> Result<OffsetRange, LogError> {
        self.answering()?.append(topic, partition, records, mark).await
    }

    async fn source_position(
        &self,
        topic: &str,
        partition: i32,
        source: &str,
    ) -> Result<Option<SourcePosition>, LogError> {
        self.answering()?.source_position(topic, partition, source).await
    }

    async fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError> {
        self.answering()?.bounds(topic, partition).await
    }

    async fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Fetched, LogError> {
        self.answering()?.read(topic, partition, from, max_bytes).await
    }

    async fn wait_past(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        self.answering()?.wait_past(topic, partition, offset).await
    }

    async fn trim(&self, topic: &str, partition: i32, before: i64) -> Result<(), LogError> {
        self.answering()?.trim(topic, partition, before).await
    }

    async fn disk_bytes(&self) -> Result<u64, LogError> {
        self.answering()?.disk_bytes().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_waits_for_brokers_that_go_away_at_any_step_of_its_start() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pipeline.sql");
    let pipeline = "CREATE EXTERNAL TABLE t (a BIGINT) STORED AS JSON LOCATION 'kafka://t';
                    CREATE VIEW v AS SELECT a, count(*) AS n FROM t GROUP BY a;";
    std::fs::write(&file, pipeline).unwrap();
    let plan = Plan::load(&file).await.unwrap();
    let configs: Vec<Config> = (0..64)
        .map(|tried| Config { data_dir: Some(folder.path().join(tried.to_string())), ..Config::default() })
        .collect();
    let tries = AtomicU32::new(0);
    let surroundings = async || {
        let tried = tries.fetch_add(1, Ordering::SeqCst);
        let config = &configs[tried as usize];
        let mut backends = Backends::open(config).await?;
        backends.log = Arc::new(GoesAway { log: backends.log, calls_left: AtomicU32::new(tried) });
        anyhow::Ok(Surroundings {
            backends,
            roles: Roles::All,
            addresses: Addresses::default(),
            config,
            metrics: None,
            work: Handle::current(),
        })
    };
    let starting = Starting::default();
    let engine = ready(&plan, surroundings, false, &starting).await.unwrap();
    // Once for each call that a start makes, the engine's own included.
    assert!(tries.load(Ordering::SeqCst) > 4, "{tries:?}");
    engine.stop().await;

    let tried = AtomicU32::new(0);
    let never = async || {
        tried.fetch_add(1, Ordering::SeqCst);
        Err(LogError::Unreachable { brokers: String::new(), why: String::new() }.into())
    };
    assert!(ready(&plan, never, true, &starting).await.is_err());
    assert_eq!(tried.into_inner(), 1, "a process alone does not wait");
}
