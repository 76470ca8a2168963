//! Moments at which runs are due. All processes share one schedule: the last moment that was handled is recorded, so
//! that a new leader neither skips a moment nor handles it twice.

use super::connection::Change;
use super::statement::Statement;
use super::{Catalog, CatalogError, RunKind};

/// A moment of the schedule that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The kind of run that is due.
    pub kind: RunKind,
    /// The last moment handled before, as the caller knows it; milliseconds since the Unix epoch.
    pub after_ms: i64,
    /// The moment itself, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

impl Catalog {
    /// The last moment that was handled, in milliseconds since the Unix epoch. The first call records the present as
    /// it.
    pub async fn last_moment(&self, kind: RunKind) -> Result<i64, CatalogError> {
        if let Some(last) = self.read_one("read when a run was due", get(kind)).await? {
            return Ok(last);
        }
        self.patiently(|| async {
            let mut change = self.change("begin a schedule").await?;
            let now_ms = change.now_ms().await?;
            change
                .execute(Statement::new(include_str!("sql/moment_begin.sql")).bind(kind.as_str()).bind(now_ms))
                .await?;
            let last = change.one(get(kind)).await?.unwrap_or(now_ms);
            change.commit().await?;
            Ok(last)
        })
        .await
    }

    /// Records that a moment was handled without a run, unless another process has handled it meanwhile.
    pub async fn keep_moment(&self, moment: &Moment) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("keep a schedule").await?;
            keep(&mut change, moment).await?;
            change.commit().await
        })
        .await
    }

    /// Forgets the moments of a kind of run that has no schedule; a later schedule begins anew.
    pub async fn forget_moments(&self, kind: RunKind) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("end a schedule").await?;
            change.execute(Statement::new(include_str!("sql/moment_forget.sql")).bind(kind.as_str())).await?;
            change.commit().await
        })
        .await
    }
}

/// Records the moment as handled; returns whether the caller was the first.
pub(super) async fn keep(change: &mut Change<'_>, moment: &Moment) -> Result<bool, CatalogError> {
    let update = Statement::new(include_str!("sql/moment_keep.sql")).bind(moment.kind.as_str());
    Ok(change.execute(update.bind(moment.after_ms).bind(moment.at_ms)).await? == 1)
}

fn get(kind: RunKind) -> Statement {
    Statement::new(include_str!("sql/moment_get.sql")).bind(kind.as_str())
}
