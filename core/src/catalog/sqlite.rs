//! The catalog in a file, for processes on one machine.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::migrations::{bring_up_to_date, migrator};
use super::{CatalogError, Pools};
use crate::clock;

const READERS: u32 = 4;
/// Pause while another process makes the database.
const OPEN_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Opens the file, creating it and its folder when absent. Returns its name for errors, and its connections.
pub(super) async fn open(
    options: SqliteConnectOptions,
    in_memory: bool,
    busy: Duration,
) -> Result<(String, Pools), CatalogError> {
    let options = options
        .create_if_missing(true)
        .busy_timeout(busy)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit that was answered survives a loss of power.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    if !in_memory {
        create_folder(options.get_filename())?;
    }
    let name = options.get_filename().display().to_string();
    // A new database is switched to its write-ahead log without waiting for other processes that do the same.
    let give_up = clock::now_monotonic() + busy;
    loop {
        match connect(&name, &options, busy, in_memory).await {
            Err(CatalogError::Busy { .. }) if clock::now_monotonic() < give_up => {
                clock::sleep(OPEN_RETRY_PAUSE).await;
            }
            opened => return opened.map(|pools| (name, pools)),
        }
    }
}

/// Parses a URL `sqlite:FILE` or `sqlite::memory:`; returns whether it is the latter.
pub(super) fn parse(url: &str) -> Option<(SqliteConnectOptions, bool)> {
    let options = SqliteConnectOptions::from_str(url).ok()?;
    Some((options, url.contains(":memory:")))
}

async fn connect(
    name: &str,
    options: &SqliteConnectOptions,
    busy: Duration,
    in_memory: bool,
) -> Result<Pools, CatalogError> {
    // Twice the lock's time limit: time to queue behind one writer that waits in vain.
    let pool = |size| {
        let pool = SqlitePoolOptions::new().max_connections(size).acquire_timeout(busy * 2);
        // A database in memory lives as long as its connection.
        if in_memory { pool.min_connections(1).idle_timeout(None).max_lifetime(None) } else { pool }
    };
    let writer = pool(1).connect_with(options.clone()).await;
    let writer = writer.map_err(|e| CatalogError::from_sqlx(name, "open it", e))?;
    migrate(&writer, name).await?;
    let readers = if in_memory { writer.clone() } else { pool(READERS).connect_lazy_with(options.clone()) };
    Ok(Pools::Sqlite { writer, readers })
}

/// Migrates in one transaction, so that two processes that start at once migrate one after the other.
async fn migrate(writer: &SqlitePool, name: &str) -> Result<(), CatalogError> {
    let failed = |e| bring_up_to_date(name, e);
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(|e| failed(e.into()))?;
    migrator().run(&mut *transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(|e| failed(e.into()))
}

fn create_folder(file: &Path) -> Result<(), CatalogError> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let unopenable =
        |e: std::io::Error| CatalogError::Unopenable { name: file.display().to_string(), source: e.into() };
    std::fs::create_dir_all(folder).map_err(unopenable)
}
