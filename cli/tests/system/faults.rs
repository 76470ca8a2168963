//! Faults of the backends: the disk is full, the catalog is locked, segments are damaged. Nothing is lost, queries that
//! can be answered are, and the message has the remedy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dovetail_api::layers::LayerInfo;
use dovetail_batch_layer::LandingState;
use dovetail_testkit::store::{StoreFault, puts};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::support::{
    Local, Server, clicks, config, eventually, last_of, number, settings_for_haste, texts, try_number, verify,
};

/// Two streams, so that one can be well while the other is not.
const PIPELINE: &str = "
    CREATE EXTERNAL TABLE clicks (ts TIMESTAMP, user_id BIGINT, page VARCHAR, ms BIGINT)
    STORED AS JSON LOCATION 'kafka://clicks' OPTIONS ('event_time' 'ts');
    CREATE EXTERNAL TABLE visits (ts TIMESTAMP, user_id BIGINT, page VARCHAR, ms BIGINT)
    STORED AS JSON LOCATION 'kafka://visits' OPTIONS ('partitions' '1');
    CREATE VIEW total AS SELECT count(*) AS n FROM clicks;
    CREATE VIEW per_page AS SELECT page, count(*) AS n, sum(ms) AS total_ms FROM clicks GROUP BY page;
    CREATE VIEW visits_per_page AS SELECT page, count(*) AS n FROM visits GROUP BY page;
";
const TOTAL: &str = "SELECT n FROM total";
const LANDED: &str = "SELECT sum(landed) FROM sys.partitions WHERE stream = 'clicks'";

impl Local {
    /// Appends clicks `from..to`, and waits for them in the answers.
    async fn click(&self, from: u64, to: u64) {
        self.append("clicks", clicks(from, to)).await;
        self.until(TOTAL, to).await;
    }

    async fn until(&self, sql: &str, expected: u64) {
        let reached = async || (number(&self.client, sql).await == expected as i64).then_some(());
        eventually(&format!("{expected} from `{sql}`"), reached).await;
    }

    async fn recompute(&self, full: bool) -> anyhow::Result<Value> {
        Ok(self.client.post("/v1/recompute", &json!({ "full": full })).await?)
    }

    /// Why landing waits, once it does: `GET /v1/layers` and `sys.partitions` say the same.
    async fn stalled(&self) -> String {
        let stalled = async || {
            let layers: Vec<LayerInfo> = self.client.get("/v1/layers").await.unwrap();
            assert!(layers.iter().any(|at| at.layer == "speed" && at.state == "folding"), "{layers:?}");
            layers.into_iter().find(|at| at.layer == "batch" && at.state == "stalled")
        };
        let LayerInfo { stream, partition, reason, .. } = eventually("a partition to be stalled", stalled).await;
        let sql = format!(
            "SELECT landing_error FROM sys.partitions WHERE landing_state = 'stalled' AND stream = '{stream}' \
             AND partition = {partition}"
        );
        let told = async || texts(&self.client, &sql).await.into_iter().next();
        assert_eq!(Some(eventually("`sys.partitions` to tell it", told).await), reason);
        reason.unwrap()
    }

    async fn lands_again(&self) {
        let status = self.engine.batch().unwrap().landing_status();
        let well = async || {
            let all = status.borrow().values().all(|landing| landing.state == LandingState::Landing);
            all.then_some(())
        };
        eventually("no partition to be stalled", well).await;
    }

