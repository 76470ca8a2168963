//! A PostgreSQL server that goes away, comes back, loses answers, or keeps us waiting.

use sqlx::{Connection, Executor};

use super::*;
use crate::wire::Wire;

/// Short, so that giving up does not take long; the server's own limits follow from it.
const CATALOG_TIMEOUT: Duration = Duration::from_millis(400);

/// Nothing is left alone.
const NONE: Patience = Patience { grace: Duration::ZERO, staging: Duration::ZERO };

/// A catalog whose connections go through a wire.
async fn wired(place: &Place, patience: Duration) -> (Catalog, Wire) {
    let (server, through) = place.server();
    let wire = Wire::to(server).await;
    let catalog = Catalog::open_within(&through(wire.address), patience).await.unwrap();
    (catalog, wire)
}

async fn a_server_that_comes_back_is_waited_for(place: Place) {
    let (catalog, wire) = wired(&place, Duration::from_secs(20)).await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    for round in 0..3 {
        wire.down();
        let back = async {
            wire.turned_away(2).await;
            wire.up();
        };
        let new = segment(round * 10, round * 10 + 10, "a");
        let ((), landed, read) = tokio::join!(back, land(&catalog, &new), catalog.next_offset(TOPIC, 0));
        landed.unwrap();
        read.unwrap();
    }
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 30);
}

async fn connections_that_broke_meanwhile_are_replaced(place: Place) {
    let (catalog, wire) = wired(&place, Duration::from_secs(20)).await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    for round in 0..5 {
        land(&catalog, &segment(round * 10, round * 10 + 10, "a")).await.unwrap();
        wire.down();
        wire.up();
    }
    let mut session = place.session().await;
    let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND application_name = current_setting('application_name')";
    for round in 5..10 {
        session.execute(all).await.unwrap();
        land(&catalog, &segment(round * 10, round * 10 + 10, "a")).await.unwrap();
    }
    assert_eq!(catalog.segments(TOPIC).await.unwrap().len(), 10);
}

async fn what_was_committed_is_recognised_although_the_answer_was_lost(place: Place) {
    let (catalog, wire) = wired(&place, Duration::from_secs(20)).await;
    let lose = || {
        assert!(!wire.is_to_lose(), "the last answer was not lost");
        wire.lose_answer_to(b"COMMIT");
    };
    lose();
    assert_eq!(catalog.init_partition(TOPIC, 0, 5).await.unwrap(), 5);
    for (start, end) in [(5, 10), (10, 20), (20, 30)] {
        let new = segment(start, end, "a");
        let paths: Vec<_> = new.paths().map(|path| (path, 1)).collect();
        lose();
        catalog.stage(&paths, None).await.unwrap();
        lose();
        catalog.record_segment(&new).await.unwrap();
    }
    let old = catalog.segments_in(TOPIC, 0, OffsetRange::new(5, 20)).await.unwrap();
    let new = Segment { dead: 2, ..segment(5, 20, "b") };
    stage(&catalog, paths_of(&new)).await;
    lose();
    catalog.replace_segments(&old, &new).await.unwrap();
    lose();
    catalog.give_up(&["segments/5-10-a", "segments/5-20-b"]).await.unwrap();
    lose();
    catalog.take_garbage(NONE, 10).await.unwrap();
    let deleting = catalog.deleting(10).await.unwrap();
    assert_eq!(deleting.len(), 4);
    lose();
    catalog.deleted(&deleting).await.unwrap();
    lose();
    let gap = OffsetRange::new(30, 40);
    let gap = Gap { topic: TOPIC.to_owned(), partition: 0, range: gap, why: String::new(), noted_ms: 1 };
    catalog.record_gap(&gap).await.unwrap();

    lose();
    let run = catalog.start_run(&new_run("a")).await.unwrap();
    let started = catalog.runs(10).await.unwrap();
    assert_eq!(started, std::slice::from_ref(&run));
    assert_eq!(catalog.next_generation_number().await.unwrap(), Generation(1));
    let first = generation(1, run.id, &["f1"]);
    stage(&catalog, vec!["f1".to_owned(), first.manifest_path.clone()]).await;
    lose();
    catalog.publish(&first, Generation(0)).await.unwrap();
    let second = catalog.start_run(&new_run("a")).await.unwrap();
    publish_as(&catalog, &generation(2, second.id, &["f2"]), Generation(1)).await.unwrap();
    lose();
    catalog.rollback(Generation(1), Generation(2)).await.unwrap();
    lose();
    catalog.retire(Generation(2)).await.unwrap();
    let last = catalog.start_run(&new_run("a")).await.unwrap();
    lose();
    catalog.finish_run(last.id, &RunEnd::Cancelled).await.unwrap();
    lose();
    let before = catalog.next_writer_number().await.unwrap();
    assert!(catalog.next_writer_number().await.unwrap() > before);
    assert!(!wire.is_to_lose());

    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 40);
    assert_eq!(catalog.landed_totals(TOPIC).await.unwrap().rows, 25);
    assert_eq!(catalog.gaps().await.unwrap(), [gap]);
    assert_eq!(catalog.current().await.unwrap().unwrap().generation, Generation(1));
}

