//! The output of commands.

use std::collections::BTreeMap;
use std::time::Duration;

use dovetail_core::catalog::NewRun;
use dovetail_core::clock::Clock;
use dovetail_testkit::fixtures::{catalog_in, new_run};
use serde_json::Value;

use crate::support::{Server, data, said};

/// Nothing is landed while a test runs.
const NOT_LANDING: &str = "[landing]\nsegment_age = \"1h\"\n[batch]\nschedule = \"never\"\n";
const RECORDS: u64 = 120;

async fn with_clicks() -> Server {
    with_clicks_and("").await
}

async fn with_clicks_and(settings: &str) -> Server {
    let mut server = Server::new(&data().join("clicks/pipeline.sql"), &format!("{NOT_LANDING}{settings}"));
    server.start().await;
    let events = RECORDS.to_string();
    let generate = ["generate", "clicks", "--events", &events, "--start", "2026-05-01T06:00:00+02:00"];
    let clicks = server.run(&generate).await;
    let first: Value = serde_json::from_str(clicks.lines().next().unwrap()).unwrap();
    assert!(first["ts"].as_str().unwrap().starts_with("2026-05-01T04:00:"), "{first}");
    let file = server.folder().join("clicks.ndjson");
    std::fs::write(&file, &clicks).unwrap();
    server.run(&["ingest", "clicks", "--from", file.to_str().unwrap()]).await;
    server.wait_for("SELECT sum(head) FROM sys.partitions", &events).await;
    server
}

#[tokio::test]
async fn recompute_says_what_is_not_landed_yet() {
    let server = with_clicks().await;
    let said = server.run(&["recompute"]).await;
    assert!(said.contains("nothing new is landed"), "{said}");
    assert!(said.contains("120 records above its cut stay with the speed layer"), "{said}");
}

#[tokio::test]
async fn no_cores_at_all_are_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    let pipeline = folder.path().join("pipeline.sql");
    std::fs::write(&pipeline, "CREATE EXTERNAL TABLE t (a BIGINT) STORED AS JSON LOCATION 'kafka://t';").unwrap();
    let mut server = Server::new(&pipeline, "[batch]\ncores = 0\n");
    server.launch();
    let (code, said) = server.ended().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("`batch.cores` has to be at least 1") && !said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn verify_is_short_and_its_progress_ends_at_its_total() {
    let server = with_clicks().await;
    let said = server.run(&["verify"]).await;
    let views = server.rows("SELECT count(*) FROM sys.views WHERE stream = 'clicks'").await[0].parse::<u64>().unwrap();
    assert_eq!(said.lines().filter(|line| line.contains(": no difference; ")).count() as u64, views, "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 100), "{said}");
    let progress: Value = server.client().get("/v1/verify").await.unwrap();
    assert_eq!((&progress["number"], &progress["view"]), (&1.into(), &Value::Null));
    assert_eq!(progress["records"], views * RECORDS, "{progress}");
    assert_eq!(progress["records_done"], progress["records"], "{progress}");
}

#[tokio::test]
async fn a_generation_that_is_not_kept_is_refused() {
    let server = with_clicks().await;
    let output = server.command(&["query", "--generation", "9", "SELECT 1"]).output().await.unwrap();
    let text = said(&output);
    assert!(!output.status.success() && text.contains("there is no generation 9"), "{text}");
}

#[tokio::test]
async fn a_run_that_died_with_its_process_is_logged() {
    let mut server = Server::new(&data().join("clicks/pipeline.sql"), NOT_LANDING);
    std::fs::create_dir_all(server.data()).unwrap();
    let catalog = catalog_in(&server.data(), Clock::System).await;
    let run = NewRun {
        owner: "another process".to_owned(),
        lease: Duration::from_secs(1_000_000),
        ..new_run(BTreeMap::new())
    };
    catalog.start_run(&run).await.unwrap();
    catalog.close().await;
    server.start().await;
    let log = server.log();
    assert!(log.contains("a batch run died with its process"), "{log}");
    server.check("SELECT state, error FROM sys.batch_runs", &[r#""failed", "its process died""#]).await;
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_says_so_in_full() {
    let server = with_clicks_and("[query]\nmemory = \"8KiB\"\ntotal_memory = \"64KiB\"\n").await;
    let view = "clicks_per_user";
    let output = server.command(&["query", &format!("SELECT * FROM {view}")]).output().await.unwrap();
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains(&format!("view `{view}` asked for ")), "{text}");
    assert!(text.contains("of the 8.0 KiB that `query.memory` allows it"), "{text}");
    assert!(text.contains("hint: filter or aggregate more, or raise `query.memory`"), "{text}");
    assert!(!text.contains("Resources exhausted"), "{text}");
}

#[tokio::test]
async fn verifying_has_its_part_of_all_memory() {
    let server = with_clicks_and("[query]\nmemory = \"1GiB\"\ntotal_memory = \"60KiB\"\n").await;
    let output = server.command(&["verify"]).output().await.unwrap();
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains(" asked for ") && text.contains("of the 60.0 KiB that `query.total_memory`"), "{text}");
}
