//! Garbage: objects nothing refers to any more, kept for a while because a reader may still be at them.

use super::connection::Change;
use super::{Catalog, CatalogError};

impl Catalog {
    /// Paths of objects that became garbage before `ms`, oldest first.
    pub async fn garbage_before(&self, ms: i64) -> Result<Vec<String>, CatalogError> {
        let select = sqlx::query_as::<_, (String,)>(include_str!("sql/garbage_before.sql"));
        let rows = self.read_all("list garbage", select.bind(ms)).await?;
        Ok(rows.into_iter().map(|(path,)| path).collect())
    }

    /// Forgets a path whose object has been deleted.
    pub async fn forget_garbage(&self, path: &str) -> Result<(), CatalogError> {
        let mut change = self.change("forget garbage").await?;
        change.execute(sqlx::query(include_str!("sql/garbage_forget.sql")).bind(path)).await?;
        change.commit().await
    }

    /// Notes an object that was written but is not wanted, as by a run that failed or a writer that was fenced.
    /// The caller must be the only one who could have recorded it.
    pub async fn add_garbage(&self, path: &str, now_ms: i64) -> Result<(), CatalogError> {
        let mut change = self.change("note garbage").await?;
        add(&mut change, path, now_ms).await?;
        change.commit().await
    }
}

pub(super) async fn add(change: &mut Change<'_>, path: &str, now_ms: i64) -> Result<(), CatalogError> {
    let insert = sqlx::query(include_str!("sql/garbage_add.sql"));
    change.execute(insert.bind(path).bind(now_ms)).await?;
    Ok(())
}
