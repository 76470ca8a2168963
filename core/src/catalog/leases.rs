//! Leases: each names the process that does some work for all of them, such as keeping the schedule.
//!
//! A lease avoids double work and proves nothing: its holder may be stopped, and may continue after another process
//! took over. So every change of data compares and sets, as if there were no leases.

use std::time::Duration;

use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError};

/// A lease and its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Name of the holder: a process, unique for ever.
    pub holder: String,
    /// End of the lease by the database's clock, in milliseconds since the Unix epoch.
    pub until_ms: i64,
    /// Grows whenever the lease gets another holder, or the same one after it had passed.
    pub epoch: i64,
}

impl Catalog {
    /// Takes or extends the lease if it is free or held by `holder`; returns the lease as it is afterwards, whoever
    /// holds it. `holder` must never be the name of another process.
    pub async fn hold_lease(&self, name: &'static str, holder: &str, lease: Duration) -> Result<Lease, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("hold a lease").await?;
            let now_ms = change.now_ms().await?;
            let held: Option<Lease> = change.one(get(name)).await?;
            let epoch = match held {
                Some(held) if held.until_ms > now_ms && held.holder != holder => return Ok(held),
                Some(held) if held.until_ms > now_ms => held.epoch,
                Some(held) => held.epoch.saturating_add(1),
                None => 1,
            };
            let held = Lease { holder: holder.to_owned(), until_ms: later(now_ms, lease), epoch };
            let put = Statement::new(include_str!("sql/lease_put.sql"));
            change.execute(put.bind(name).bind(holder).bind(held.until_ms).bind(epoch)).await?;
            change.commit().await?;
            Ok(held)
        })
        .await
    }

    /// Ends the lease at once if `holder` holds it; otherwise it stays as it is.
    pub async fn give_up_lease(&self, name: &'static str, holder: &str) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("give up a lease").await?;
            change.execute(Statement::new(include_str!("sql/lease_give_up.sql")).bind(name).bind(holder)).await?;
            change.commit().await
        })
        .await
    }

    /// The lease, if it has a holder.
    pub async fn lease(&self, name: &'static str) -> Result<Option<Lease>, CatalogError> {
        let now_ms = self.now_ms().await?;
        let held: Option<Lease> = self.read_one("read a lease", get(name)).await?;
        Ok(held.filter(|held| held.until_ms > now_ms))
    }

    /// Ends all leases and runs, for a process that knows that their holders are dead.
    pub async fn end_all_leases(&self) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("end the leases of the dead").await?;
            let now_ms = change.now_ms().await?;
            change.execute(Statement::new(include_str!("sql/run_expire_all.sql")).bind(now_ms)).await?;
            change.execute(Statement::new(include_str!("sql/lease_end_all.sql"))).await?;
            change.execute(Statement::new(include_str!("sql/job_end_all.sql"))).await?;
            change.commit().await
        })
        .await
    }
}

fn get(name: &'static str) -> Statement {
    Statement::new(include_str!("sql/lease_get.sql")).bind(name)
}

/// The time `by` after `ms`.
pub(super) fn later(ms: i64, by: Duration) -> i64 {
    ms.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

impl FromRow for Lease {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { holder: row.get("holder")?, until_ms: row.get("until_ms")?, epoch: row.get("epoch")? })
    }
}
