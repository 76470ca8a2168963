//! The ledger: what becomes of an object, and what can become of it no more.

use std::time::Duration;

use sqlx::Executor;

use super::*;

/// Nothing is left alone.
const NONE: Patience = Patience { grace: Duration::ZERO, staging: Duration::ZERO };
const HOUR: Duration = Duration::from_secs(3600);
const PATIENT: Patience = Patience { grace: HOUR, staging: HOUR };

async fn started(place: &Place) -> Catalog {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    catalog
}

/// Deletes what is to be deleted, as from a store that has no objects.
async fn delete(catalog: &Catalog) -> Vec<String> {
    let paths = catalog.deleting(100).await.unwrap();
    catalog.deleted(&paths).await.unwrap();
    paths
}

fn not_staged(error: &CatalogError, of: &str, is: Option<ObjectState>) -> bool {
    matches!(error, CatalogError::NotStaged { path, state } if path == of && *state == is)
}

async fn what_is_not_staged_is_not_recorded(place: Place) {
    let catalog = started(&place).await;
    let new = segment(0, 10, "a");
    let error = catalog.record_segment(&new).await.unwrap_err();
    assert!(not_staged(&error, &new.path, None), "{error}");
    catalog.stage(&[(&new.path, 7)], None).await.unwrap();
    let error = catalog.record_segment(&new).await.unwrap_err();
    assert!(not_staged(&error, "dead/0-10-a", None), "{error}");
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 0);
    assert_eq!(paths(&catalog, ObjectState::Staged).await, ["segments/0-10-a"]);

    catalog.stage(&[("segments/0-10-a", 7), ("dead/0-10-a", 8)], None).await.unwrap();
    catalog.record_segment(&new).await.unwrap();
    let live = catalog.objects().await.unwrap();
    assert!(live.iter().all(|object| object.state == ObjectState::Live && object.recorded_ms == Some(object.since_ms)));
    assert_eq!(live.iter().map(|object| object.bytes).collect::<Vec<_>>(), [Some(8), Some(7)]);
    let again = catalog.stage(&[("dead/0-10-a", 8)], None).await.unwrap_err();
    assert!(not_staged(&again, "dead/0-10-a", Some(ObjectState::Live)), "{again}");
}

async fn what_is_being_deleted_is_not_recorded(place: Place) {
    let catalog = started(&place).await;
    let new = segment(0, 10, "a");
    stage(&catalog, paths_of(&new)).await;
    assert_eq!(catalog.take_garbage(PATIENT, 10).await.unwrap(), 0, "its writer has time");
    assert_eq!(catalog.take_garbage(NONE, 1).await.unwrap(), 1, "not more than asked for");
    assert_eq!(catalog.take_garbage(NONE, 10).await.unwrap(), 1);
    let error = catalog.record_segment(&new).await.unwrap_err();
    assert!(not_staged(&error, &new.path, Some(ObjectState::Deleting)), "{error}");
    assert_eq!(delete(&catalog).await.len(), 2);
    let error = catalog.record_segment(&new).await.unwrap_err();
    assert!(not_staged(&error, &new.path, Some(ObjectState::Deleted)), "{error}");
    assert!(catalog.segments(TOPIC).await.unwrap().is_empty());

    // The same for a compaction and a generation.
    for (start, end) in [(0, 10), (10, 20)] {
        land(&catalog, &segment(start, end, "b")).await.unwrap();
    }
    let old = catalog.segments(TOPIC).await.unwrap();
    let merged = Segment { dead: 2, ..segment(0, 20, "c") };
    let run = catalog.start_run(&new_run("a")).await.unwrap();
    let late = generation(1, run.id, &["f"]);
    catalog
        .stage(&[("segments/0-20-c", 1), ("dead/0-20-c", 1), ("f", 1), (&late.manifest_path, 1)], None)
        .await
        .unwrap();
    execute(&catalog, "UPDATE objects SET state = 'deleting' WHERE path IN ('dead/0-20-c', 'f')").await;
    let error = catalog.publish(&late, Generation(0)).await.unwrap_err();
    assert!(not_staged(&error, "f", Some(ObjectState::Deleting)), "{error}");
    assert_eq!(catalog.run(run.id).await.unwrap().state, RunState::Running, "nothing happened");
    catalog.finish_run(run.id, &RunEnd::Cancelled).await.unwrap();
    let error = catalog.replace_segments(&old, &merged).await.unwrap_err();
    assert!(not_staged(&error, "dead/0-20-c", Some(ObjectState::Deleting)), "{error}");
    assert_eq!(catalog.segments(TOPIC).await.unwrap(), old);
}

