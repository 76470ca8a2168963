//! Wishes: incremental runs of all views that somebody asked for without waiting, kept until a run has covered them.

use super::connection::Change;
use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError, Trigger, counters};

/// A run that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub trigger: Trigger,
    /// Another one each time it is asked for: what was asked for during a run is not covered by it.
    number: i64,
}

impl Catalog {
    /// Asks for a run. There is at most one wish for each reason, so asking again costs nothing.
    pub async fn want_run(&self, trigger: Trigger) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("ask for a run").await?;
            want(&mut change, trigger).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// The runs that are wanted, oldest first.
    pub async fn wishes(&self) -> Result<Vec<Wish>, CatalogError> {
        self.read_all("list the runs that are wanted", Statement::new(include_str!("sql/wish_list.sql"))).await
    }

    /// Forgets wishes that a run has covered, unless they were made again meanwhile.
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
    let number = counters::next(change, "wish").await?;
    let put = Statement::new(include_str!("sql/wish_put.sql")).bind(trigger.as_str()).bind(number);
    change.execute(put).await.map(drop)
}

impl FromRow for Wish {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { trigger: row.parse("started_by", Trigger::parse)?, number: row.get("number")? })
    }
}
