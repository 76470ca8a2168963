//! Stream jobs: views folded from the log alone, their checkpoints, the switch to changed code, and what the log has lost.

use std::path::Path;
use std::time::Duration;

use dovetail_api::Client;
use dovetail_api::jobs::{JobInfo, JobRequest, SwitchRequest};
use dovetail_testkit::waiting::eventually;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::answers::case::{CLICKS, Case, GOOD, NYC311, WEATHER};
use crate::answers::interfaces::{Http, Wire};
use crate::slt;
use crate::support::{Server, clicks, number, rows, settings_on_demand, try_number, verify};

const PIPELINE: &str =
    "CREATE EXTERNAL TABLE clicks (ts TIMESTAMP NOT NULL, user_id BIGINT NOT NULL, page VARCHAR, ms BIGINT)
    STORED AS JSON LOCATION 'kafka://clicks' OPTIONS ('event_time' 'ts', 'key' 'user_id', 'partitions' '3');
    CREATE VIEW total AS SELECT count(*) AS n, sum(ms) AS ms, max(VERSION) AS version FROM clicks;
    CREATE VIEW per_user AS SELECT user_id, count(*) AS n, max(VERSION) AS version FROM clicks GROUP BY user_id;
    CREATE VIEW slow AS SELECT _partition, _offset, user_id, ms FROM clicks WHERE ms > 90;
    CREATE VIEW failing AS SELECT count(100 / ms) AS n FROM clicks;";
/// Checkpoints all the time.
const HASTE: &str = "[kappa]\ncheckpoint_every = \"150ms\"\nkeep_checkpoints = 2\n\
                     [batch]\ngarbage_grace = \"1s\"\nstaging_limit = \"5s\"\nupkeep_every = \"1s\"\n";

fn pipeline(version: u32) -> String {
    PIPELINE.replace("VERSION", &version.to_string())
}

fn written(folder: &Path, version: u32) -> std::path::PathBuf {
    let file = folder.join(format!("pipeline-{version}.sql"));
    std::fs::write(&file, pipeline(version)).unwrap();
    file
}

async fn job(client: &Client, name: &str) -> Option<JobInfo> {
    client.jobs().await.ok()?.into_iter().find(|job| job.name == name)
}

async fn at_head(client: &Client, name: &str) {
    eventually("the job to be at the head of the log", async || {
        job(client, name).await.filter(|job| job.state == "head").map(|_| ())
    })
    .await;
}

/// What a job alone does not have: the parts of the layers, and what is landed.
fn of_both_layers(sql: &str) -> bool {
    ["batch.", "speed.", "raw.", "sys."].iter().any(|schema| sql.contains(schema))
}

async fn answers(case: &Case) {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kappa-slt-{}", case.name()));
    std::fs::create_dir_all(&place).unwrap();
    case.write_to(&place);
    std::fs::write(place.join("pipeline.sql"), case.sql()).unwrap();
    let mut server = Server::new(&place.join("pipeline.sql"), HASTE).by(&["kappa"]);
    server.start().await;
    server.run(&["ingest", case.stream, "--from", place.join("all.ndjson").to_str().unwrap()]).await;
    let count = case.count("kappa");
    server.wait_for(&count, &GOOD.to_string()).await;
    let wire = Wire::open(server.postgres()).await;
    slt::run_some(&case.slt(), &Http(server.url()), |sql| !of_both_layers(sql)).await;
    slt::run_some(&case.slt(), &wire, |sql| !of_both_layers(sql)).await;
    // The same from a checkpoint.
    eventually("a checkpoint", async || job(&server.client(), "main").await?.checkpoint).await;
    server.kill().await;
    server.start().await;
    at_head(&server.client(), "main").await;
    slt::run_some(&case.slt(), &Http(server.url()), |sql| !of_both_layers(sql)).await;
    verify(&server.client(), &[]).await;
}

#[tokio::test]
async fn nyc311_is_answered_by_a_job() {
    answers(&NYC311).await;
}

#[tokio::test]
async fn clicks_are_answered_by_a_job() {
    answers(&CLICKS).await;
}

