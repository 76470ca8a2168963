//! Numbers that are handed out once, so that objects left by a dead process never share a number with later ones.

use crate::name::Generation;

use super::connection::{Change, next};
use super::statement::Statement;
use super::{Catalog, CatalogError};

impl Catalog {
    /// The next generation number: greater than every number handed out before, published or not.
    pub async fn next_generation_number(&self) -> Result<Generation, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("take a generation's number").await?;
            let number = next(&mut change, "generation").await?;
            change.commit().await?;
            Ok(Generation(number.unsigned_abs()))
        })
        .await
    }

    /// A number that no other writer of objects ever gets; it is part of the paths that the writer uses.
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

/// The last number that a counter handed out.
pub(super) async fn get(change: &mut Change<'_>, counter: &'static str) -> Result<i64, CatalogError> {
    let select = Statement::new(include_str!("sql/counter_get.sql")).bind(counter);
    let missing = || CatalogError::Missing { what: format!("counter `{counter}`") };
    change.one(select).await?.ok_or_else(missing)
}
