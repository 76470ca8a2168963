use super::*;

async fn current(catalog: &Catalog) -> u64 {
    catalog.current().await.unwrap().map_or(0, |row| row.generation.0)
}

async fn publishing_moves_the_pointer_and_ends_the_run(place: Place) {
    let catalog = place.open().await;
    let changes = catalog.changes();
    let first = publish(&catalog, 0, &["f1"]).await;
    assert!(changes.has_changed().unwrap());
    publish_as(&catalog, &first, Generation(0)).await.unwrap();
    let run = catalog.run(first.run_id).await.unwrap();
    assert_eq!((run.state, run.generation), (RunState::Published, Some(Generation(1))));
    assert!(run.finished_ms >= Some(run.started_ms), "one clock for both: {run:?}");
    publish(&catalog, 1, &["f2"]).await;
    assert_eq!(current(&catalog).await, 2);
    let numbers = catalog.generations(10).await.unwrap().into_iter().map(|row| row.generation.0);
    assert_eq!(numbers.collect::<Vec<_>>(), [2, 1]);
    assert_eq!(catalog.generation(Generation(1)).await.unwrap().manifest, first.manifest);
    assert!(matches!(catalog.generation(Generation(9)).await, Err(CatalogError::Missing { .. })));
}

async fn publishing_upon_what_is_no_longer_current_changes_nothing(place: Place) {
    let catalog = place.open().await;
    publish(&catalog, 0, &["f1"]).await;
    let run = catalog.start_run(&new_run("late")).await.unwrap();
    let late = publish_as(&catalog, &generation(2, run.id, &["f2"]), Generation(0)).await.unwrap_err();
    assert!(matches!(late, CatalogError::PublishConflict { expected: Generation(0), found: Generation(1) }), "{late}");
    assert_eq!(current(&catalog).await, 1);
    assert_eq!(catalog.generations(10).await.unwrap().len(), 1);
    assert_eq!(catalog.run(run.id).await.unwrap().state, RunState::Running);
}

async fn a_run_given_up_for_dead_cannot_publish(place: Place) {
    let catalog = place.open().await;
    let rival = place.open().await;
    let zombie = catalog.start_run(&new_run("zombie")).await.unwrap();
    expire(&rival, "runs").await;
    let living = rival.start_run(&new_run("living")).await.unwrap();
    let (late, next) = (generation(1, zombie.id, &["z"]), generation(2, living.id, &["l"]));
    let (one, other) =
        tokio::join!(publish_as(&catalog, &late, Generation(0)), publish_as(&rival, &next, Generation(0)));
    assert!(matches!(one, Err(CatalogError::RunEnded { .. })), "{one:?}");
    other.unwrap();
    assert_eq!(current(&catalog).await, 2);
}

async fn rolling_back_and_forth(place: Place) {
    let catalog = place.open().await;
    for previous in 0..3 {
        publish(&catalog, previous, &["f"]).await;
    }
    let conflict = catalog.rollback(Generation(1), Generation(2)).await;
    assert!(matches!(conflict, Err(CatalogError::PublishConflict { .. })), "{conflict:?}");
    let changes = catalog.changes();
    catalog.rollback(Generation(1), Generation(3)).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(current(&catalog).await, 1);
    assert!(matches!(catalog.rollback(Generation(7), Generation(1)).await, Err(CatalogError::Missing { .. })));

    catalog.retire(Generation(3)).await.unwrap();
    assert!(matches!(catalog.rollback(Generation(3), Generation(1)).await, Err(CatalogError::Retired { .. })));
    catalog.rollback(Generation(2), Generation(1)).await.unwrap();
    assert_eq!(current(&catalog).await, 2);
    assert_eq!(publish(&catalog, 2, &["f"]).await.generation, Generation(4), "numbers are not used again");
}

async fn retiring_leaves_what_other_generations_name(place: Place) {
    let catalog = place.open().await;
    publish(&catalog, 0, &["only1", "carried"]).await;
    publish(&catalog, 1, &["only2", "carried"]).await;
    publish(&catalog, 2, &["only3"]).await;
    let current = catalog.retire(Generation(3)).await;
    assert!(matches!(current, Err(CatalogError::StillCurrent { .. })), "{current:?}");

    catalog.retire(Generation(1)).await.unwrap();
    let retired_ms = catalog.generation(Generation(1)).await.unwrap().retired_ms;
    assert!(retired_ms.is_some());
    catalog.retire(Generation(1)).await.unwrap();
    assert_eq!(catalog.generation(Generation(1)).await.unwrap().retired_ms, retired_ms);
    assert_eq!(paths(&catalog, ObjectState::Garbage).await, ["generations/1/manifest.json", "only1"]);
    catalog.retire(Generation(2)).await.unwrap();
    let second = ["carried", "generations/1/manifest.json", "generations/2/manifest.json", "only1", "only2"];
    assert_eq!(paths(&catalog, ObjectState::Garbage).await, second);
}

async fn old_runs_are_forgotten_but_not_those_of_kept_generations(place: Place) {
    let catalog = place.open().await;
    for previous in 0..6 {
        let published = publish(&catalog, previous, &["f"]).await;
        let view = ViewName::parse("by_day").unwrap();
        let (run_id, generation) = (published.run_id, published.generation);
        let drift = Drift { run_id, generation, view, drift: 0.0, compared_rows: 1, detail: "equal".to_owned() };
        catalog.record_drift(&drift).await.unwrap();
    }
    for retired in [1, 2, 4, 5] {
        catalog.retire(Generation(retired)).await.unwrap();
    }
    let running = catalog.start_run(&new_run("test")).await.unwrap();
    // Of seven runs, three are new enough, and generation 3 is kept.
    assert_eq!(catalog.forget_history(3).await.unwrap(), 3);
    let runs: Vec<i64> = catalog.runs(10).await.unwrap().iter().map(|run| run.id).collect();
    assert_eq!(runs, [running.id, running.id - 1, running.id - 2, running.id - 4]);
    let generations = catalog.generations(10).await.unwrap().into_iter().map(|row| row.generation.0);
    assert_eq!(generations.collect::<Vec<_>>(), [6, 5, 3]);
    let drifts = catalog.drifts(10).await.unwrap().into_iter().map(|drift| drift.generation.0);
    assert_eq!(drifts.collect::<Vec<_>>(), [6, 5]);
    assert_eq!(catalog.forget_history(3).await.unwrap(), 0);
    assert_eq!(current(&catalog).await, 6);
}

on_each_database! {
    old_runs_are_forgotten_but_not_those_of_kept_generations,
    publishing_moves_the_pointer_and_ends_the_run,
    publishing_upon_what_is_no_longer_current_changes_nothing,
    a_run_given_up_for_dead_cannot_publish,
    rolling_back_and_forth,
    retiring_leaves_what_other_generations_name,
}