#[tokio::test]
async fn weather_is_answered_by_a_job() {
    answers(&WEATHER).await;
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// SIGKILL while jobs replay, take checkpoints, are switched and go back; after each, every answer is exact.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_job_goes_on_from_its_checkpoint() {
    let seed = variable("DOVETAIL_SEED", rand::random::<u32>().into());
    let kills = variable("DOVETAIL_KILLS", 12);
    eprintln!("replay with DOVETAIL_SEED={seed} DOVETAIL_KILLS={kills}");
    let random = &mut StdRng::seed_from_u64(seed);
    let folder = TempDir::new().unwrap();
    let mut server = Server::new(&written(folder.path(), 1), HASTE).by(&["kappa"]);
    let client = server.client();
    server.start().await;
    let mut sent = 0;
    let mut restored = 0;
    for kill in 0..kills {
        let more = random.random_range(100..4000);
        client.append("clicks", Some(("test", sent)), clicks(sent, sent + more)).await.unwrap();
        sent += more;
        // Whether it succeeds does not matter: it is killed in the middle of it.
        let doing = async {
            let name = format!("j{kill}");
            let pipeline = pipeline(2 + kill as u32);
            let _ = client.start_job(&JobRequest { name: name.clone(), pipeline, from: None }).await;
            sleep(Duration::from_millis(random.random_range(0..300))).await;
            let _ = client.switch_job(&SwitchRequest { job: Some(name), force: false }).await;
            let _ = client.switch_job(&SwitchRequest { job: None, force: false }).await;
            sleep(Duration::from_millis(random.random_range(0..300))).await;
        };
        let _ = tokio::time::timeout(Duration::from_millis(600), doing).await;
        server.kill().await;
        server.start().await;
        let current = eventually("the current job to be at the head of the log", async || {
            let jobs = client.jobs().await.ok()?;
            jobs.iter().find(|job| job.role == "current" && job.state == "head").cloned()
        })
        .await;
        restored += u64::from(current.checkpoint.is_some());
        server.wait_for("SELECT n FROM kappa.total", &sent.to_string()).await;
        verify(&client, &[]).await;
        for job in client.jobs().await.unwrap().into_iter().filter(|job| job.role == "beside") {
            client.stop_job(&job.name).await.unwrap();
        }
    }
    assert!(restored > 0, "no job had a checkpoint");
    let failing = rows(&client, "SELECT * FROM kappa.failing").await;
    assert_eq!(failing.len(), 1);
    eventually("the objects of earlier checkpoints to be gone", async || {
        let kept = number(&client, "SELECT count(*) FROM sys.checkpoints").await;
        (kept <= 2 * client.jobs().await.ok()?.len() as i64).then_some(())
    })
    .await;
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.contains("checkpoint=Some"), "no start from a checkpoint: {log}");
}

