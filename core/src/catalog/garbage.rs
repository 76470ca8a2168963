//! Garbage: objects nothing refers to any more, kept for a while because a reader may still be at them.

use super::connection::Change;
use super::statement::Statement;
use super::{Catalog, CatalogError};

impl Catalog {
    /// Paths of objects that became garbage before `ms`, oldest first.
    pub async fn garbage_before(&self, ms: i64) -> Result<Vec<String>, CatalogError> {
        let select = Statement::new(include_str!("sql/garbage_before.sql"));
        self.read_all("list garbage", select.bind(ms)).await
    }

    /// Forgets a path whose object has been deleted.
    pub async fn forget_garbage(&self, path: &str) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("forget garbage").await?;
            change.execute(Statement::new(include_str!("sql/garbage_forget.sql")).bind(path)).await?;
            change.commit().await
        })
        .await
    }

    /// Notes an object that was written but is not wanted, as by a run that failed or a writer that was fenced.
    /// Returns `false`, and notes nothing, when a segment or a kept generation names it after all: a writer whose
    /// commit went through although its answer was lost would otherwise throw away what it landed.
    pub async fn add_garbage(&self, path: &str, now_ms: i64) -> Result<bool, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("note garbage").await?;
            if self.is_named(&mut change, path).await? {
                return Ok(false);
            }
            add(&mut change, path, now_ms).await?;
            change.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn is_named(&self, change: &mut Change<'_>, path: &str) -> Result<bool, CatalogError> {
        let select = Statement::new(include_str!("sql/segment_names.sql"));
        if change.one(select.bind(path)).await?.is_some_and(|segments: i64| segments > 0) {
            return Ok(true);
        }
        for row in change.all(Statement::new(include_str!("sql/generation_live.sql"))).await? {
            if self.objects(&row)?.contains(path) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(super) async fn add(change: &mut Change<'_>, path: &str, now_ms: i64) -> Result<(), CatalogError> {
    let insert = Statement::new(include_str!("sql/garbage_add.sql"));
    change.execute(insert.bind(path).bind(now_ms)).await?;
    Ok(())
}
