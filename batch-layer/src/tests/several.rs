//! Several batch processes on one catalog: one of them leads, and it does not matter which one is asked.

use std::time::Duration;

use dovetail_core::catalog::{Catalog, NewRun, Run, RunEnd, RunKind, RunState, Trigger};
use dovetail_testkit::store::{StoreFault, puts};
use dovetail_testkit::waiting::eventually;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{CLICKS, Rig, runs};
use crate::config::RunConfig;
use crate::{BatchConfig, BatchHandle, BatchLayer, BatchParts, RunError, RunOutcome, leader};

/// A process: it can be killed, which gives nothing back.
struct Process {
    runtime: Option<Runtime>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    batch: BatchHandle,
}

const STEP_MS: i64 = 10_000;

fn scheduled() -> RunConfig {
    RunConfig { incremental: Some("every 10s".parse().unwrap()), ..runs() }
}

impl Process {
    fn start(rig: &Rig, owner: &str, config: RunConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let parts = BatchParts {
            streams: rig.streams.clone(),
            views: rig.views.clone(),
            decoded_logs: [].into(),
            catalog: rig.catalog.clone(),
            store: rig.store.clone(),
            clock: rig.clock.clone(),
            assignment: None,
            trim: None,
            work: runtime.handle().clone(),
            config: BatchConfig { landing: None, runs: Some(RunConfig { owner: owner.to_owned(), ..config }) },
        };
        let batch = {
            let _inside = runtime.enter();
            BatchLayer::start(parts, &tracker, shutdown.clone())
        };
        Self { runtime: Some(runtime), tracker, shutdown, batch }
    }

    fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn led_by(catalog: &Catalog, owner: &str) {
    let what = format!("{owner} to lead");
    eventually(&what, async || (leader(catalog).await.unwrap()? == owner).then_some(())).await;
}

/// Runs that were due, oldest first.
async fn due(rig: &Rig) -> Vec<Run> {
    let mut runs = rig.catalog.runs(100).await.unwrap();
    runs.retain(|run| run.trigger == Trigger::Schedule);
    runs.reverse();
    runs
}

/// Waits until so many runs that were due are published, and not one more was started.
async fn published(rig: &Rig, n: usize) {
    let all = async || {
        let runs = due(rig).await;
        assert!(runs.len() <= n, "{runs:?}");
        (runs.len() == n && runs.iter().all(|run| run.state == RunState::Published)).then_some(())
    };
    eventually(&format!("{n} runs"), all).await;
}

async fn last_moment(rig: &Rig) -> i64 {
    rig.catalog.last_moment(RunKind::Incremental).await.unwrap()
}

/// Something to fold, already folded once.
async fn filled() -> Rig {
    let rig = Rig::new(CLICKS).await;
    more(&rig, 0).await;
    rig.run(RunKind::Full).await.unwrap();
    rig
}

/// So much more that compaction finds something to merge.
async fn more(rig: &Rig, n: usize) {
    rig.append_clicks(n * 600, 600).await;
    rig.land().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_series_of_runs_whoever_leads() {
    let rig = filled().await;
    let processes = ["a", "b", "c"].map(|owner| Process::start(&rig, owner, scheduled()));
    let began = eventually("somebody to keep the schedule", async || {
        leader(&rig.catalog).await.unwrap()?;
        Some(last_moment(&rig).await)
    })
    .await;
    assert_eq!(began, rig.clock.now_ms());
    for n in 1..=4 {
        more(&rig, n).await;
        // Every lease has passed with it: the first process that asks leads from now on.
        rig.clock.advance_ms(STEP_MS);
        published(&rig, n).await;
        assert_eq!(last_moment(&rig).await, began + n as i64 * STEP_MS);
    }
    // One run for all that were missed, and the next one is due when it would have been.
    more(&rig, 5).await;
    rig.clock.advance_ms(3 * STEP_MS + 4_000);
    published(&rig, 5).await;
    assert_eq!(last_moment(&rig).await, began + 7 * STEP_MS);
    // With nothing new there is no run, and the moment is over all the same.
    rig.clock.advance_ms(STEP_MS);
    eventually("the moment to be seen to", async || (last_moment(&rig).await == began + 8 * STEP_MS).then_some(()))
        .await;
    published(&rig, 5).await;
    rig.check_answers().await;
    for process in processes {
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_dies_the_next_one_leaves_nothing_out() {
    let rig = filled().await;
    let a = Process::start(&rig, "a", scheduled());
    led_by(&rig.catalog, "a").await;
    let began = last_moment(&rig).await;
    let b = Process::start(&rig, "b", scheduled());
    more(&rig, 1).await;
    a.kill();
    // A moment is due while no process leads.
    rig.clock.advance_ms(STEP_MS);
    led_by(&rig.catalog, "b").await;
    published(&rig, 1).await;
    assert_eq!(due(&rig).await[0].owner, "b");
    assert_eq!(last_moment(&rig).await, began + STEP_MS);
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_ends_lets_the_next_one_lead_at_once() {
    let rig = filled().await;
    let a = Process::start(&rig, "a", scheduled());
    led_by(&rig.catalog, "a").await;
    let b = Process::start(&rig, "b", scheduled());
    // The clock stands still: no lease passes.
    a.stop().await;
    led_by(&rig.catalog, "b").await;
    more(&rig, 1).await;
    rig.clock.advance_ms(STEP_MS);
    published(&rig, 1).await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_run_does_not_wait_for_compaction() {
    let rig = filled().await;
    more(&rig, 1).await;
    rig.fake.faults.set(StoreFault::HoldsBefore, puts("segments/"));
    let config = RunConfig { upkeep_every: Duration::from_millis(10), ..scheduled() };
    let a = Process::start(&rig, "a", config);
    led_by(&rig.catalog, "a").await;
    last_moment(&rig).await;
    rig.fake.faults.until_met().await;
    rig.clock.advance_ms(STEP_MS);
    published(&rig, 1).await;
    rig.fake.faults.heal();
    rig.check_answers().await;
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_and_looked_at_from_the_other_process() {
    let rig = filled().await;
    let [a, b] = ["a", "b"].map(|owner| Process::start(&rig, owner, runs()));
    assert!(!b.batch.cancel().await.unwrap());
    rig.fake.faults.set(StoreFault::HoldsBefore, puts("generations/"));
    let asked = a.batch.clone();
    let running = a.tracker.spawn(async move { asked.recompute(RunKind::Full, None).await });
    let seen = eventually("progress in the catalog", async || {
        let run = rig.catalog.running().await.unwrap()?;
        (run.phase == "folding" && run.rows > 0).then_some(run)
    })
    .await;
    assert_eq!(
        (seen.owner.as_str(), seen.row_total),
        ("a", 3 * rig.catalog.landed_totals(rig.topic()).await.unwrap().rows)
    );
    assert!(b.batch.cancel().await.unwrap());
    let done = running.await.unwrap();
    assert!(matches!(done, Err(RunError::Cancelled { run_id }) if run_id == seen.id), "{done:?}");
    assert_eq!(rig.catalog.run(seen.id).await.unwrap().state, RunState::Cancelled);
    rig.fake.faults.heal();
    let done = b.batch.recompute(RunKind::Full, None).await.unwrap();
    assert!(matches!(done, RunOutcome::Published(run) if run.owner == "b"));
    rig.check_answers().await;
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_for_waits_for_that_of_the_other_process() {
    let rig = filled().await;
    let [a, b] = ["a", "b"].map(|owner| Process::start(&rig, owner, runs()));
    rig.fake.faults.set(StoreFault::HoldsBefore, puts("generations/"));
    let asked = a.batch.clone();
    let first = a.tracker.spawn(async move { asked.recompute(RunKind::Full, None).await });
    rig.fake.faults.until_met().await;
    let asked = b.batch.clone();
    let second = b.tracker.spawn(async move { asked.recompute(RunKind::Full, None).await });
    let wanted = rig.catalog.clone();
    wanted.request_run(Trigger::Gap).await.unwrap();
    rig.fake.faults.heal();
    for done in [first, second] {
        let done = done.await.unwrap().unwrap();
        assert!(matches!(&done, RunOutcome::Published(run) if run.kind == RunKind::Full), "{done:?}");
    }
    eventually("the request to be covered", async || {
        rig.catalog.requested_runs().await.unwrap().is_empty().then_some(())
    })
    .await;
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_not_forgotten_while_another_process_runs() {
    let rig = filled().await;
    more(&rig, 1).await;
    let a = Process::start(&rig, "a", runs());
    led_by(&rig.catalog, "a").await;
    let elsewhere = NewRun {
        kind: RunKind::Full,
        trigger: Trigger::Demand,
        views: vec![],
        cuts: [].into(),
        owner: "elsewhere".to_owned(),
        lease: Duration::from_secs(60),
        basis: None,
        moment: None,
    };
    let run = rig.catalog.start_run(&elsewhere).await.unwrap();
    rig.catalog.request_run(Trigger::Memory).await.unwrap();
    rig.catalog.finish_run(run.id, &RunEnd::Cancelled).await.unwrap();
    let run = eventually("the run that was wanted", async || {
        let run = rig.catalog.runs(1).await.unwrap().remove(0);
        (run.trigger == Trigger::Memory && run.state == RunState::Published).then_some(run)
    })
    .await;
    assert_eq!(run.owner, "a");
    eventually("the request to be covered", async || {
        rig.catalog.requested_runs().await.unwrap().is_empty().then_some(())
    })
    .await;
    rig.check_answers().await;
    a.stop().await;
}

/// Compaction between a run's choice of segments and its start would leave a cut in the middle of a segment.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_and_compaction_at_once_leave_no_cut_inside_a_segment() {
    let rig = filled().await;
    for n in 1..6 {
        more(&rig, n).await;
        let upkeep = rig.upkeep();
        let (run, ()) = tokio::join!(rig.run(RunKind::Incremental), async { upkeep.run().await });
        assert!(matches!(run.unwrap(), RunOutcome::Published(_)));
        rig.check_answers().await;
    }
}
