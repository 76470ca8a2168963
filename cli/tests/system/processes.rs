//! The layers as processes of their own on Kafka, PostgreSQL and an S3 store, two of each: what they answer, and what
//! they hold while any of them and any of the servers is killed or stopped for longer than every lease, the store
//! fails, stalls and loses answers, the topic gets more partitions, and no two hosts agree on the time.
//!
//! `dev/up` starts what it needs. `DOVETAIL_SEED` replays an earlier run as well as a machine allows;
//! `DOVETAIL_RECORDS` and `DOVETAIL_FAULTS` make it long.

mod answers;
pub(crate) mod backends;
mod clients;
mod deck;
pub(crate) mod fleet;
mod jobs;
mod objects;

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use dovetail_api::runs::RunProgress;
use dovetail_connectors::sources::generate::{GenerateOptions, Kind, generate};
use dovetail_testkit::s3;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use self::backends::Backends;
use self::fleet::Fleet;
use crate::kafka::BROKERS;
use crate::support::{
    dovetail, eventually, number, said, settings_for_haste, settings_on_demand, texts, try_number, verify,
};

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// One restarts the servers that the other uses.
static TURN: Mutex<()> = Mutex::const_new(());

const PIPELINE: &str = "
CREATE EXTERNAL TABLE clicks (
  ts TIMESTAMP, user_id BIGINT, page VARCHAR, country VARCHAR, ms DOUBLE
) STORED AS JSON LOCATION 'kafka://TOPIC' OPTIONS ('event_time' 'ts', 'timezone' 'UTC', 'partitions' '4');
CREATE VIEW total AS SELECT count(*) AS n, sum(ms) AS total_ms FROM clicks;
CREATE VIEW per_user AS SELECT user_id, count(*) AS n, max(ms) AS slowest FROM clicks GROUP BY user_id;
CREATE VIEW per_page AS
SELECT page, count(*) AS n, approx_distinct(user_id) AS users, approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS p95
FROM clicks GROUP BY page;
CREATE VIEW slow_clicks AS SELECT _partition, _offset, user_id, ms FROM clicks WHERE ms > 400;
";

fn write_clicks(folder: &Path, file: &str, records: u64, seed: u64) {
    let options = GenerateOptions { events: records, seed, late: 0.05, bad: 0.0, start_ms: None };
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join(file)).unwrap());
    for mut line in generate(Kind::Clicks, &options) {
        line.push(b'\n');
        file.write_all(&line).unwrap();
    }
    file.flush().unwrap();
}

