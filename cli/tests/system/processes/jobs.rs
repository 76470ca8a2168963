//! A stream job on Kafka, with a process that takes it when its own dies or is stopped.

use dovetail_api::Client;

use super::backends::Backends;
use super::fleet::Fleet;
use super::{PIPELINE, TURN, write_clicks};
use crate::support::{eventually, number, try_number, verify};

const SETTINGS: &str = "[kappa]\ncheckpoint_every = \"200ms\"\n[batch]\ngarbage_grace = \"1s\"\nstaging_limit = \"5s\"\n\
                        upkeep_every = \"1s\"\n";

/// The number of the process that runs the job and is at the head of the log.
async fn runner(fleet: &Fleet<'_>, of: &[usize]) -> usize {
    eventually("a process to run the job", async || {
        for &n in of {
            let jobs = fleet.client("kappa", n).jobs().await.ok()?;
            if jobs.iter().any(|job| job.state == "head") {
                return Some(n);
            }
        }
        None
    })
    .await
}

async fn all(client: &Client, records: i64) {
    eventually("all records", async || {
        let n = try_number(client, "SELECT n FROM kappa.total").await.ok()?;
        assert!(n <= records, "{n} records, {records} were sent");
        (n == records).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_moves_to_another_process() {
    let Some(backends) = Backends::find("a_job_moves_to_another_process").await else { return };
    let _turn = TURN.lock().await;
    let records = 40_000;
    let mut fleet = Fleet::new(&backends, PIPELINE, SETTINGS);
    write_clicks(fleet.folder(), "clicks.ndjson", records, 8);
    for (layer, n) in [("ingest", 1), ("kappa", 1), ("kappa", 2)] {
        fleet.add(layer, n);
    }
    fleet.send_by(("ingest", 1), "clicks", "clicks.ndjson");
    let first = runner(&fleet, &[1, 2]).await;
    let second = 3 - first;
    fleet.tend_ingest(Some(3000.0));
    let client = fleet.client("kappa", first);
    eventually("a checkpoint with records", async || {
        (try_number(&client, "SELECT n FROM kappa.total").await.ok()? > 3000).then_some(())?;
        client.jobs().await.ok()?.first()?.checkpoint
    })
    .await;
    // Stopped for longer than its lease, it is replaced; when it goes on, its checkpoints are refused.
    fleet.signal("kappa", first, "STOP");
    assert_eq!(runner(&fleet, &[second]).await, second);
    let before = number(&fleet.client("kappa", second), "SELECT n FROM kappa.total").await;
    fleet.signal("kappa", first, "CONT");
    eventually("the one before to see that it was replaced", async || {
        fleet.log("kappa", first).contains("another process has taken").then_some(())
    })
    .await;
    let client = fleet.client("kappa", second);
    eventually("more records", async || {
        let n = try_number(&client, "SELECT n FROM kappa.total").await.ok()?;
        (n > before || n == records as i64).then_some(())
    })
    .await;
    fleet.signal("kappa", second, "KILL");
    assert_eq!(runner(&fleet, &[first]).await, first);
    fleet.finish_ingest().await;
    let client = fleet.client("kappa", first);
    all(&client, records as i64).await;
    assert_eq!(number(&client, "SELECT sum(n) FROM kappa.per_user").await, records as i64);
    verify(&client, &[]).await;
}
