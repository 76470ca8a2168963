//! Landing on a server of its own, which is restarted and killed meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::process::Command;

use super::*;

/// A cluster that `dev/postgres` makes in a folder of its own.
struct Server {
    folder: TempDir,
}

impl Server {
    async fn up() -> (Self, String) {
        let server = Self { folder: tempfile::tempdir().unwrap() };
        let environment = server.dev(&["up"]).await;
        let url = environment.trim().strip_prefix("export DOVETAIL_TEST_POSTGRES=").unwrap().to_owned();
        (server, url)
    }

    async fn dev(&self, arguments: &[&str]) -> String {
        let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../dev/postgres"].iter().collect();
        let done = Command::new(script).args(arguments).env("DOVETAIL_DEV", self.folder.path()).output();
        let done = done.await.unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

/// Lands until `enough`; returns how many of its segments were recorded.
async fn land(catalog: Catalog, writer: &'static str, landed: Arc<AtomicU64>, enough: Arc<AtomicBool>) -> u64 {
    let mut mine = 0;
    while !enough.load(Ordering::Relaxed) {
        let next = match catalog.next_offset(TOPIC, 0).await {
            Ok(next) => next,
            Err(error) if error.is_transient() => continue,
            Err(error) => panic!("{error:?}"),
        };
        let new = segment(next, next + 10, writer);
        let paths: Vec<_> = new.paths().map(|path| (path, 1)).collect();
        // Only the same segment is recognised, so what was not answered is asked for again until it is.
        loop {
            let recorded = match catalog.stage(&paths, None).await {
                Ok(()) | Err(CatalogError::NotStaged { .. }) => catalog.record_segment(&new).await,
                Err(error) => Err(error),
            };
            match recorded {
                Ok(()) => {
                    mine += 1;
                    landed.fetch_add(1, Ordering::Relaxed);
                }
                Err(CatalogError::Fenced { .. }) => {}
                Err(error) if error.is_transient() => continue,
                Err(error) => panic!("{error:?}"),
            }
            break;
        }
    }
    mine
}

/// `place` only says that there is a PostgreSQL to try: the server here is another.
async fn every_segment_counts_once_whatever_happens_to_the_server(place: Place) {
    drop(place);
    let (server, url) = Server::up().await;
    let catalog = Catalog::open(&url).await.unwrap();
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    let run = catalog.start_run(&new_run("a")).await.unwrap();

    let (landed, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writers = tokio::task::JoinSet::new();
    for writer in ["a", "b"] {
        let catalog = Catalog::open(&url).await.unwrap();
        writers.spawn(land(catalog, writer, Arc::clone(&landed), Arc::clone(&enough)));
    }
    let some_more = async || {
        let before = landed.load(Ordering::Relaxed);
        while landed.load(Ordering::Relaxed) < before + 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for fault in [&["restart"][..], &["kill", "start"], &["restart"], &["kill", "start"]] {
        some_more().await;
        for step in fault {
            server.dev(&[step]).await;
        }
    }
    some_more().await;
    enough.store(true, Ordering::Relaxed);
    let counted: u64 = writers.join_all().await.into_iter().sum();

    let segments = catalog.segments(TOPIC).await.unwrap();
    assert_eq!(segments.len() as u64, counted);
    assert!(segments.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), counted as i64 * 10);
    catalog.renew_run(run.id, &RunSign::default(), Duration::from_secs(100)).await.unwrap();
    publish_as(&catalog, &generation(1, run.id, &["f"]), Generation(0)).await.unwrap();
    catalog.close().await;
    server.dev(&["down", "--wipe"]).await;
}

on_postgres! {
    every_segment_counts_once_whatever_happens_to_the_server,
}
