//! Opening the catalog's database and bringing its tables up to date.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use tokio::sync::watch;

use super::{Catalog, CatalogError, CatalogState, postgres, sqlite};
use crate::clock::Clock;

/// Time for which an operation waits for a lock of another process, or for the server to come back.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(5);

/// Every migration, in order: the binary needs no files.
pub(super) const MIGRATIONS: [(i64, &str, &str); 6] = [
    (1, "catalog", include_str!("../../../migrations/0001_catalog.sql")),
    (2, "processes", include_str!("../../../migrations/0002_processes.sql")),
    (3, "addresses", include_str!("../../../migrations/0003_addresses.sql")),
    (4, "objects", include_str!("../../../migrations/0004_objects.sql")),
    (5, "topics", include_str!("../../../migrations/0005_topics.sql")),
    (6, "leases", include_str!("../../../migrations/0006_leases.sql")),
];

impl Catalog {
    /// Opens the catalog and migrates it. The URL is one of:
    ///
    /// | URL | what |
    /// |---|---|
    /// | `sqlite:FILE` | a file, which is created with its folder when absent; `sqlite::memory:` for one in memory |
    /// | `postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE` | a database, which has to be there. What is left out is taken from `PGUSER`, `PGPASSWORD` and so on |
    ///
    /// A database that another process keeps locked for some seconds gives [`CatalogError::Busy`], a server that does
    /// not answer [`CatalogError::Unreachable`].
    ///
    /// # On a crash
    /// Each migration is one transaction. The next process that opens the catalog continues after the last one
    /// committed.
    pub async fn open(url: &str) -> Result<Self, CatalogError> {
        Self::open_within(url, CATALOG_TIMEOUT).await
    }

    /// The same, with leases in a file judged by `clock`. A server judges leases by its own clock.
    pub async fn open_by(url: &str, clock: Clock) -> Result<Self, CatalogError> {
        Self::open_with(url, CATALOG_TIMEOUT, clock).await
    }

    pub(super) async fn open_within(url: &str, patience: Duration) -> Result<Self, CatalogError> {
        Self::open_with(url, patience, Clock::System).await
    }

    async fn open_with(url: &str, patience: Duration, clock: Clock) -> Result<Self, CatalogError> {
        // Only the scheme of a URL is named: the rest may hold a password.
        let scheme = url.split(':').next().unwrap_or_default();
        let refused = || CatalogError::Url { url: format!("{scheme}:..") };
        let (name, pools) = match scheme {
            "sqlite" => {
                let (options, in_memory) = sqlite::parse(url).ok_or_else(refused)?;
                sqlite::open(options, in_memory, patience).await?
            }
            "postgres" | "postgresql" => postgres::open(postgres::parse(url).ok_or_else(refused)?, patience).await?,
            _ => return Err(refused()),
        };
        let inner =
            CatalogState { name, pools, clock, patience, change: AtomicI64::new(0), changes: watch::Sender::new(0) };
        let catalog = Self { inner: Arc::new(inner) };
        catalog.look().await?;
        catalog.know_states().await?;
        Ok(catalog)
    }
}

pub(super) fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(number, name, sql)| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.into())
}

/// The error for tables that could not be brought up to date.
pub(super) fn bring_up_to_date(name: &str, error: MigrateError) -> CatalogError {
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            CatalogError::from_sqlx(name, "bring its tables up to date", source)
        }
        source => CatalogError::Layout { name: name.to_owned(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_of_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name()).collect();
        files.retain(|file| file.to_string_lossy().ends_with(".sql"));
        files.sort();
        let built_in = MIGRATIONS.map(|(number, name, _)| std::ffi::OsString::from(format!("{number:04}_{name}.sql")));
        assert_eq!(files, built_in);
    }
}