async fn what_a_writer_gives_up_is_garbage_unless_it_is_recorded(place: Place) {
    let catalog = started(&place).await;
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    publish(&catalog, 0, &["f1"]).await;
    catalog.give_up(&["segments/0-10-a", "dead/0-10-a", "f1", "generations/1/manifest.json"]).await.unwrap();
    assert!(paths(&catalog, ObjectState::Garbage).await.is_empty(), "recorded after all");
    catalog.stage(&[("b", 1)], None).await.unwrap();
    for _ in 0..2 {
        catalog.give_up(&["b", "never staged"]).await.unwrap();
        assert_eq!(paths(&catalog, ObjectState::Garbage).await, ["b", "never staged"]);
    }
    // Put after it was taken for abandoned, at each step of its end.
    for end in [
        "UPDATE objects SET state = 'deleting' WHERE path = 'b'",
        "UPDATE objects SET state = 'deleted' WHERE path = 'b'",
    ] {
        execute(&catalog, end).await;
        catalog.give_up(&["b"]).await.unwrap();
        // A process that deleted it before changes nothing any more.
        catalog.deleted(&["b".to_owned()]).await.unwrap();
        catalog.forget_deleted(&["b".to_owned()]).await.unwrap();
        assert!(paths(&catalog, ObjectState::Garbage).await.contains(&"b".to_owned()), "{end}");
    }
}

async fn the_grace_begins_when_nothing_names_it_any_more(place: Place) {
    let catalog = started(&place).await;
    let old = [segment(0, 10, "a"), segment(10, 20, "a")];
    for segment in &old {
        land(&catalog, segment).await.unwrap();
    }
    execute(&catalog, "UPDATE objects SET since_ms = since_ms - 10000000").await;
    // The merged segment was made long before it is recorded.
    let merged = Segment { dead: 2, created_ms: 1, ..segment(0, 20, "m") };
    replace(&catalog, &old, &merged).await.unwrap();
    assert_eq!(catalog.take_garbage(PATIENT, 10).await.unwrap(), 0);
    execute(&catalog, "UPDATE objects SET since_ms = since_ms - 3600000").await;
    assert_eq!(catalog.take_garbage(PATIENT, 10).await.unwrap(), 4);
    assert_eq!(delete(&catalog).await.len(), 4);
    assert_eq!(states(&catalog).await, [("dead/0-20-m".to_owned(), "live"), ("segments/0-20-m".to_owned(), "live")]);
}

async fn what_a_living_run_may_read_stays(place: Place) {
    let catalog = started(&place).await;
    let old = [segment(0, 10, "a"), segment(10, 20, "a")];
    for segment in &old {
        land(&catalog, segment).await.unwrap();
    }
    let run = catalog.start_run(&NewRun { cuts: BTreeMap::new(), ..new_run("a") }).await.unwrap();
    catalog.stage(&[("its state", 1)], Some(run.id)).await.unwrap();
    replace(&catalog, &old, &Segment { dead: 2, ..segment(0, 20, "m") }).await.unwrap();
    assert_eq!(catalog.take_garbage(NONE, 10).await.unwrap(), 0, "neither what it reads nor what it writes");
    expire(&catalog, "runs").await;
    assert_eq!(catalog.take_garbage(NONE, 10).await.unwrap(), 5, "it gave no sign of life");
    assert_eq!(catalog.run(run.id).await.unwrap().state, RunState::Failed, "so it cannot publish any more");
}

async fn what_was_never_recorded_is_deleted_once_more(place: Place) {
    let catalog = started(&place).await;
    catalog.stage(&[("a", 1)], None).await.unwrap();
    catalog.take_garbage(NONE, 10).await.unwrap();
    assert_eq!(delete(&catalog).await, ["a"]);
    assert_eq!(states(&catalog).await, [("a".to_owned(), "deleted")]);
    assert!(catalog.deleted_long_ago(10).await.unwrap().is_empty());
    assert_eq!(catalog.deleted_lately(10).await.unwrap(), ["a"]);
    execute(&catalog, "UPDATE objects SET since_ms = since_ms - 86400001").await;
    assert_eq!(catalog.deleted_long_ago(10).await.unwrap(), ["a"]);
    catalog.forget_deleted(&["a".to_owned()]).await.unwrap();
    assert!(catalog.objects().await.unwrap().is_empty());
}

