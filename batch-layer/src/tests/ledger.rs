//! Several processes over the same objects, stopped where it hurts: whatever is recorded is there, and whatever is
//! there is known.

use std::sync::Arc;
use std::time::Duration;

use dovetail_core::catalog::{ObjectState, RunKind, RunSign, RunState, Segment, Trigger};
use dovetail_testkit::fixtures::name;
use dovetail_testkit::store::{FakeStore, StoreFault, deletes, puts, reads};
use futures::future::join_all;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{CLICKS, Rig, runs, small_segments};
use crate::recompute::{RecomputeParts, RunError, RunOutcome, RunRequest};
use crate::upkeep::Upkeep;

const GRACE_MS: i64 = 300_000;
const STAGING_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// 1500 clicks of each partition in many small segments.
async fn landed() -> Rig {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 1500).await;
    rig.land().await;
    rig
}

async fn segments(rig: &Rig) -> Vec<Segment> {
    rig.catalog.segments(rig.topic()).await.unwrap()
}

fn stalled_upkeep(rig: &Rig) -> (Upkeep, Arc<FakeStore>) {
    let (store, gate) = rig.gated();
    (Upkeep { store, ..rig.upkeep() }, gate)
}

fn stalled_run(rig: &Rig) -> (RecomputeParts, Arc<FakeStore>) {
    let (store, gate) = rig.gated();
    (RecomputeParts { store, ..rig.recompute() }, gate)
}

async fn run(recompute: &RecomputeParts, kind: RunKind) -> Result<RunOutcome, RunError> {
    let request = RunRequest { kind, views: None, trigger: Trigger::Demand };
    recompute.run(&request, None, &CancellationToken::new()).await
}

/// The run in progress gives a sign of life.
async fn keep_alive(rig: &Rig) {
    let run = rig.catalog.runs(1).await.unwrap().remove(0);
    rig.catalog.renew_run(run.id, &RunSign::default(), runs().lease).await.unwrap();
}

/// Lets the lease of the run in progress pass, as another process notices.
async fn let_die(rig: &Rig) {
    let running = async || rig.catalog.runs(1).await.unwrap()[0].state == RunState::Running;
    while running().await {
        rig.clock.advance_ms(61_000);
        rig.upkeep().collect().await.unwrap();
    }
}