    /// All `n` clicks are landed, in the batch views, and as the log says.
    async fn is_whole(&self, n: u64) {
        self.until(LANDED, n).await;
        self.lands_again().await;
        self.recompute(false).await.unwrap();
        assert_eq!(number(&self.client, "SELECT n FROM batch.total").await, n as i64);
        assert_eq!(number(&self.client, "SELECT count(*) FROM raw.clicks").await, n as i64);
        verify(&self.client, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_stalls_the_landing_and_nothing_else() {
    let local = Local::start(PIPELINE, config()).await;
    local.click(0, 1_000).await;
    local.is_whole(1_000).await;
    local.store.faults.set(StoreFault::FULL, puts(""));
    local.click(1_000, 2_000).await;
    let reason = local.stalled().await;
    assert!(reason.contains("no space left") && reason.contains("segments/clicks/"), "{reason}");
    let met = local.store.faults.met();
    local.click(2_000, 3_000).await;
    eventually("landing to try again", async || (local.store.faults.met() > met).then_some(())).await;
    assert_eq!(number(&local.client, LANDED).await, 1_000);
    local.store.faults.heal();
    local.is_whole(3_000).await;
}

/// A small file system, gone when it is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Only root may mount.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|done| done.status.success()).then_some(Self(at))
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let full = std::iter::repeat_with(|| std::io::Write::write(&mut file, &[0; 4096])).find(|done| done.is_err());
        assert!(full.is_some());
    }

    fn empty(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_file_system_stalls_the_real_server_and_it_goes_on() {
    let folder = tempfile::TempDir::new().unwrap();
    let pipeline = folder.path().join("pipeline.sql");
    std::fs::write(&pipeline, PIPELINE).unwrap();
    let mut server = Server::new(&pipeline, settings_for_haste());
    let Some(disk) = Tmpfs::mount(server.data().join("store")) else {
        eprintln!("left out: `mount -t tmpfs` needs root; the same is tried with a store that says it is full");
        return;
    };
    server.start().await;
    let client = server.client();
    let until = async |sql: &str, n: i64| {
        let reached = async || (try_number(&client, sql).await.ok()? == n).then_some(());
        eventually(&format!("{n} from `{sql}`"), reached).await;
    };
    client.append("clicks", None, clicks(0, 1_000)).await.unwrap();
    until(LANDED, 1_000).await;
    disk.fill();
    client.append("clicks", None, clicks(1_000, 2_000)).await.unwrap();
    let stalled = async || server.log().contains("landing stalled").then_some(());
    eventually("the log to say that landing is stalled", stalled).await;
    let metrics = reqwest::get(format!("{}/metrics", server.url())).await.unwrap().text().await.unwrap();
    let stalled = |line: &&str| line.starts_with("dovetail_landing_stalled") && line.ends_with(" 1");
    assert!(metrics.lines().find(stalled).is_some(), "{metrics}");
    until(TOTAL, 2_000).await;
    client.append("clicks", None, clicks(2_000, 3_000)).await.unwrap();
    until(TOTAL, 3_000).await;
    assert!(server.log().contains("no space left"), "{}", last_of(&server.log()));
    // Killed and started while the disk is full, it still answers.
    server.kill().await;
    server.start().await;
    until(TOTAL, 3_000).await;
    disk.empty();
    until(LANDED, 3_000).await;
    until("SELECT n FROM batch.total", 3_000).await;
    verify(&client, &[]).await;
    assert!(!server.log().contains("panicked"), "{}", last_of(&server.log()));
    server.kill().await;
}

/// Another process that keeps the catalog to itself.
async fn lock(catalog: &Path) -> SqliteConnection {
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", catalog.display())).await.unwrap();
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    other
}

async fn unlock(mut other: SqliteConnection) {
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_catalog_stalls_the_landing_and_nothing_else() {
    let local = Local::start(PIPELINE, config()).await;
    local.click(0, 1_000).await;
    local.is_whole(1_000).await;
    let other = lock(&local.folder.path().join("data/catalog.db")).await;
    local.click(1_000, 2_000).await;
    let reason = local.stalled().await;
    assert!(reason.contains("catalog.db") && reason.contains("locked by another process"), "{reason}");
    local.click(2_000, 3_000).await;
    let refused = local.recompute(true).await.unwrap_err().to_string();
    assert!(refused.contains("catalog.db") && refused.contains("locked"), "{refused}");
    unlock(other).await;
    local.is_whole(3_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_that_the_catalog_is_locked_and_starts_when_it_is_free() {
    let folder = tempfile::TempDir::new().unwrap();
    let pipeline = folder.path().join("pipeline.sql");
    std::fs::write(&pipeline, PIPELINE).unwrap();
    let mut server = Server::new(&pipeline, settings_for_haste());
    server.start().await;
    let client = server.client();
    client.append("clicks", None, clicks(0, 1_000)).await.unwrap();
    server.kill().await;
    let other = lock(&server.data().join("catalog.db")).await;
    server.launch();
    let (code, said) = server.ended().await;
    assert_eq!(code, Some(1));
    assert!(said.contains("catalog.db` is locked by another process"), "{said}");
    unlock(other).await;
    server.start().await;
    assert_eq!(number(&client, TOTAL).await, 1_000);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_folder_is_told_why_it_cannot_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let pipeline = folder.path().join("pipeline.sql");
    std::fs::write(&pipeline, PIPELINE).unwrap();
    let mut server = Server::new(&pipeline, settings_for_haste());
    server.start().await;
    let mut second = Server::new(&pipeline, settings_for_haste()).on_the_data_of(&server);
    second.launch();
    let (code, said) = second.ended().await;
    assert_eq!(code, Some(1));
    assert!(said.contains("data/log` is open in another process"), "{said}");
    assert_eq!(number(&server.client(), TOTAL).await, 0);
    server.kill().await;
}

/// Breaks a segment, sees what is refused and what is not, and mends it.
async fn with_broken(local: &Local, segment: &str, why: &str, break_it: impl FnOnce(&Path)) {
    let client = &local.client;
    let generation = "SELECT max(generation) FROM sys.generations";
    let (before, answers) =
        (number(client, generation).await, texts(client, "SELECT n FROM per_page ORDER BY page").await);
    let file = local.folder.path().join("data/store").join(segment);
    let content = std::fs::read(&file).unwrap();
    break_it(&file);

    let refused = local.recompute(true).await.unwrap_err().to_string();
    assert!(refused.contains(segment) && refused.contains(why), "{refused}");
    assert_eq!(number(client, generation).await, before);
    assert_eq!(texts(client, "SELECT n FROM per_page ORDER BY page").await, answers);
    assert_eq!(texts(client, "SELECT n FROM batch.per_page ORDER BY page").await, answers);
    let run = texts(client, "SELECT error FROM sys.batch_runs WHERE state = 'failed' ORDER BY id DESC LIMIT 1").await;
    assert!(run[0].contains(segment), "{run:?}");

    let raw = try_number(client, "SELECT count(DISTINCT user_id) FROM raw.clicks").await.unwrap_err().to_string();
    assert!(raw.contains(segment), "{raw}");
    assert_eq!(number(client, "SELECT count(DISTINCT user_id) FROM raw.visits").await, 97);
    assert_eq!(number(client, "SELECT sum(n) FROM visits_per_page").await, 500);
    // Arriving records are answered and landed as ever.
    let n = number(client, TOTAL).await as u64;
    local.click(n, n + 100).await;
    local.until(LANDED, n + 100).await;
    local.recompute(false).await.unwrap();
    verify(client, &[]).await;

    std::fs::write(&file, content).unwrap();
    local.recompute(true).await.unwrap();
    local.is_whole(n + 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_is_named_and_the_rest_is_served() {
    let mut config = config();
    config.batch.upkeep_every = Duration::from_secs(3600);
    let local = Local::start(PIPELINE, config).await;
    // Each request goes to another partition, and so to a segment of its own.
    for part in 0..4 {
        local.click(part * 500, (part + 1) * 500).await;
    }
    local.append("visits", clicks(0, 500)).await;
    local.until("SELECT sum(landed) FROM sys.partitions WHERE stream = 'visits'", 500).await;
    local.is_whole(2_000).await;
    let segments = texts(&local.client, "SELECT path FROM sys.segments WHERE topic = 'clicks' ORDER BY path").await;
    let truncate = |file: &Path| {
        let half = std::fs::metadata(file).unwrap().len() / 2;
        std::fs::File::options().write(true).open(file).unwrap().set_len(half).unwrap();
    };
    with_broken(&local, &segments[0], "bytes instead of", truncate).await;
    with_broken(&local, &segments[1], "is missing", |file| std::fs::remove_file(file).unwrap()).await;
}
