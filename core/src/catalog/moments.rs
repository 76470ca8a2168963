//! Moments at which runs are due. There is one schedule, whichever process keeps it: the last moment that was seen
//! to is written down, so that who takes over neither leaves one out nor sees to it twice.

use super::connection::Change;
use super::statement::Statement;
use super::{Catalog, CatalogError, RunKind};

/// A moment that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub kind: RunKind,
    /// The last one that was seen to, as whoever sees to this one knows it.
    pub after_ms: i64,
    pub at_ms: i64,
}

impl Catalog {
    /// The last moment that was seen to. The first one ever is now: what is due is due after it.
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

    /// Notes that a moment was seen to without a run, unless somebody has seen to it meanwhile.
    pub async fn keep_moment(&self, moment: &Moment) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("keep a schedule").await?;
            keep(&mut change, moment).await?;
            change.commit().await
        })
        .await
    }

    /// Forgets when a kind of run was due that has no schedule: one that it gets later begins then.
    pub async fn forget_moments(&self, kind: RunKind) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("end a schedule").await?;
            change.execute(Statement::new(include_str!("sql/moment_forget.sql")).bind(kind.as_str())).await?;
            change.commit().await
        })
        .await
    }
}

/// Returns whether the moment was this caller's to see to.
pub(super) async fn keep(change: &mut Change<'_>, moment: &Moment) -> Result<bool, CatalogError> {
    let update = Statement::new(include_str!("sql/moment_keep.sql")).bind(moment.kind.as_str());
    Ok(change.execute(update.bind(moment.after_ms).bind(moment.at_ms)).await? == 1)
}

fn get(kind: RunKind) -> Statement {
    Statement::new(include_str!("sql/moment_get.sql")).bind(kind.as_str())
}
