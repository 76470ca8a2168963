//! Brokers that go away while a process starts.

use std::sync::atomic::{AtomicU32, Ordering};

use dovetail_testkit::log::{FakeLog, LogFault};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::*;
use crate::process::membership::Addresses;

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
        let log = FakeLog::over(backends.log);
        log.faults.set_after(u64::from(tried), LogFault::unreachable("it went away"), |_| true);
        backends.log = log;
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