/// While records come, jobs of changed code are switched to and back: no query fails or sees both versions.
#[tokio::test(flavor = "multi_thread")]
async fn changed_code_is_switched_in_one_step() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::new(&written(folder.path(), 1), HASTE).by(&["kappa"]);
    let client = server.client();
    server.start().await;
    client.append("clicks", Some(("first", 0)), clicks(0, 5000)).await.unwrap();
    let feeding = tokio::spawn({
        let client = server.client();
        async move {
            for at in (5000_u64..).step_by(200) {
                client.append("clicks", Some(("more", at)), clicks(at, at + 200)).await.unwrap();
                sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let asking = tokio::spawn({
        let client = server.client();
        async move {
            let sql = "SELECT t.version * 1000 + u.version FROM kappa.total t, \
                       (SELECT max(version) AS version FROM kappa.per_user) u";
            let mut seen = std::collections::BTreeMap::<i64, u64>::new();
            loop {
                let version = try_number(&client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:#}"));
                assert_eq!(version / 1000, version % 1000, "an answer of two jobs");
                *seen.entry(version % 1000).or_default() += 1;
                if seen.len() == 3 && seen.values().all(|times| *times > 3) {
                    return seen;
                }
            }
        }
    });
    for version in [2, 3] {
        let file = written(folder.path(), version);
        server.run(&["job", "start", file.to_str().unwrap(), "--as", &format!("v{version}"), "--wait"]).await;
        sleep(Duration::from_millis(300)).await;
        server.run(&["job", "switch", &format!("v{version}"), "--force"]).await;
        sleep(Duration::from_millis(300)).await;
        server.run(&["job", "back"]).await;
        server.run(&["job", "back"]).await;
    }
    let seen = tokio::time::timeout(Duration::from_secs(60), asking).await.unwrap().unwrap();
    eprintln!("answers by version: {seen:?}");
    feeding.abort();
    let said = server.run(&["job", "stop", "v2"]).await;
    assert!(said.contains("stopped"), "{said}");
    at_head(&client, "v3").await;
    verify(&client, &[]).await;
}

/// Beside the layers, `verify` covers both: merged and the job agree with a fold of the whole log.
#[tokio::test]
async fn a_job_beside_the_layers_has_their_answers() {
    let folder = TempDir::new().unwrap();
    let settings = format!("{}[kappa]\ncheckpoint_every = \"150ms\"\n", settings_on_demand());
    let mut server = Server::new(&written(folder.path(), 1), &settings).by(&["up", "--kappa"]);
    server.start().await;
    let client = server.client();
    client.append("clicks", Some(("test", 0)), clicks(0, 3000)).await.unwrap();
    server.holds(3000).await;
    let _: Value = client.post("/v1/recompute", &serde_json::json!({})).await.unwrap();
    client.append("clicks", Some(("test", 3000)), clicks(3000, 5000)).await.unwrap();
    server.wait_for("SELECT n FROM kappa.total", "5000").await;
    server.wait_for("SELECT n FROM public.total", "5000").await;
    let verdicts = client.verify(vec![]).await.unwrap();
    let names: Vec<&str> = verdicts.iter().map(|verdict| verdict.view.as_str()).collect();
    let both = ["total", "per_user", "slow", "failing", "kappa.total", "kappa.per_user", "kappa.slow", "kappa.failing"];
    assert_eq!(names, both);
    assert!(verdicts.iter().all(|verdict| verdict.differences == 0), "{verdicts:#?}");
    let differ =
        "SELECT count(*) FROM (SELECT user_id, n FROM public.per_user EXCEPT SELECT user_id, n FROM main.per_user)";
    assert_eq!(number(&client, differ).await, 0);
}

/// The log was trimmed before there was a job: that is an error with the number of records, and no silent later start.
#[tokio::test]
async fn records_that_the_log_has_lost_are_counted() {
    let folder = TempDir::new().unwrap();
    let pipeline = written(folder.path(), 1);
    let settings = "[landing]\nsegment_age = \"100ms\"\n\
                    [batch]\nschedule = \"every 1s\"\nkeep_generations = 1\nupkeep_every = \"200ms\"\n";
    let mut server = Server::new(&pipeline, settings);
    server.start().await;
    server.client().append("clicks", Some(("test", 0)), clicks(0, 3000)).await.unwrap();
    server.holds(3000).await;
    let first = "SELECT sum(first) FROM sys.partitions";
    let trimmed = async || (try_number(&server.client(), first).await.ok()? > 0).then_some(());
    eventually("the log to be trimmed", trimmed).await;
    server.kill().await;
    let mut beside = Server::new(&pipeline, settings).on_the_data_of(&server).by(&["up", "--kappa"]);
    beside.start().await;
    let client = beside.client();
    let trouble = eventually("the job to say what is gone", async || job(&client, "main").await?.trouble).await;
    assert!(trouble.contains("records of `clicks` partition") && trouble.contains("has lost"), "{trouble}");
    let refused = client.start_job(&JobRequest { name: "b".into(), pipeline: self::pipeline(1), from: None }).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("records are gone") && refused.contains("--from earliest"), "{refused}");
    let from = Some("earliest".to_owned());
    client.start_job(&JobRequest { name: "late".into(), pipeline: self::pipeline(1), from }).await.unwrap();
    at_head(&client, "late").await;
    assert!(number(&client, "SELECT coalesce(max(n), 0) FROM late.total").await < 3000);
    assert_eq!(number(&client, "SELECT n FROM public.total").await, 3000);
}