/// An answer that has not come by then counts as refused: the process may be stopped.
const ANSWER: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn two_of_everything_and_everything_is_killed() {
    let Some(backends) = Backends::find("two_of_everything_and_everything_is_killed").await else { return };
    let (_turn, _alone) = (TURN.lock().await, BROKERS.write().await);
    let seed = variable("DOVETAIL_SEED", rand::random::<u32>().into());
    let (records, faults) = (variable("DOVETAIL_RECORDS", 200_000), variable("DOVETAIL_FAULTS", 60));
    eprintln!("replay with DOVETAIL_SEED={seed} DOVETAIL_RECORDS={records} DOVETAIL_FAULTS={faults}");
    let random = &mut StdRng::seed_from_u64(seed);
    let mut fleet = Fleet::new(&backends, PIPELINE, settings_for_haste());
    let halves = [("clicks-1.ndjson", records / 2), ("clicks-2.ndjson", records - records / 2)];
    fleet.add_two_of_each(random);
    for (through, (file, records)) in (1..).zip(halves) {
        write_clicks(fleet.folder(), file, records, seed + through as u64);
        fleet.send("clicks", file, through);
    }
    fleet.ready().await;
    let began = Instant::now();
    // The state that each serving process has shown, by its id: they receive the same records, not at the same moment,
    // and one that was started again does not know what the one before has shown.
    let (mut seen, mut failed, mut told) = (HashMap::new(), 0, vec![]);
    for fault in 0..faults {
        let left = (faults - fault) as f64 * 3.0;
        let rate = records as f64 / 2.0 / (left + 3.0 * fault as f64 + 1.0);
        fleet.tend_ingest(Some(rate));
        let what = fleet.fault(random).await;
        eprintln!("{:6.1} s  {what}", began.elapsed().as_secs_f64());
        let until = Instant::now() + Duration::from_millis(random.random_range(500..4000));
        while Instant::now() < until {
            fleet.wake(false);
            fleet.tend_ingest(Some(rate));
            let replica = 1 + (fault % 2) as usize;
            let (client, process) = (fleet.client("serve", replica), fleet.pid("serve", replica));
            match timeout(ANSWER, try_number(&client, "SELECT n FROM total")).await {
                Ok(Ok(n)) => {
                    let before = seen.insert(process, n).unwrap_or(0);
                    assert!(n >= before, "serve {replica} has {n} records, and had {before} before: {what}");
                }
                Ok(Err(error)) => {
                    failed += 1;
                    told.push(format!("{error:#}"));
                }
                Err(_) => {
                    failed += 1;
                    told.push(format!("no answer within {ANSWER:?}"));
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    fleet.calm().await;
    fleet.finish_ingest().await;
    eprintln!(
        "{faults} faults in {:.0?}; {} of {records} seen; {failed} queries were refused",
        began.elapsed(),
        seen.values().max().unwrap_or(&0)
    );
    told.sort();
    told.dedup();
    told.iter().take(8).for_each(|why| eprintln!("  refused: {why}"));

    for replica in [1, 2] {
        let client = fleet.client("serve", replica);
        eventually("all records in the merged view", async || {
            let n = try_number(&client, "SELECT n FROM total").await.ok()?;
            assert!(n <= records as i64, "{n} records, but {records} were sent");
            (n == records as i64).then_some(())
        })
        .await;
    }
    let client = fleet.client("serve", 1);
    eventually("all records to be landed", async || {
        (try_number(&client, "SELECT count(*) FROM raw.clicks").await.ok()? == records as i64).then_some(())
    })
    .await;
    verify(&client, &[]).await;
    fleet.recompute_full().await;
    assert_eq!(number(&client, "SELECT n FROM batch.total").await, records as i64);
    assert_eq!(number(&client, "SELECT sum(n) FROM per_user").await, records as i64);
    verify(&fleet.client("serve", 2), &[]).await;
    assert_eq!(number(&client, "SELECT count(*) FROM sys.drift WHERE drift > 0").await, 0);
    objects::settle(&backends).await;
    fleet.check_logs();
}

/// A segment writer that is stopped for longer than its lease, replaced and continued, records nothing that counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_lander_records_nothing_that_counts() {
    let Some(backends) = Backends::find("a_zombie_lander_records_nothing_that_counts").await else { return };
    let _turn = TURN.lock().await;
    let records = 30_000;
    let mut fleet = Fleet::new(&backends, PIPELINE, settings_for_haste());
    write_clicks(fleet.folder(), "clicks.ndjson", records, 5);
    for layer in ["ingest", "batch", "speed", "serve"] {
        fleet.add(layer, 1);
    }
    fleet.send("clicks", "clicks.ndjson", 1);
    fleet.ready().await;
    fleet.tend_ingest(Some(2000.0));
    let client = fleet.client("serve", 1);
    eventually("some records to be landed", async || {
        (try_number(&client, "SELECT count(*) FROM raw.clicks").await.ok()? > 2000).then_some(())
    })
    .await;
    fleet.signal("batch", 1, "STOP");
    fleet.add("batch", 2);
    fleet.finish_ingest().await;
    let all_landed = async || {
        let landed = try_number(&client, "SELECT count(*) FROM raw.clicks").await.ok()?;
        assert!(landed <= records as i64, "{landed} records are landed, {records} were sent");
        (landed == records as i64).then_some(())
    };
    eventually("the other lander to land the rest", all_landed).await;
    fleet.signal("batch", 1, "CONT");
    // It has seen that it was replaced once it shares the partitions again.
    fleet.ready().await;
    eventually("both to have partitions", async || {
        let log = fleet.log("batch", 1);
        log.contains("gave no sign of life in time").then_some(())
    })
    .await;
    eventually("nothing to have come twice", all_landed).await;
    let distinct = "SELECT count(DISTINCT _partition * 1000000000 + _offset) FROM raw.clicks";
    assert_eq!(number(&client, distinct).await, records as i64);
    verify(&client, &[]).await;
}

/// Which of two batch processes leads.
async fn leading(fleet: &Fleet<'_>) -> usize {
    let client = fleet.client("serve", 1);
    eventually("one to lead the batch layer", async || {
        let leader = client.get::<RunProgress>("/v1/recompute").await.ok()?.leader?;
        [1, 2].into_iter().find(|&n| leader.contains(&format!("process {} (", fleet.pid("batch", n))))
    })
    .await
}

/// A leader that is stopped for longer than its lease, replaced and continued, does not keep a schedule of its own.
#[tokio::test(flavor = "multi_thread")]
async fn two_batch_processes_keep_one_schedule_and_a_paused_leader_joins_in() {
    let test = "two_batch_processes_keep_one_schedule_and_a_paused_leader_joins_in";
    let Some(backends) = Backends::find(test).await else { return };
    let _turn = TURN.lock().await;
    let mut fleet = Fleet::new(&backends, PIPELINE, settings_for_haste());
    write_clicks(fleet.folder(), "clicks.ndjson", 60_000, 6);
    for (layer, n) in [("ingest", 1), ("batch", 1), ("batch", 2), ("speed", 1), ("serve", 1)] {
        fleet.add(layer, n);
    }
    fleet.send("clicks", "clicks.ndjson", 1);
    fleet.ready().await;
    // Something new is landed for every run.
    fleet.tend_ingest(Some(1000.0));
    let client = fleet.client("serve", 1);
    let runs_of = async |n: usize| {
        let pid = fleet.pid("batch", n);
        let of = format!("started_by = 'schedule' AND owner LIKE '%process {pid} (%'");
        try_number(&client, &format!("SELECT count(*) FROM sys.batch_runs WHERE {of}")).await.ok()
    };
    let first = leading(&fleet).await;
    let second = 3 - first;
    eventually("runs of the leader", async || (runs_of(first).await? >= 3).then_some(())).await;
    assert_eq!(runs_of(second).await, Some(0), "it stands by");

    fleet.signal("batch", first, "STOP");
    eventually("runs of the next leader", async || (runs_of(second).await? >= 3).then_some(())).await;
    let before = runs_of(first).await.unwrap();
    fleet.signal("batch", first, "CONT");
    eventually("the paused one to see that it was replaced", async || {
        fleet.log("batch", first).contains("another process leads the batch layer").then_some(())
    })
    .await;
    let so_far = runs_of(second).await.unwrap();
    eventually("more runs", async || (runs_of(second).await? >= so_far + 3).then_some(())).await;
    assert_eq!(leading(&fleet).await, second);
    // A run that was about to begin when the process was stopped may have begun; it continues no series of its own.
    let after = runs_of(first).await.unwrap();
    assert!(after <= before + 1, "{before} runs, then {after}: {}", fleet.log("batch", first));

    let schedule = "FROM sys.batch_runs WHERE started_by = 'schedule'";
    let count = number(&client, &format!("SELECT count(*) {schedule}")).await;
    let span = format!("SELECT to_unixtime(max(started)) - to_unixtime(min(started)) {schedule}");
    let seconds = number(&client, &span).await;
    assert!(count <= seconds + 2, "{count} runs in {seconds} seconds, one a second was due");
    let failed = texts(&client, &format!("SELECT error {schedule} AND state = 'failed'")).await;
    assert!(failed.iter().all(|error| error == "its process died"), "{failed:?}");
    fleet.finish_ingest().await;
    eventually("all records", async || {
        (try_number(&client, "SELECT n FROM total").await.ok()? == 60_000).then_some(())
    })
    .await;
    verify(&client, &[]).await;
    fleet.check_logs();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_and_looked_at_by_way_of_any_process() {
    let Some(backends) = Backends::find("a_run_is_cancelled_and_looked_at_by_way_of_any_process").await else { return };
    let _turn = TURN.lock().await;
    let records = 20_000;
    let mut fleet = Fleet::new(&backends, PIPELINE, settings_on_demand());
    write_clicks(fleet.folder(), "clicks.ndjson", records, 7);
    for (layer, n) in [("ingest", 1), ("batch", 1), ("batch", 2), ("speed", 1), ("serve", 1)] {
        fleet.add(layer, n);
    }
    fleet.send("clicks", "clicks.ndjson", 1);
    fleet.ready().await;
    fleet.finish_ingest().await;
    let client = fleet.client("serve", 1);
    eventually("all records to be landed", async || {
        (try_number(&client, "SELECT count(*) FROM raw.clicks").await.ok()? == records as i64).then_some(())
    })
    .await;
    // The first run may still fill the views.
    let fill: Value = client.post("/v1/recompute", &json!({})).await.unwrap();
    let first = number(&client, "SELECT max(generation) FROM sys.generations").await;
    assert!(first > 0, "{fill}");
    for (runs, asked) in [(("batch", 1), ("batch", 2)), (("batch", 2), ("serve", 1))] {
        backends.s3.faults.set(s3::S3Fault::Stalls, |method| method == "PUT");
        let running = fleet.client(runs.0, runs.1);
        let run = tokio_util::task::TaskTracker::new()
            .spawn(async move { running.post::<Value>("/v1/recompute", &json!({"full": true})).await });
        let elsewhere = fleet.client(asked.0, asked.1);
        let seen = eventually("progress by way of another process", async || {
            let progress: RunProgress = elsewhere.get("/v1/recompute").await.ok()?;
            (progress.phase == "folding" && progress.rows_done > 0).then_some(progress)
        })
        .await;
        assert_eq!(seen.rows, 4 * records, "of four views");
        let url = fleet.url(asked.0, asked.1);
        let cancel = dovetail().args(["recompute", "--cancel", "--server", &url]).output().await.unwrap();
        assert!(cancel.status.success() && said(&cancel).contains("cancelled; what is published stays"), "{cancel:?}");
        let told = run.await.unwrap().unwrap_err().to_string();
        assert!(told.contains("was cancelled"), "{told}");
        let state = texts(&client, &format!("SELECT state FROM sys.batch_runs WHERE id = {}", seen.run_id)).await;
        assert_eq!(state, ["cancelled"]);
        backends.s3.faults.heal();
        let cancel = dovetail().args(["recompute", "--cancel", "--server", &url]).output().await.unwrap();
        assert!(said(&cancel).contains("no run is in progress"), "{cancel:?}");
    }
    assert_eq!(number(&client, "SELECT max(generation) FROM sys.generations WHERE retired IS NULL").await, first);
    let full: Value = fleet.client("batch", 2).post("/v1/recompute", &json!({"full": true})).await.unwrap();
    assert!(full["generation"].is_u64(), "{full}");
    verify(&client, &[]).await;
    fleet.check_logs();
}
