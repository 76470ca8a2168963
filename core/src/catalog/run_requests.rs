//! Requests for incremental runs of all views, kept until a run has covered them; the requester does not wait.

use super::connection::{Change, next};
use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError, Trigger};

/// A requested run: a row of the table `wishes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestedRun {
    /// The reason of the request.
    pub trigger: Trigger,
    /// A new number for each request, because a request made during a run is not covered by that run.
    number: i64,
}

impl Catalog {
    /// Requests a run. Each reason has at most one request, so a repeated call costs nothing.
    pub async fn request_run(&self, trigger: Trigger) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("request a run").await?;
            request(&mut change, trigger).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// The requested runs, oldest first.
    pub async fn requested_runs(&self) -> Result<Vec<RequestedRun>, CatalogError> {
        self.read_all("list the requested runs", Statement::new(include_str!("sql/run_request_list.sql"))).await
    }

    /// Forgets requests that a run has covered, unless they were made again meanwhile.
    pub async fn fulfil(&self, requested: &[RequestedRun]) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("forget requests for runs").await?;
            for request in requested {
                let done = Statement::new(include_str!("sql/run_request_done.sql"));
                change.execute(done.bind(request.trigger.as_str()).bind(request.number)).await?;
            }
            change.commit().await
        })
        .await
    }
}

pub(super) async fn request(change: &mut Change<'_>, trigger: Trigger) -> Result<(), CatalogError> {
    let number = next(change, "wish").await?;
    let put = Statement::new(include_str!("sql/run_request_put.sql")).bind(trigger.as_str()).bind(number);
    change.execute(put).await.map(drop)
}

impl FromRow for RequestedRun {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { trigger: row.parse("started_by", Trigger::parse)?, number: row.get("number")? })
    }
}
