use super::*;

fn sign(rows: u64, segments: u64) -> RunSign {
    RunSign { phase: "folding".to_owned(), rows, row_total: 900, segments, segment_total: 7 }
}

const LONG_LEASE: Duration = Duration::from_secs(100);

async fn one_run_at_a_time(place: Place) {
    let catalog = place.open().await;
    let run = catalog.start_run(&new_run("a")).await.unwrap();
    assert_eq!((run.state, run.kind, run.trigger), (RunState::Running, RunKind::Incremental, Trigger::Memory));
    assert_eq!(run.views, [view("by_day"), view("by_user")]);
    assert_eq!(run.cuts, new_run("a").cuts);
    assert_eq!(run.lease_until_ms, run.started_ms + 100_000);
    let refused = catalog.start_run(&new_run("b")).await.unwrap_err();
    assert!(matches!(&refused, CatalogError::RunInProgress { id, owner } if *id == run.id && owner == "a"));

    catalog.renew_run(run.id, &sign(500, 3), LONG_LEASE).await.unwrap();
    let failed = RunEnd::Failed { error: "no space".to_owned() };
    catalog.finish_run(run.id, &failed).await.unwrap();
    let finished = catalog.run(run.id).await.unwrap();
    catalog.finish_run(run.id, &failed).await.unwrap();
    let ended = Run {
        state: RunState::Failed,
        finished_ms: finished.finished_ms,
        phase: "folding".to_owned(),
        rows: 500,
        row_total: 900,
        segments: 3,
        segment_total: 7,
        error: Some("no space".to_owned()),
        lease_until_ms: finished.lease_until_ms,
        ..run
    };
    assert!(finished.finished_ms >= Some(ended.started_ms));
    assert_eq!(catalog.run(ended.id).await.unwrap(), ended);
    let next = catalog.start_run(&new_run("b")).await.unwrap();
    assert_eq!(catalog.runs(10).await.unwrap(), [next, ended]);
}

async fn of_two_schedulers_exactly_one_starts_the_run(place: Place) {
    let catalog = place.open().await;
    let rival = place.open().await;
    for _ in 0..3 {
        expire(&catalog, "runs").await;
        let (ours, theirs) = (new_run("a"), new_run("b"));
        let (one, other) = tokio::join!(catalog.start_run(&ours), rival.start_run(&theirs));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        let lost = one.and(other).unwrap_err();
        assert!(matches!(lost, CatalogError::RunInProgress { .. }), "{lost}");
    }
}

async fn a_run_without_a_sign_of_life_is_given_up(place: Place) {
    let catalog = place.open().await;
    let dead = catalog.start_run(&new_run("a")).await.unwrap();
    catalog.renew_run(dead.id, &sign(1, 1), LONG_LEASE).await.unwrap();
    assert_eq!(catalog.expire_runs().await.unwrap(), 0);
    assert_eq!(catalog.running().await.unwrap().unwrap().id, dead.id);
    expire(&catalog, "runs").await;
    assert_eq!(catalog.running().await.unwrap(), None);
    let next = catalog.start_run(&new_run("b")).await.unwrap();
    let gone = catalog.run(dead.id).await.unwrap();
    assert_eq!((gone.state, gone.error.as_deref()), (RunState::Failed, Some("its process died")));

    for told in [
        catalog.renew_run(dead.id, &sign(1, 1), LONG_LEASE).await,
        catalog.finish_run(dead.id, &RunEnd::Cancelled).await,
    ] {
        assert!(matches!(told, Err(CatalogError::RunEnded { state: RunState::Failed, .. })), "{told:?}");
    }
    expire(&catalog, "runs").await;
    assert_eq!(catalog.expire_runs().await.unwrap(), 1);
    assert_eq!(catalog.run(next.id).await.unwrap().state, RunState::Failed);
}

async fn a_run_is_cancelled_from_anywhere_and_publishes_nothing(place: Place) {
    let (catalog, elsewhere) = (place.open().await, place.open().await);
    assert_eq!(elsewhere.cancel_run().await.unwrap(), None);
    let run = catalog.start_run(&new_run("a")).await.unwrap();
    assert_eq!(elsewhere.cancel_run().await.unwrap(), Some(run.id));
    let told = catalog.renew_run(run.id, &sign(1, 1), LONG_LEASE).await;
    assert!(matches!(told, Err(CatalogError::RunEnded { state: RunState::Cancelled, .. })), "{told:?}");
    // Not even before it has heard of it.
    let published = catalog.publish(&generation(1, run.id, &["f"]), Generation(0)).await;
    assert!(matches!(published, Err(CatalogError::RunEnded { state: RunState::Cancelled, .. })), "{published:?}");
    assert_eq!(catalog.current().await.unwrap(), None);
    catalog.finish_run(run.id, &RunEnd::Cancelled).await.unwrap();
    assert_eq!(catalog.run(run.id).await.unwrap().state, RunState::Cancelled);
    let unknown = catalog.renew_run(99, &sign(1, 1), LONG_LEASE).await;
    assert!(matches!(unknown, Err(CatalogError::Missing { .. })));
}

async fn a_run_does_not_start_on_what_changed_since_it_chose(place: Place) {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    let old = [segment(0, 10, "a"), segment(10, 20, "a")];
    for segment in &old {
        land(&catalog, segment).await.unwrap();
    }
    let basis = catalog.basis().await.unwrap();
    let new = NewRun { basis: Some(basis), ..new_run("a") };
    replace(&catalog, &old, &Segment { dead: 2, ..segment(0, 20, "b") }).await.unwrap();
    let refused = catalog.start_run(&new).await;
    assert!(matches!(refused, Err(CatalogError::BasisChanged)), "{refused:?}");
    let basis = catalog.basis().await.unwrap();
    let run = catalog.start_run(&NewRun { basis: Some(basis), ..new.clone() }).await.unwrap();
    publish_as(&catalog, &generation(1, run.id, &["f"]), Generation(0)).await.unwrap();
    let late = catalog.start_run(&NewRun { basis: Some(basis), ..new }).await;
    assert!(matches!(late, Err(CatalogError::BasisChanged)), "another generation is current: {late:?}");
}

on_each_database! {
    one_run_at_a_time,
    of_two_schedulers_exactly_one_starts_the_run,
    a_run_without_a_sign_of_life_is_given_up,
    a_run_is_cancelled_from_anywhere_and_publishes_nothing,
    a_run_does_not_start_on_what_changed_since_it_chose,
}
