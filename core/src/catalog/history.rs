//! History: ended runs, their drifts and their retired generations. The catalog forgets the oldest of them.

use super::statement::Statement;
use super::{Catalog, CatalogError};

impl Catalog {
    /// Forgets runs, their drifts and their retired generations, except the newest `keep` runs and those whose
    /// generation is kept. Returns the number of runs forgotten.
    pub async fn forget_history(&self, keep: u32) -> Result<u64, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("forget old runs").await?;
            let keep = i64::from(keep);
            change.execute(Statement::new(include_str!("sql/history_drifts.sql")).bind(keep)).await?;
            change.execute(Statement::new(include_str!("sql/history_generations.sql")).bind(keep)).await?;
            let forgotten = change.execute(Statement::new(include_str!("sql/history_runs.sql")).bind(keep)).await?;
            change.commit().await?;
            Ok(forgotten)
        })
        .await
    }
}
