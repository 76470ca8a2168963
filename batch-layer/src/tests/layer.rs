//! The whole layer: landing, runs and upkeep at once.

use dovetail_core::catalog::{RunKind, RunState, Trigger};
use dovetail_core::name::Generation;
use dovetail_core::store::Store;
use dovetail_testkit::fixtures::name;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{CLICKS, Rig, decoded_logs, runs, small_segments};
use crate::{BatchConfig, BatchHandle, BatchLayer, BatchParts, LandingState, RunError, RunOutcome};

fn start(rig: &Rig, tracker: &TaskTracker, shutdown: &CancellationToken) -> BatchHandle {
    let parts = BatchParts {
        streams: rig.streams.clone(),
        views: rig.views.clone(),
        decoded_logs: decoded_logs(rig),
        catalog: rig.catalog.clone(),
        store: rig.store.clone(),
        clock: rig.clock.clone(),
        assignment: None,
        trim: None,
        work: Handle::current(),
        config: BatchConfig { landing: Some(small_segments()), runs: Some(runs()) },
    };
    BatchLayer::start(parts, tracker, shutdown.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_lands_runs_and_ends() {
    let rig = Rig::new(CLICKS).await;
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let batch = start(&rig, &tracker, &shutdown);
    rig.append_clicks(0, 300).await;
    rig.landed().await;
    let first = batch.recompute(RunKind::Incremental, None).await.unwrap();
    assert!(matches!(&first, RunOutcome::Published(run) if run.state == RunState::Published), "{first:?}");
    rig.check_answers().await;
    rig.append_clicks(300, 100).await;
    rig.landed().await;
    batch.recompute(RunKind::Incremental, None).await.unwrap();
    rig.check_answers().await;
    let current = rig.catalog.current().await.unwrap().unwrap().generation;
    batch.rollback(Generation(current.0 - 1)).await.unwrap();
    batch.recompute(RunKind::Incremental, None).await.unwrap();
    rig.check_answers().await;
    let unknown = batch.recompute(RunKind::Full, Some(vec![name("no_such")])).await;
    assert!(matches!(unknown, Err(RunError::UnknownView(_))), "{unknown:?}");
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
    let status = batch.landing_status().borrow().clone();
    assert!(status.values().all(|landing| landing.state == LandingState::Ended), "{status:?}");
    assert!(matches!(batch.recompute(RunKind::Full, None).await, Err(RunError::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn views_without_states_are_filled_at_start() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 100).await;
    rig.land().await;
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let _batch = start(&rig, &tracker, &shutdown);
    let mut changes = rig.catalog.changes();
    while rig.catalog.current().await.unwrap().is_none() {
        changes.changed().await.unwrap();
    }
    let run = rig.catalog.runs(1).await.unwrap().remove(0);
    assert_eq!((run.trigger, run.rows), (Trigger::Start, 3 * 196));
    rig.check_answers().await;
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_in_a_folder_will_do() {
    let mut rig = Rig::new(CLICKS).await;
    rig.store = Store::local(&rig.folder().join("objects")).unwrap();
    rig.append_clicks(0, 300).await;
    rig.land().await;
    rig.run(RunKind::Full).await.unwrap();
    rig.append_clicks(300, 900).await;
    rig.land().await;
    rig.upkeep().run().await;
    rig.run(RunKind::Incremental).await.unwrap();
    rig.check_answers().await;
}
