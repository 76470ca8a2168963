//! A database that another process holds, that cannot be written, or that is none.

use std::time::{Duration, Instant};

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::*;

const PATIENCE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_locked_catalog_is_busy_in_bounded_time_and_works_after() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open_within(&url(&folder), PATIENCE).await.unwrap();
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("catalog.db"));
    let mut other = options.connect().await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();

    let asked = Instant::now();
    let busy = catalog.record_segment(&segment(0, 10, "a")).await.unwrap_err();
    assert!(matches!(busy, CatalogError::Busy { .. }) && busy.is_transient(), "{busy:?}");
    assert!(busy.to_string().contains("catalog.db` is locked by another process"), "{busy}");
    let reopened = Catalog::open_within(&url(&folder), PATIENCE).await.unwrap_err();
    assert!(matches!(reopened, CatalogError::Busy { .. }), "{reopened:?}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 0, "readers are not kept out");

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    catalog.record_segment(&segment(0, 10, "a")).await.unwrap();
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 10);
}

#[tokio::test]
async fn many_open_a_new_catalog_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(&folder);
    let opened = futures::future::join_all((0..4).map(|_| Catalog::open(&url))).await;
    for catalog in opened {
        catalog.unwrap().next_writer_number().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("catalog.db"), "<html>not found</html>".repeat(100)).unwrap();
    let error = Catalog::open(&url(&folder)).await.unwrap_err();
    assert!(matches!(error, CatalogError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("catalog.db` is damaged or no database"), "{error}");
}

#[tokio::test]
async fn a_catalog_of_a_newer_program_is_refused() {
    let (catalog, folder) = catalog().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (999, 'later', TRUE, x'00', 1)";
    sqlx::query(newer).execute(&catalog.inner.writer).await.unwrap();
    let error = Catalog::open(&url(&folder)).await.unwrap_err();
    assert!(matches!(error, CatalogError::Layout { .. }), "{error:?}");
}

#[tokio::test]
async fn places_that_cannot_hold_a_catalog_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let below_a_file = format!("sqlite:{}", folder.path().join("file/catalog.db").display());
    let error = Catalog::open(&below_a_file).await.unwrap_err();
    assert!(matches!(error, CatalogError::Unopenable { .. }), "{error:?}");
    let a_folder = format!("sqlite:{}", folder.path().display());
    let error = Catalog::open(&a_folder).await.unwrap_err();
    assert!(matches!(error, CatalogError::Unopenable { .. }), "{error:?}");
    let error = Catalog::open("postgres://user:secret@host/db").await.unwrap_err();
    assert_eq!(error.to_string(), "catalog `postgres:..` cannot be used: write `sqlite:FILE`");
    let below_a_new_folder = format!("sqlite:{}", folder.path().join("a/b/catalog.db").display());
    Catalog::open(&below_a_new_folder).await.unwrap();
}

#[tokio::test]
async fn a_stored_word_that_is_unknown_is_an_error() {
    let (catalog, _folder) = catalog().await;
    let run = catalog.start_run(&new_run("a", 0)).await.unwrap();
    sqlx::query("UPDATE runs SET started_by = 'whim'").execute(&catalog.inner.writer).await.unwrap();
    let error = catalog.run(run.id).await.unwrap_err();
    assert!(matches!(error, CatalogError::Store { .. }), "{error:?}");
}
