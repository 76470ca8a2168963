//! A log that does not answer: everything known without it is shown, and the rest is shown as unknown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};
use dovetail_ingestion::log::{Log, LogError, SourceMark, SourcePosition};

use super::world::World;

#[derive(Debug)]
struct Silent;

#[async_trait]
impl Log for Silent {
    async fn create_topic(&self, _: &str, _: u32) -> Result<(), LogError> {
        std::future::pending().await
    }

    async fn partitions(&self, _: &str) -> Result<u32, LogError> {
        std::future::pending().await
    }

    async fn append(&self, _: &str, _: i32, _: Records, _: Option<SourceMark>) -> Result<OffsetRange, LogError> {
        std::future::pending().await
    }

    async fn source_position(&self, _: &str, _: i32, _: &str) -> Result<Option<SourcePosition>, LogError> {
        std::future::pending().await
    }

    async fn bounds(&self, _: &str, _: i32) -> Result<OffsetRange, LogError> {
        std::future::pending().await
    }

    async fn read(&self, _: &str, _: i32, _: i64, _: usize) -> Result<Fetched, LogError> {
        std::future::pending().await
    }

    async fn wait_past(&self, _: &str, _: i32, _: i64) -> Result<(), LogError> {
        std::future::pending().await
    }

    async fn trim(&self, _: &str, _: i32, _: i64) -> Result<(), LogError> {
        std::future::pending().await
    }

    async fn disk_bytes(&self) -> Result<u64, LogError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn sys_partitions_say_that_the_log_does_not_answer() {
    let world = World::on(Arc::new(Silent)).await;
    let began = Instant::now();
    let sql = "SELECT partition, state, error, log_end FROM sys.partitions ORDER BY 1";
    let stalled = |partition| format!("{partition}|stalled|the log has not answered for 2s|");
    assert_eq!(world.rows(sql).await, [stalled(0), stalled(1)]);
    // Once for how many partitions there are, once for where they end, however many they are.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn sys_partitions_say_that_there_is_no_room() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.rows.no_room.lock().unwrap().insert(1);
    let sql = "SELECT partition, state, error FROM sys.partitions ORDER BY 1";
    assert_eq!(world.rows(sql).await, ["0|reading|", "1|no room|view `by_page`: no room: it does not fit"]);
}
