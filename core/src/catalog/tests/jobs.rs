//! Stream jobs: one process at a time, checkpoints that only it records, and the switch of readers.

use super::*;
use crate::name::JobName;
use crate::offsets::Offsets;

const LONG_LEASE: Duration = Duration::from_secs(100);

fn job(name: &str) -> JobName {
    JobName::parse(name).unwrap()
}

fn starts() -> JobStarts {
    [(TOPIC.to_owned(), [(0, 5), (3, 7)].into_iter().collect::<Offsets>())].into()
}

async fn lease_of(catalog: &Catalog, name: &str, holder: &str) -> JobLease {
    catalog.hold_job(&job(name), holder, "http://a", LONG_LEASE).await.unwrap().expect("the lease is free")
}

/// Stages and records a checkpoint with these files, of which two are kept.
async fn checkpoint(catalog: &Catalog, lease: &JobLease, files: &[&str]) -> Result<Generation, CatalogError> {
    let number = catalog.next_generation_number().await.unwrap();
    let PublishedGeneration { manifest_path, manifest, .. } = generation(number.0, 0, files);
    let mut paths: Vec<String> = files.iter().map(ToString::to_string).collect();
    paths.push(manifest_path.clone());
    stage(catalog, paths).await;
    catalog.record_checkpoint(lease, number, &manifest_path, &manifest, 2).await?;
    Ok(number)
}

async fn a_job_has_one_definition(place: Place) {
    let catalog = place.open().await;
    assert_eq!(catalog.current_job().await.unwrap().job, None);
    assert!(catalog.create_job(&job("main"), "sql", &starts()).await.unwrap());
    assert!(!catalog.create_job(&job("main"), "sql", &starts()).await.unwrap(), "the same again");
    let other = catalog.create_job(&job("main"), "other", &starts()).await;
    assert!(matches!(other, Err(CatalogError::JobExists { .. })), "{other:?}");
    let other = catalog.create_job(&job("main"), "sql", &JobStarts::new()).await;
    assert!(matches!(other, Err(CatalogError::JobExists { .. })), "{other:?}");
    let jobs = catalog.jobs().await.unwrap();
    assert_eq!((jobs.len(), jobs[0].pipeline.as_str(), &jobs[0].starts), (1, "sql", &starts()));
    assert_eq!(catalog.current_job().await.unwrap().job, Some(job("main")), "the first one is current at once");
}

async fn one_process_runs_a_job_and_records_its_checkpoints(place: Place) {
    let (catalog, other) = (place.open().await, place.open().await);
    catalog.create_job(&job("main"), "sql", &starts()).await.unwrap();
    let first = lease_of(&catalog, "main", "a").await;
    assert_eq!(other.hold_job(&job("main"), "b", "", LONG_LEASE).await.unwrap(), None);
    assert_eq!(lease_of(&catalog, "main", "a").await, first, "a renewal");
    checkpoint(&catalog, &first, &["f1"]).await.unwrap();

    execute(&catalog, "UPDATE jobs SET until_ms = 1").await;
    assert_eq!(lease_of(&catalog, "main", "a").await, first, "nobody has taken it in between");
    execute(&catalog, "UPDATE jobs SET until_ms = 1").await;
    let second = lease_of(&other, "main", "b").await;
    assert!(second.epoch > first.epoch);
    let late = checkpoint(&catalog, &first, &["f2"]).await;
    assert!(matches!(late, Err(CatalogError::JobLost { .. })), "{late:?}");
    catalog.give_up_job(&first).await.unwrap();
    assert_eq!(catalog.hold_job(&job("main"), "a", "", LONG_LEASE).await.unwrap(), None, "it was not a's to give up");
    checkpoint(&other, &second, &["f3"]).await.unwrap();
    other.give_up_job(&second).await.unwrap();
    assert!(lease_of(&catalog, "main", "a").await.epoch > second.epoch);
}

async fn checkpoints_beyond_the_kept_ones_are_garbage(place: Place) {
    let catalog = place.open().await;
    catalog.create_job(&job("main"), "sql", &starts()).await.unwrap();
    let lease = lease_of(&catalog, "main", "a").await;
    let first = checkpoint(&catalog, &lease, &["same", "f1"]).await.unwrap();
    let second = checkpoint(&catalog, &lease, &["same", "f2"]).await.unwrap();
    let third = checkpoint(&catalog, &lease, &["same", "f3"]).await.unwrap();
    let kept: Vec<Generation> = catalog.checkpoints().await.unwrap().iter().map(|of| of.number).collect();
    assert_eq!(kept, [third, second]);
    assert_eq!(catalog.last_checkpoint(&job("main")).await.unwrap().unwrap().number, third);
    let manifest = |number: Generation| format!("generations/{number}/manifest.json");
    assert_eq!(paths(&catalog, ObjectState::Garbage).await, ["f1".to_owned(), manifest(first)]);
    let live = vec!["f2".to_owned(), "f3".to_owned(), manifest(second), manifest(third), "same".to_owned()];
    assert_eq!(paths(&catalog, ObjectState::Live).await, live);
    assert_eq!(recorded(&catalog).await, live);

    let refused = catalog.remove_job(&job("main")).await;
    assert!(matches!(refused, Err(CatalogError::JobCurrent { .. })), "{refused:?}");
    catalog.create_job(&job("next"), "sql", &starts()).await.unwrap();
    catalog.switch_job(&job("next")).await.unwrap();
    catalog.remove_job(&job("main")).await.unwrap();
    assert!(paths(&catalog, ObjectState::Live).await.is_empty());
    let late = checkpoint(&catalog, &lease, &["f4"]).await;
    assert!(matches!(late, Err(CatalogError::JobLost { .. })), "{late:?}");
}

async fn readers_are_switched_and_go_back(place: Place) {
    let catalog = place.open().await;
    for name in ["main", "next"] {
        catalog.create_job(&job(name), name, &JobStarts::new()).await.unwrap();
    }
    let unknown = catalog.switch_job(&job("none")).await;
    assert!(matches!(unknown, Err(CatalogError::Missing { .. })), "{unknown:?}");
    let of = |current: CurrentJob| (current.job.unwrap().to_string(), current.previous.map(|job| job.to_string()));
    assert_eq!(of(catalog.switch_job(&job("next")).await.unwrap()), ("next".to_owned(), Some("main".to_owned())));
    assert_eq!(of(catalog.switch_job(&job("next")).await.unwrap()), ("next".to_owned(), Some("main".to_owned())));
    assert_eq!(of(catalog.switch_job(&job("main")).await.unwrap()), ("main".to_owned(), Some("next".to_owned())));
    catalog.remove_job(&job("next")).await.unwrap();
    assert_eq!(of(catalog.current_job().await.unwrap()), ("main".to_owned(), None));
}

on_each_database! {
    a_job_has_one_definition,
    one_process_runs_a_job_and_records_its_checkpoints,
    checkpoints_beyond_the_kept_ones_are_garbage,
    readers_are_switched_and_go_back,
}
