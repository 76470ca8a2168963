//! Opening the catalog's database and bringing its tables up to date.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlSafeStr, SqlitePool};
use tokio::sync::watch;

use super::{Catalog, CatalogError, Inner};

/// How long a statement waits for another process to let go of the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

/// Every migration, in order: the binary needs no files.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "catalog", include_str!("../../../migrations/0001_catalog.sql"))];

impl Catalog {
    /// Opens the catalog at `sqlite:FILE` or `sqlite::memory:`, creating the file and its folder when absent, and
    /// migrates it. A database that another process keeps locked is [`CatalogError::Busy`] after some seconds.
    pub async fn open(url: &str) -> Result<Self, CatalogError> {
        Self::open_within(url, BUSY_TIMEOUT).await
    }

    pub(super) async fn open_within(url: &str, busy_timeout: Duration) -> Result<Self, CatalogError> {
        let options = options(url)?.busy_timeout(busy_timeout);
        let in_memory = url.contains(":memory:");
        if !in_memory {
            create_folder(options.get_filename())?;
        }
        // A new database is switched to its write-ahead log without waiting for others who do the same.
        let give_up = Instant::now() + busy_timeout;
        loop {
            match connect(&options, busy_timeout, in_memory).await {
                Err(CatalogError::Busy { .. }) if Instant::now() < give_up => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                opened => return opened,
            }
        }
    }
}

async fn connect(options: &SqliteConnectOptions, busy: Duration, in_memory: bool) -> Result<Catalog, CatalogError> {
    let name = options.get_filename().display().to_string();
    let failed = |e| CatalogError::from_sqlx(&name, "open it", e);
    // Twice the lock's patience: time to queue behind one writer that waits in vain.
    let pool = |size| {
        let pool = SqlitePoolOptions::new().max_connections(size).acquire_timeout(busy * 2);
        // A database in memory lives as long as its connection.
        if in_memory { pool.min_connections(1).idle_timeout(None).max_lifetime(None) } else { pool }
    };
    let writer = pool(1).connect_with(options.clone()).await.map_err(failed)?;
    migrate(&writer, &name).await?;
    let readers = if in_memory { writer.clone() } else { pool(READERS).connect_lazy_with(options.clone()) };
    let changes = watch::Sender::new(0);
    let inner = Inner { name, writer, readers, changes };
    Ok(Catalog { inner: Arc::new(inner) })
}

/// One transaction around all of it, so that two processes that start at once migrate one after the other.
async fn migrate(writer: &SqlitePool, name: &str) -> Result<(), CatalogError> {
    let failed = |e| CatalogError::from_sqlx(name, "bring its tables up to date", e);
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let migrated = migrator().run(&mut *transaction).await;
    migrated.map_err(|e| CatalogError::from_migration(name, e))?;
    transaction.commit().await.map_err(failed)
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(number, name, sql)| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.into())
}

fn options(url: &str) -> Result<SqliteConnectOptions, CatalogError> {
    // Only the scheme of another kind of URL is repeated: the rest may hold a password.
    let refused = || CatalogError::Url { url: format!("{}:..", url.split(':').next().unwrap_or_default()) };
    let options = if url.starts_with("sqlite:") { SqliteConnectOptions::from_str(url).ok() } else { None };
    let options = options.ok_or_else(refused)?;
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit that was answered survives a loss of power.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true))
}

fn create_folder(file: &Path) -> Result<(), CatalogError> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let unopenable =
        |e: std::io::Error| CatalogError::Unopenable { name: file.display().to_string(), source: e.into() };
    std::fs::create_dir_all(folder).map_err(unopenable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_of_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name()).collect();
        files.sort();
        let built_in = MIGRATIONS.map(|(number, name, _)| std::ffi::OsString::from(format!("{number:04}_{name}.sql")));
        assert_eq!(files, built_in);
    }
}
