//! Each operation against a real database, alone and against a rival: on SQLite always, on PostgreSQL when
//! `DOVETAIL_TEST_POSTGRES` names a server (`eval "$(dev/postgres up)"`).

#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]

mod away;
mod compaction;
mod gaps;
mod generations;
mod jobs;
mod landing;
mod leases;
mod locking;
mod members;
mod objects;
mod place;
mod property;
mod races;
mod restarts;
mod runs;
mod tables;
mod topics;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::manifest::{LeftOut, Manifest, StateFile, ViewStates};
use crate::name::{Generation, StreamName, ViewName};
use crate::offsets::{Cut, OffsetRange};

use super::*;

use self::place::{Place, on_each_database, on_postgres};

const TOPIC: &str = "clicks";

/// A segment of partition 0 whose path is its writer's own.
fn segment(start: i64, end: i64, writer: &str) -> Segment {
    Segment {
        topic: TOPIC.to_owned(),
        partition: 0,
        range: OffsetRange::new(start, end),
        path: format!("segments/{start}-{end}-{writer}"),
        rows: (end - start).unsigned_abs(),
        dead: 1,
        dead_path: Some(format!("dead/{start}-{end}-{writer}")),
        bytes: 100,
        schema: "s1".to_owned(),
        first_timestamp_ms: Some(5),
        last_timestamp_ms: None,
        created_ms: 1_000,
    }
}

fn view(name: &str) -> ViewName {
    ViewName::parse(name).unwrap()
}

fn new_run(owner: &str) -> NewRun {
    let cut = Cut([(0, 10), (1, 20)].into_iter().collect());
    NewRun {
        kind: RunKind::Incremental,
        trigger: Trigger::Memory,
        views: vec![view("by_day"), view("by_user")],
        cuts: BTreeMap::from([(StreamName::parse("clicks").unwrap(), cut)]),
        owner: owner.to_owned(),
        lease: Duration::from_secs(100),
        basis: None,
        moment: None,
    }
}

/// A generation whose only view has the given files.
fn generation(number: u64, run_id: i64, files: &[&str]) -> PublishedGeneration {
    let file = |path: &&str| StateFile { path: (*path).to_owned(), bytes: 1, rows: 1 };
    let states = ViewStates {
        fingerprint: "f".to_owned(),
        stream: StreamName::parse("clicks").unwrap(),
        topic: TOPIC.to_owned(),
        cut: Cut::default(),
        rows: 1,
        groups: 1,
        files: files.iter().map(file).collect(),
        deltas: vec![],
        errors: LeftOut::default(),
    };
    let manifest = Manifest {
        generation: Generation(number),
        run_id,
        created_ms: 1,
        engine: "0".to_owned(),
        views: [(view("by_day"), states)].into(),
    };
    PublishedGeneration {
        generation: Generation(number),
        run_id,
        manifest_path: format!("generations/{number}/manifest.json"),
        manifest: manifest.to_json().unwrap(),
        published_ms: 2_000,
        failed: None,
    }
}

