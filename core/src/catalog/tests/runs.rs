use super::*;

async fn one_run_at_a_time(place: Place) {
    let catalog = place.open().await;
    let run = catalog.start_run(&new_run("a", 1_000)).await.unwrap();
    assert_eq!((run.state, run.kind, run.trigger), (RunState::Running, RunKind::Incremental, Trigger::Memory));
    assert_eq!(run.views, [view("by_day"), view("by_user")]);
    assert_eq!(run.cuts, new_run("a", 0).cuts);
    let refused = catalog.start_run(&new_run("b", 1_050)).await.unwrap_err();
    assert!(matches!(&refused, CatalogError::RunInProgress { id, owner } if *id == run.id && owner == "a"));

    catalog.note_progress(run.id, 500, 3).await.unwrap();
    let failed = RunEnd::Failed { error: "no space".to_owned() };
    catalog.finish_run(run.id, &failed, 1_060).await.unwrap();
    catalog.finish_run(run.id, &failed, 1_070).await.unwrap();
    let ended = Run {
        state: RunState::Failed,
        finished_ms: Some(1_060),
        rows: 500,
        segments: 3,
        error: Some("no space".to_owned()),
        ..run
    };
    assert_eq!(catalog.run(ended.id).await.unwrap(), ended);
    let next = catalog.start_run(&new_run("b", 1_080)).await.unwrap();
    assert_eq!(catalog.runs(10).await.unwrap(), [next, ended]);
}

async fn of_two_schedulers_exactly_one_starts_the_run(place: Place) {
    let catalog = place.open().await;
    let rival = place.open().await;
    for now_ms in [0, 1_000, 2_000] {
        let (ours, theirs) = (new_run("a", now_ms), new_run("b", now_ms));
        let (one, other) = tokio::join!(catalog.start_run(&ours), rival.start_run(&theirs));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        let lost = one.and(other).unwrap_err();
        assert!(matches!(lost, CatalogError::RunInProgress { .. }), "{lost}");
    }
}

async fn a_run_without_a_sign_of_life_is_given_up(place: Place) {
    let catalog = place.open().await;
    let dead = catalog.start_run(&new_run("a", 1_000)).await.unwrap();
    catalog.renew_lease(dead.id, 1_200).await.unwrap();
    assert_eq!(catalog.expire_runs(1_199).await.unwrap(), 0);
    let next = catalog.start_run(&new_run("b", 1_200)).await.unwrap();
    let gone = catalog.run(dead.id).await.unwrap();
    assert_eq!((gone.state, gone.error.as_deref()), (RunState::Failed, Some("its process died")));

    for told in [
        catalog.renew_lease(dead.id, 9_000).await,
        catalog.note_progress(dead.id, 1, 1).await,
        catalog.finish_run(dead.id, &RunEnd::Cancelled, 1_300).await,
    ] {
        assert!(matches!(told, Err(CatalogError::RunEnded { state: RunState::Failed, .. })), "{told:?}");
    }
    assert_eq!(catalog.expire_runs(5_000).await.unwrap(), 1);
    assert_eq!(catalog.run(next.id).await.unwrap().finished_ms, Some(5_000));
}

async fn a_cancelled_run_hears_of_it_and_publishes_nothing(place: Place) {
    let catalog = place.open().await;
    let run = catalog.start_run(&new_run("a", 0)).await.unwrap();
    catalog.finish_run(run.id, &RunEnd::Cancelled, 10).await.unwrap();
    assert!(matches!(catalog.renew_lease(run.id, 500).await, Err(CatalogError::RunEnded { .. })));
    let published = catalog.publish(&generation(1, run.id, &["f"]), Generation(0)).await;
    assert!(matches!(published, Err(CatalogError::RunEnded { state: RunState::Cancelled, .. })), "{published:?}");
    assert_eq!(catalog.current().await.unwrap(), None);
    assert!(matches!(catalog.renew_lease(99, 500).await, Err(CatalogError::Missing { .. })));
}

on_each_database! {
    one_run_at_a_time,
    of_two_schedulers_exactly_one_starts_the_run,
    a_run_without_a_sign_of_life_is_given_up,
    a_cancelled_run_hears_of_it_and_publishes_nothing,
}
