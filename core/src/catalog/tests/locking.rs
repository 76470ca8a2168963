//! A file that another process holds, that cannot be written, or that is no database.

use std::time::{Duration, Instant};

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use super::*;

fn url(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("catalog.db").display())
}

const CATALOG_TIMEOUT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_locked_catalog_is_busy_in_bounded_time_and_works_after() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open_within(&url(&folder), CATALOG_TIMEOUT).await.unwrap();
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("catalog.db"));
    let mut other = options.connect().await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();

    let asked = Instant::now();
    let busy = catalog.record_segment(&segment(0, 10, "a")).await.unwrap_err();
    assert!(matches!(busy, CatalogError::Busy { .. }) && busy.is_transient(), "{busy:?}");
    assert!(busy.to_string().contains("catalog.db` is locked by another process"), "{busy}");
    let reopened = Catalog::open_within(&url(&folder), CATALOG_TIMEOUT).await.unwrap_err();
    assert!(matches!(reopened, CatalogError::Busy { .. }), "{reopened:?}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 0, "readers are not kept out");

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 10);
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
async fn places_that_cannot_hold_a_catalog_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let below_a_file = format!("sqlite:{}", folder.path().join("file/catalog.db").display());
    let error = Catalog::open(&below_a_file).await.unwrap_err();
    assert!(matches!(error, CatalogError::Unopenable { .. }), "{error:?}");
    let a_folder = format!("sqlite:{}", folder.path().display());
    let error = Catalog::open(&a_folder).await.unwrap_err();
    assert!(matches!(error, CatalogError::Unopenable { .. }), "{error:?}");
    let error = Catalog::open("mysql://user:secret@host/db").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "catalog `mysql:..` cannot be used: write `sqlite:FILE` or `postgres://HOST/DATABASE`"
    );
    let below_a_new_folder = format!("sqlite:{}", folder.path().join("a/b/catalog.db").display());
    Catalog::open(&below_a_new_folder).await.unwrap();
}

async fn a_catalog_of_a_newer_program_is_refused(place: Place) {
    let catalog = place.open().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        SELECT 999, 'later', TRUE, checksum, 1 FROM _sqlx_migrations WHERE version = 1";
    execute(&catalog, newer).await;
    for _ in 0..2 {
        let error = Catalog::open(&place.url()).await.unwrap_err();
        assert!(matches!(error, CatalogError::Layout { .. }), "{error:?}");
    }
}

async fn a_stored_word_that_is_unknown_is_an_error(place: Place) {
    let catalog = place.open().await;
    let run = catalog.start_run(&new_run("a")).await.unwrap();
    execute(&catalog, "UPDATE runs SET started_by = 'whim'").await;
    let error = catalog.run(run.id).await.unwrap_err();
    assert!(matches!(error, CatalogError::Store { .. }), "{error:?}");
}

on_each_database! {
    a_catalog_of_a_newer_program_is_refused,
    a_stored_word_that_is_unknown_is_an_error,
}