/// Announces what is not live yet.
async fn stage(catalog: &Catalog, paths: Vec<String>) {
    for path in paths {
        match catalog.stage(&[(&path, 1)], None).await {
            Ok(()) | Err(CatalogError::NotStaged { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn paths_of(segment: &Segment) -> Vec<String> {
    segment.paths().map(str::to_owned).collect()
}

/// Stages the segment's objects and records it, as a segment writer does that has put them.
async fn land(catalog: &Catalog, segment: &Segment) -> Result<(), CatalogError> {
    stage(catalog, paths_of(segment)).await;
    catalog.record_segment(segment).await
}

/// Announces the objects of `new` and replaces `old` by it.
async fn replace(catalog: &Catalog, old: &[Segment], new: &Segment) -> Result<(), CatalogError> {
    stage(catalog, paths_of(new)).await;
    catalog.replace_segments(old, new).await
}

/// Announces the generation's objects and publishes it.
async fn publish_as(catalog: &Catalog, new: &PublishedGeneration, previous: Generation) -> Result<(), CatalogError> {
    let manifest = Manifest::from_json(&new.manifest).unwrap();
    let mut paths = vec![new.manifest_path.clone()];
    for states in manifest.views.values() {
        paths.extend(states.all_files().map(|file| file.path.clone()));
    }
    stage(catalog, paths).await;
    catalog.publish(new, previous).await
}

/// The state of each object, by path.
async fn states(catalog: &Catalog) -> Vec<(String, &'static str)> {
    let objects = catalog.objects().await.unwrap();
    objects.into_iter().map(|object| (object.path, object.state.as_str())).collect()
}

/// Paths of the objects in one state.
async fn paths(catalog: &Catalog, state: ObjectState) -> Vec<String> {
    let objects = catalog.objects().await.unwrap();
    objects.into_iter().filter(|object| object.state == state).map(|object| object.path).collect()
}

/// The objects that segments and kept generations name.
async fn recorded(catalog: &Catalog) -> Vec<String> {
    catalog.ledger().await.unwrap().1.into_iter().collect()
}

/// Lets the leases of this kind pass, as if their holders had not renewed them.
async fn expire(catalog: &Catalog, table: &'static str) {
    execute(
        catalog,
        match table {
            "runs" => "UPDATE runs SET lease_until_ms = 0 WHERE state = 'running'",
            "members" => "UPDATE members SET lease_until_ms = 0",
            _ => "UPDATE leases SET until_ms = 1",
        },
    )
    .await;
}

async fn execute(catalog: &Catalog, sql: &'static str) {
    let mut change = catalog.change("test").await.unwrap();
    change.execute(Statement::new(sql)).await.unwrap();
    change.commit().await.unwrap();
}

/// Starts a run and publishes the next generation with it.
async fn publish(catalog: &Catalog, previous: u64, files: &[&str]) -> PublishedGeneration {
    let run = catalog.start_run(&new_run("test")).await.unwrap();
    let number = catalog.next_generation_number().await.unwrap();
    let new = generation(number.0, run.id, files);
    publish_as(catalog, &new, Generation(previous)).await.unwrap();
    new
}

async fn what_was_recorded_is_there_after_reopening(place: Place) {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    let published = publish(&catalog, 0, &["f"]).await;
    catalog.close().await;

    let catalog = place.open().await;
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 10);
    assert_eq!(catalog.segments(TOPIC).await.unwrap(), [segment(0, 10, "a")]);
    assert_eq!(catalog.current().await.unwrap().unwrap().manifest, published.manifest);
    assert!(catalog.next_generation_number().await.unwrap() > published.generation);
}

#[tokio::test]
async fn a_catalog_in_memory_works_and_is_its_own() {
    let one = Catalog::open("sqlite::memory:").await.unwrap();
    let other = Catalog::open("sqlite::memory:").await.unwrap();
    one.init_partition(TOPIC, 0, 3).await.unwrap();
    assert_eq!(one.next_offset(TOPIC, 0).await.unwrap(), 3);
    assert!(matches!(other.next_offset(TOPIC, 0).await, Err(CatalogError::Missing { .. })));
}

async fn streams_and_views_are_registered_by_name(place: Place) {
    let catalog = place.open().await;
    let name = StreamName::parse("clicks").unwrap();
    let mut stream = StreamRow { name, topic: "a".to_owned(), schema_fingerprint: "1".to_owned() };
    catalog.register_stream(&stream).await.unwrap();
    stream.topic = "b".to_owned();
    catalog.register_stream(&stream).await.unwrap();
    assert_eq!(catalog.streams().await.unwrap(), [stream]);

    let row = |fingerprint: &str, created_ms| ViewRow {
        name: view("by_day"),
        fingerprint: fingerprint.to_owned(),
        sql: "SELECT 1".to_owned(),
        created_ms,
    };
    catalog.register_view(&row("1", 5)).await.unwrap();
    catalog.register_view(&row("1", 9)).await.unwrap();
    assert_eq!(catalog.views().await.unwrap(), [row("1", 5)], "unchanged, so as old as it was");
    catalog.register_view(&row("2", 9)).await.unwrap();
    assert_eq!(catalog.views().await.unwrap(), [row("2", 9)]);
}

async fn drifts_are_kept_per_run_and_view(place: Place) {
    let catalog = place.open().await;
    let run_id = catalog.start_run(&new_run("test")).await.unwrap().id;
    let drift = |name: &str, drift| drift_of(run_id, name, drift, "sum(x)");
    catalog.record_drift(&drift("by_day", 0.25)).await.unwrap();
    catalog.record_drift(&drift("by_user", f64::NAN)).await.unwrap();
    let found = catalog.drifts(10).await.unwrap();
    assert_eq!(found[0], drift("by_day", 0.25));
    assert!(found[1].drift.is_nan() && found.len() == 2);
}

fn drift_of(run_id: i64, name: &str, drift: f64, detail: &str) -> Drift {
    let (view, detail) = (view(name), detail.to_owned());
    Drift { run_id, generation: Generation(1), view, drift, compared_rows: 7, detail }
}

/// In any order and with repetitions, a comparison is not lost.
async fn the_largest_drift_stays_and_a_comparison_is_never_undone(place: Place) {
    let catalog = place.open().await;
    let rival = place.open().await;
    let run_id = catalog.start_run(&new_run("test")).await.unwrap().id;
    let not = (f64::NAN, "not compared");
    let (equal, small, large) = ((0.0, "equal"), (2.0, "small"), (5.0, "large"));
    let cases = [
        (vec![not, (f64::NAN, "not compared either")], not),
        (vec![not, equal], equal),
        (vec![equal, not], equal),
        (vec![large, not, equal], large),
        (vec![equal, small, large, small, not], large),
        (vec![not, large, small], large),
        (vec![small, (2.0, "as small")], small),
    ];
    for (n, (put, stays)) in cases.into_iter().enumerate() {
        let name = format!("view_{n}");
        for (i, (drift, detail)) in put.into_iter().enumerate() {
            let catalog = if i % 2 == 0 { &catalog } else { &rival };
            catalog.record_drift(&drift_of(run_id, &name, drift, detail)).await.unwrap();
        }
        let found = catalog.drifts(100).await.unwrap().into_iter().find(|drift| drift.view.as_str() == name).unwrap();
        assert_eq!((found.drift.to_bits(), found.detail.as_str()), (stays.0.to_bits(), stays.1), "{name}");
    }
    let all_at_once = (0..20).map(|i| {
        let catalog = if i % 2 == 0 { &catalog } else { &rival };
        let drift = if i % 3 == 0 { f64::NAN } else { f64::from(i) };
        async move { catalog.record_drift(&drift_of(run_id, "at_once", drift, "raced")).await.unwrap() }
    });
    futures::future::join_all(all_at_once).await;
    let found = catalog.drifts(100).await.unwrap().into_iter().find(|drift| drift.view.as_str() == "at_once").unwrap();
    assert_eq!(found.drift, 19.0);
}

async fn numbers_are_handed_out_once(place: Place) {
    let catalog = place.open().await;
    let rival = place.open().await;
    let numbers = futures::future::join_all((0..20).map(|i| {
        let catalog = if i % 2 == 0 { &catalog } else { &rival };
        async { catalog.next_writer_number().await.unwrap() }
    }));
    let mut numbers = numbers.await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}

async fn operations_can_run_on_any_thread(place: Place) {
    fn movable<T: Send>(future: T) -> T {
        future
    }
    let catalog = place.open().await;
    movable(catalog.init_partition(TOPIC, 0, 0)).await.unwrap();
    movable(land(&catalog, &segment(0, 10, "a"))).await.unwrap();
    let run = movable(catalog.start_run(&new_run("a"))).await.unwrap();
    movable(publish_as(&catalog, &generation(1, run.id, &["f"]), Generation(0))).await.unwrap();
    assert!(movable(catalog.retire(Generation(1))).await.is_err());
}

on_each_database! {
    what_was_recorded_is_there_after_reopening,
    streams_and_views_are_registered_by_name,
    drifts_are_kept_per_run_and_view,
    the_largest_drift_stays_and_a_comparison_is_never_undone,
    numbers_are_handed_out_once,
    operations_can_run_on_any_thread,
}