async fn a_server_that_stays_away_is_told_of_without_secrets(place: Place) {
    let (catalog, wire) = wired(&place, CATALOG_TIMEOUT).await;
    let away = async |why: &str| {
        let error = catalog.init_partition(TOPIC, 0, 0).await.unwrap_err();
        assert!(matches!(error, CatalogError::Unreachable { .. }) && error.is_transient(), "{why}: {error:?}");
        assert!(error.to_string().contains("does not answer (while trying to set up a partition)"), "{error}");
        assert!(!format!("{error} {error:?} {:?}", catalog.inner).contains(&place.password()), "{error:?}");
    };
    wire.down();
    away("down").await;
    wire.freeze();
    away("frozen").await;
    let (_, through) = place.server();
    let error = Catalog::open_within(&through(wire.address), CATALOG_TIMEOUT).await.unwrap_err();
    assert!(matches!(error, CatalogError::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(&place.password()), "{error:?}");
    wire.up();
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
}

async fn a_process_that_stops_in_the_middle_of_a_change_holds_nobody_up(place: Place) {
    let patient = Duration::from_secs(2);
    let catalog = Catalog::open_within(&place.url(), patient).await.unwrap();
    let rival = Catalog::open_within(&place.url(), patient).await.unwrap();
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    let new = segment(0, 10, "a");
    stage(&catalog, paths_of(&new)).await;
    let stopped = catalog.change("stop").await.unwrap();
    rival.record_segment(&new).await.unwrap();
    let late = stopped.commit().await.unwrap_err();
    assert!(matches!(late, CatalogError::Unreachable { .. }), "{late:?}");
    land(&catalog, &segment(10, 20, "a")).await.unwrap();
}

async fn a_lock_that_somebody_keeps_is_busy_in_bounded_time(place: Place) {
    let catalog = Catalog::open_within(&place.url(), CATALOG_TIMEOUT).await.unwrap();
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    let mut session = place.session().await;
    let mut other = session.begin().await.unwrap();
    other.execute("SELECT value FROM counters FOR UPDATE").await.unwrap();
    let busy = catalog.record_segment(&segment(0, 10, "a")).await.unwrap_err();
    assert!(matches!(busy, CatalogError::Busy { .. }) && busy.is_transient(), "{busy:?}");
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 0, "readers are not kept out");
    other.rollback().await.unwrap();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
}

async fn who_may_not_is_told_what_to_check(place: Place) {
    let url = place.url();
    for wrong in [url.replace(&place.password(), "secret"), url.replace("/postgres?", "/no_such_database?")] {
        assert_ne!(wrong, url);
        let error = Catalog::open(&wrong).await.unwrap_err();
        assert!(matches!(error, CatalogError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains("check the user and password, the database's name"), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

on_postgres! {
    a_server_that_comes_back_is_waited_for,
    connections_that_broke_meanwhile_are_replaced,
    what_was_committed_is_recognised_although_the_answer_was_lost,
    a_server_that_stays_away_is_told_of_without_secrets,
    a_process_that_stops_in_the_middle_of_a_change_holds_nobody_up,
    a_lock_that_somebody_keeps_is_busy_in_bounded_time,
    who_may_not_is_told_what_to_check,
}
