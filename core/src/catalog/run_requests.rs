//! Requests for incremental runs of all views, kept until a run has covered them; the requester does not wait.

use super::connection::{Change, next};
use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError, Trigger};

/// A requested run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The reason.
    pub trigger: Trigger,
    /// A new number for each request, because a request made during a run is not covered by that run.
    number: i64,
}

impl Catalog {
    /// Requests a run. Each reason has at most one request, so a repeated call costs nothing.
    pub async fn want_run(&self, trigger: Trigger) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("ask for a run").await?;
            want(&mut change, trigger).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// The requested runs, oldest first.
    pub async fn wishes(&self) -> Result<Vec<Wish>, CatalogError> {
        self.read_all("list the runs that are wanted", Statement::new(include_str!("sql/wish_list.sql"))).await
    }

    /// Forgets requests that a run has covered, unless they were made again meanwhile.
    pub async fn fulfil(&self, wishes: &[Wish]) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("forget runs that were wanted").await?;
            for wish in wishes {
                let done = Statement::new(include_str!("sql/wish_done.sql"));
                change.execute(done.bind(wish.trigger.as_str()).bind(wish.number)).await?;
            }
            change.commit().await
        })
        .await
    }
}

pub(super) async fn want(change: &mut Change<'_>, trigger: Trigger) -> Result<(), CatalogError> {
    let number = next(change, "wish").await?;
    let put = Statement::new(include_str!("sql/wish_put.sql")).bind(trigger.as_str()).bind(number);
    change.execute(put).await.map(drop)
}

impl FromRow for Wish {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { trigger: row.parse("started_by", Trigger::parse)?, number: row.get("number")? })
    }
}
