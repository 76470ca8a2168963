//! Opening the catalog's database and bringing its tables up to date.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio::sync::watch;

use super::{Catalog, CatalogError, CatalogState, postgres, sqlite};
use crate::clock::Clock;

/// Time for which an operation waits for a lock of another process, or for the server to come back.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(5);

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