async fn check_landed(rig: &Rig, records: i64) {
    for partition in 0..2 {
        assert_eq!(rig.landed_records(partition).await, (0..records).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_does_not_record_what_was_collected_meanwhile() {
    let rig = landed().await;
    let (compactor, gate) = stalled_upkeep(&rig);
    gate.faults.set(StoreFault::HoldsAfter, puts("segments/"));
    let meanwhile = async {
        gate.faults.until_met().await;
        let put = rig.objects(ObjectState::Staged).await;
        assert!(!put.is_empty());
        rig.clock.advance_ms(STAGING_MS + 1);
        rig.upkeep().collect().await.unwrap();
        gate.faults.heal();
        put
    };
    let (compacted, put) = tokio::join!(compactor.compact(), meanwhile);
    compacted.unwrap();
    let (_, recorded) = rig.catalog.ledger().await.unwrap();
    assert!(put.iter().all(|path| !recorded.contains(path)), "{put:?}");
    rig.check_ledger().await;
    check_landed(&rig, 1500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lander_writes_again_what_was_collected_meanwhile() {
    for fault in [StoreFault::HoldsBefore, StoreFault::HoldsAfter] {
        let rig = Rig::new(CLICKS).await;
        rig.append_clicks(0, 300).await;
        let (store, gate) = rig.gated();
        gate.faults.set(fault, puts("segments/"));
        let landing = rig.landing_on(store, small_segments());
        let tracker = TaskTracker::new();
        for segment_writer in landing.segment_writers(&rig.decoded_log, 0..2, None) {
            tracker.spawn(segment_writer.run());
        }
        gate.faults.until_met().await;
        let put = rig.objects(ObjectState::Staged).await;
        rig.clock.advance_ms(STAGING_MS + 1);
        rig.upkeep().collect().await.unwrap();
        gate.faults.heal();
        rig.landed().await;
        landing.shutdown.cancel();
        tracker.close();
        tracker.wait().await;
        let (_, recorded) = rig.catalog.ledger().await.unwrap();
        assert!(!put.is_empty() && put.iter().all(|path| !recorded.contains(path)), "{put:?}");
        rig.check_ledger().await;
        check_landed(&rig, 300).await;
        // An object put after its deletion is in the ledger too, and is deleted.
        check_only_recorded(&rig).await;
    }
}

/// A writer that was stopped before it put an object goes on after that was collected, and dies before it can say so.
#[tokio::test]
async fn what_is_put_after_it_was_collected_goes_though_its_writer_died() {
    let rig = Rig::new(CLICKS).await;
    let path = "segments/late";
    rig.catalog.stage(&[(path, 4)], None).await.unwrap();
    rig.clock.advance_ms(STAGING_MS + 1);
    rig.upkeep().collect().await.unwrap();
    assert_eq!(rig.objects(ObjectState::Deleted).await, [path]);
    rig.store.put_new(&path.into(), "late".into()).await.unwrap();
    rig.upkeep().collect().await.unwrap();
    assert!(rig.store.list_prefix(&"segments".into()).await.unwrap().is_empty());
    assert_eq!(rig.objects(ObjectState::Deleted).await, [path], "another may put it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_given_up_for_dead_does_not_publish_what_was_collected() {
    let rig = landed().await;
    let (recompute, gate) = stalled_run(&rig);
    gate.faults.set(StoreFault::HoldsAfter, puts("generations/00000000000000000001/manifest"));
    let meanwhile = async {
        gate.faults.until_met().await;
        let_die(&rig).await;
        gate.faults.heal();
    };
    let (published, ()) = tokio::join!(run(&recompute, RunKind::Full), meanwhile);
    assert!(published.is_err(), "{published:?}");
    assert!(rig.catalog.current().await.unwrap().is_none());
    rig.check_ledger().await;
    check_only_recorded(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_living_run_wrote_long_ago_is_published() {
    let rig = landed().await;
    let (recompute, gate) = stalled_run(&rig);
    gate.faults.set(StoreFault::HoldsAfter, puts("generations/00000000000000000001/manifest"));
    let meanwhile = async {
        gate.faults.until_met().await;
        rig.clock.advance_ms(2 * STAGING_MS);
        keep_alive(&rig).await;
        rig.upkeep().run().await;
        gate.faults.heal();
    };
    let (published, ()) = tokio::join!(run(&recompute, RunKind::Full), meanwhile);
    assert!(matches!(published.unwrap(), RunOutcome::Published(_)));
    rig.check_ledger().await;
    rig.check_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_have_the_whole_grace_however_long_the_compaction_took() {
    let rig = landed().await;
    let before = segments(&rig).await;
    let (compactor, gate) = stalled_upkeep(&rig);
    gate.faults.set(StoreFault::HoldsAfter, puts("segments/"));
    let meanwhile = async {
        gate.faults.until_met().await;
        rig.clock.advance_ms(2 * GRACE_MS);
        gate.faults.heal();
    };
    let (compacted, ()) = tokio::join!(compactor.compact(), meanwhile);
    compacted.unwrap();
    assert!(segments(&rig).await.len() < before.len());
    rig.upkeep().collect().await.unwrap();
    for segment in &before {
        assert!(rig.store.exists(&segment.path.as_str().into()).await.unwrap(), "{} is being read", segment.path);
    }
    rig.clock.advance_ms(GRACE_MS + 1);
    rig.upkeep().collect().await.unwrap();
    assert!(rig.objects(ObjectState::Garbage).await.is_empty());
    rig.check_ledger().await;
    check_landed(&rig, 1500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cut_of_a_run_in_progress_stays_a_boundary() {
    let rig = landed().await;
    let (recompute, gate) = stalled_run(&rig);
    gate.faults.set(StoreFault::HoldsBefore, puts("generations/"));
    let meanwhile = async {
        gate.faults.until_met().await;
        rig.append_clicks(1500, 1500).await;
        rig.land().await;
        let before = segments(&rig).await.len();
        rig.upkeep().compact().await.unwrap();
        assert!(segments(&rig).await.len() < before);
        gate.faults.heal();
    };
    let (published, ()) = tokio::join!(run(&recompute, RunKind::Full), meanwhile);
    published.unwrap();
    rig.run(RunKind::Incremental).await.unwrap();
    let (_, manifest) = rig.recompute().current().await.unwrap();
    assert_eq!(manifest.unwrap().views[&name("per_page")].deltas.len(), 1, "it went on from the cut");
    rig.check_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_longer_than_the_grace_reads_what_was_replaced() {
    let rig = landed().await;
    let (recompute, gate) = stalled_run(&rig);
    gate.faults.set(StoreFault::HoldsBefore, reads("segments/"));
    let meanwhile = async {
        gate.faults.until_met().await;
        let before = segments(&rig).await.len();
        rig.upkeep().compact().await.unwrap();
        assert!(segments(&rig).await.len() < before);
        rig.clock.advance_ms(2 * STAGING_MS);
        keep_alive(&rig).await;
        rig.upkeep().run().await;
        gate.faults.heal();
    };
    let (published, ()) = tokio::join!(run(&recompute, RunKind::Full), meanwhile);
    assert!(matches!(published.unwrap(), RunOutcome::Published(_)));
    rig.check_ledger().await;
    rig.check_answers().await;
    rig.upkeep().collect().await.unwrap();
    assert!(rig.objects(ObjectState::Garbage).await.is_empty(), "and then it goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_given_up_for_dead_is_not_told_to_restore_what_was_replaced() {
    let rig = landed().await;
    let (recompute, gate) = stalled_run(&rig);
    gate.faults.set(StoreFault::HoldsBefore, reads("segments/"));
    let meanwhile = async {
        gate.faults.until_met().await;
        rig.upkeep().compact().await.unwrap();
        let_die(&rig).await;
        rig.clock.advance_ms(GRACE_MS + 1);
        rig.upkeep().collect().await.unwrap();
        gate.faults.heal();
    };
    let (published, ()) = tokio::join!(run(&recompute, RunKind::Full), meanwhile);
    let error = published.unwrap_err();
    assert!(error.to_string().contains("is no longer running: it is failed"), "{error}");
    rig.check_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_collectors_at_once_do_no_harm() {
    for fault in [StoreFault::HoldsBefore, StoreFault::HoldsAfter] {
        let rig = landed().await;
        rig.upkeep().compact().await.unwrap();
        rig.clock.advance_ms(GRACE_MS + 1);
        let (collector, gate) = stalled_upkeep(&rig);
        gate.faults.set(fault, deletes("segments/"));
        let meanwhile = async {
            gate.faults.until_met().await;
            assert!(!rig.objects(ObjectState::Deleting).await.is_empty());
            rig.upkeep().collect().await.unwrap();
            assert!(rig.objects(ObjectState::Deleting).await.is_empty(), "what one began the other ends");
            gate.faults.heal();
        };
        let (collected, ()) = tokio::join!(collector.collect(), meanwhile);
        collected.unwrap();
        rig.check_ledger().await;
        check_landed(&rig, 1500).await;
        let [one, other] = [rig.upkeep(), rig.upkeep()];
        tokio::join!(one.run(), other.run());
        rig.check_ledger().await;
    }
}

/// After everything has had its time, there is what is recorded and nothing else.
async fn check_only_recorded(rig: &Rig) {
    // A tombstone lies for a day.
    for ms in [STAGING_MS + 1, GRACE_MS + 1, DAY_MS + 1] {
        rig.clock.advance_ms(ms);
        rig.upkeep().collect().await.unwrap();
    }
    rig.check_ledger().await;
    let left = rig.catalog.objects().await.unwrap();
    let left: Vec<_> = left.iter().filter(|object| object.state != ObjectState::Live).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_leaves_nothing_behind() {
    use StoreFault::{HoldsAfter, HoldsBefore};
    let rig = Rig::new(CLICKS).await;
    let mut records = 0;
    let more = async |records: &mut usize| {
        rig.append_clicks(*records, 700).await;
        *records += 700;
    };
    for (fault, below) in
        [(HoldsBefore, "segments/"), (HoldsAfter, "segments/"), (HoldsBefore, "dead/"), (HoldsAfter, "dead/")]
    {
        more(&mut records).await;
        let (store, gate) = rig.gated();
        gate.faults.set(fault, puts(below));
        let landing = rig.landing_on(store, small_segments());
        let segment_writers = landing
            .segment_writers(&rig.decoded_log, 0..2, None)
            .into_iter()
            .map(|segment_writer| segment_writer.run());
        tokio::select! {
            _ = join_all(segment_writers) => panic!("the landing went on"),
            () = gate.faults.until_met() => {}
        }
        rig.check_ledger().await;
        rig.land().await;

        let (compactor, gate) = stalled_upkeep(&rig);
        gate.faults.set(fault, puts(below));
        tokio::select! {
            done = compactor.compact() => panic!("{done:?} at {fault:?} {below}"),
            () = gate.faults.until_met() => {}
        }
        rig.check_ledger().await;
    }
    for fault in [HoldsBefore, HoldsAfter] {
        let (recompute, gate) = stalled_run(&rig);
        gate.faults.set(fault, puts("generations/"));
        tokio::select! {
            done = run(&recompute, RunKind::Full) => panic!("{done:?}"),
            () = gate.faults.until_met() => {}
        }
        rig.check_ledger().await;
        rig.clock.advance_ms(61_000);
    }
    rig.run(RunKind::Full).await.unwrap();
    rig.upkeep().compact().await.unwrap();
    rig.clock.advance_ms(STAGING_MS + 1);
    for fault in [HoldsBefore, HoldsAfter] {
        let (collector, gate) = stalled_upkeep(&rig);
        gate.faults.set(fault, deletes(""));
        tokio::select! {
            done = collector.collect() => panic!("{done:?}"),
            () = gate.faults.until_met() => {}
        }
        rig.check_ledger().await;
    }
    check_only_recorded(&rig).await;
    check_landed(&rig, records as i64).await;
    rig.check_answers().await;
    let failed = rig.catalog.runs(10).await.unwrap().into_iter().filter(|run| run.state == RunState::Failed);
    assert_eq!(failed.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_zombie_puts_before_it_dies_goes_too() {
    let rig = Rig::new(CLICKS).await;
    rig.catalog.stage(&[("segments/zombie", 1)], None).await.unwrap();
    rig.clock.advance_ms(STAGING_MS + 1);
    rig.upkeep().collect().await.unwrap();
    // Nobody lives who could note this.
    rig.store.put_new(&"segments/zombie".into(), bytes::Bytes::from_static(b"x")).await.unwrap();
    rig.clock.advance_ms(DAY_MS + 1);
    rig.upkeep().collect().await.unwrap();
    assert!(rig.catalog.objects().await.unwrap().is_empty());
    rig.check_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_left_is_found_by_listing_once() {
    let rig = landed().await;
    rig.run(RunKind::Full).await.unwrap();
    let left = ["generations/00000000000000000900/total-0.parquet", "segments/Clicks/0/left"];
    for path in left.into_iter().chain(["somebody/elses"]) {
        rig.store.put_new(&path.into(), bytes::Bytes::from_static(b"x")).await.unwrap();
    }
    rig.upkeep().list_store_once().await.unwrap();
    assert!(rig.objects(ObjectState::Garbage).await.is_empty(), "what began with a ledger lists nothing");
    let file = SqliteConnectOptions::new().filename(rig.folder().join("catalog.db"));
    let mut session = file.busy_timeout(Duration::from_secs(5)).connect().await.unwrap();
    let before = "UPDATE counters SET value = 0 WHERE name = 'store_listed'";
    sqlx::query(before).execute(&mut session).await.unwrap();
    for _ in 0..2 {
        rig.upkeep().list_store_once().await.unwrap();
        assert_eq!(rig.objects(ObjectState::Garbage).await, left);
    }
    rig.clock.advance_ms(runs().garbage_grace.as_millis() as i64 + 1);
    rig.upkeep().collect().await.unwrap();
    rig.store.delete(&"somebody/elses".into()).await.unwrap();
    rig.check_ledger().await;
    rig.check_answers().await;
}