async fn of_two_collectors_and_a_writer_one_has_its_way(place: Place) {
    let catalogs = [place.open().await, place.open().await, place.open().await];
    catalogs[0].init_partition(TOPIC, 0, 0).await.unwrap();
    for round in 0..20 {
        let next = catalogs[0].next_offset(TOPIC, 0).await.unwrap();
        let new = segment(next, next + 10, &round.to_string());
        stage(&catalogs[0], paths_of(&new)).await;
        let collect = async |catalog: &Catalog| {
            let taken = catalog.take_garbage(NONE, 10).await.unwrap();
            delete(catalog).await;
            taken
        };
        let (landed, one, other) =
            tokio::join!(catalogs[0].record_segment(&new), collect(&catalogs[1]), collect(&catalogs[2]));
        assert_eq!(landed.is_ok(), one + other == 0, "{landed:?} {one} {other}");
        let live = paths(&catalogs[0], ObjectState::Live).await;
        assert_eq!(live, recorded(&catalogs[0]).await);
    }
}

/// Brings the tables back to where migration 3 left them, with what a program of that time had written.
async fn as_it_was_before(catalog: &Catalog) {
    for statement in [
        "CREATE TABLE garbage (path TEXT NOT NULL PRIMARY KEY, since_ms BIGINT NOT NULL)",
        "INSERT INTO garbage (path, since_ms) VALUES ('old', 5)",
        "DROP TABLE objects",
        "DELETE FROM counters WHERE name IN ('states_known', 'store_listed')",
        "DELETE FROM _sqlx_migrations WHERE version = 4",
    ] {
        execute(catalog, statement).await;
    }
}

async fn a_catalog_from_before_the_ledger_gets_one(place: Place) {
    let catalog = started(&place).await;
    assert!(catalog.knows_the_store().await.unwrap(), "a new one has nothing to find");
    catalog.next_writer_number().await.unwrap();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    publish(&catalog, 0, &["f1", "carried"]).await;
    publish(&catalog, 1, &["f2", "carried"]).await;
    publish(&catalog, 2, &["f3"]).await;
    catalog.retire(Generation(1)).await.unwrap();
    as_it_was_before(&catalog).await;
    catalog.close().await;

    let (catalog, other) = tokio::join!(place.open(), place.open());
    let live = paths(&catalog, ObjectState::Live).await;
    assert_eq!(live, recorded(&catalog).await);
    assert!(live.contains(&"carried".to_owned()) && live.len() == 7, "{live:?}");
    assert_eq!(paths(&catalog, ObjectState::Garbage).await, ["old"]);

    assert!(!catalog.knows_the_store().await.unwrap());
    catalog.stage(&[("staged", 1)], None).await.unwrap();
    let found = ["f3", "f1", "old", "staged", "unknown"].map(|path| (path.to_owned(), 1));
    assert_eq!(other.note_found(&found).await.unwrap(), 2);
    assert_eq!(paths(&catalog, ObjectState::Garbage).await, ["f1", "old", "unknown"]);
    assert!(catalog.knows_the_store().await.unwrap() && other.knows_the_store().await.unwrap());
}

async fn the_time_is_the_databases(place: Place) {
    let catalog = Catalog::open_by(&place.url(), Clock::manual(5)).await.unwrap();
    let now_ms = catalog.now_ms().await.unwrap();
    match &place {
        Place::Sqlite(_) => assert_eq!(now_ms, 5),
        Place::Postgres { .. } => {
            let mut session = place.session().await;
            session.execute("SELECT pg_sleep(0.002)").await.unwrap();
            let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
            let later: i64 = sqlx::query_scalar(sql).fetch_one(&mut session).await.unwrap();
            assert!(now_ms < later && later < now_ms + 60_000, "{now_ms} {later}");
        }
    }
}

on_each_database! {
    what_is_not_staged_is_not_recorded,
    what_is_being_deleted_is_not_recorded,
    what_a_writer_gives_up_is_garbage_unless_it_is_recorded,
    the_grace_begins_when_nothing_names_it_any_more,
    what_a_living_run_may_read_stays,
    what_was_never_recorded_is_deleted_once_more,
    of_two_collectors_and_a_writer_one_has_its_way,
    a_catalog_from_before_the_ledger_gets_one,
    the_time_is_the_databases,
}
