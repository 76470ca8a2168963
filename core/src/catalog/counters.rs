//! Numbers that are handed out once: whatever a dead process left under one never meets what is written later.

use crate::name::Generation;

use super::connection::Change;
use super::statement::Statement;
use super::{Catalog, CatalogError};

impl Catalog {
    /// A generation number above every one ever handed out, published or not.
    pub async fn next_generation_number(&self) -> Result<Generation, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("take a generation's number").await?;
            let number = next(&mut change, "generation").await?;
            change.commit().await?;
            Ok(Generation(number.unsigned_abs()))
        })
        .await
    }

    /// A number that no other writer of objects has, had or will have: part of the paths it writes to.
    pub async fn next_writer_number(&self) -> Result<i64, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("take a writer's number").await?;
            let number = next(&mut change, "writer").await?;
            change.commit().await?;
            Ok(number)
        })
        .await
    }
}

/// How far a counter is.
pub(super) async fn get(change: &mut Change<'_>, counter: &'static str) -> Result<i64, CatalogError> {
    let select = Statement::new(include_str!("sql/counter_get.sql")).bind(counter);
    let missing = || CatalogError::Missing { what: format!("counter `{counter}`") };
    change.one(select).await?.ok_or_else(missing)
}

/// Takes the next number of a counter.
pub(super) async fn next(change: &mut Change<'_>, counter: &'static str) -> Result<i64, CatalogError> {
    let select = Statement::new(include_str!("sql/counter_next.sql")).bind(counter);
    let missing = || CatalogError::Missing { what: format!("counter `{counter}`") };
    change.one(select).await?.ok_or_else(missing)
}
