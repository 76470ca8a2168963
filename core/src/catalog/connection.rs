//! Statements on the catalog's connections, so that every error names the database and what was being done.

use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{FromRow, Transaction};

use super::{Catalog, CatalogError};

pub(super) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;
pub(super) type Select<'q, T> = QueryAs<'q, Sqlite, T, SqliteArguments>;

/// A transaction that holds the write lock from its start, so that what it read is still true when it commits.
/// Dropped without a commit, it is rolled back.
pub(super) struct Change<'c> {
    catalog: &'c Catalog,
    doing: &'static str,
    transaction: Transaction<'static, Sqlite>,
}

impl Catalog {
    /// Begins a change; `doing` completes "while trying to ..".
    pub(super) async fn change(&self, doing: &'static str) -> Result<Change<'_>, CatalogError> {
        let begun = self.inner.writer.begin_with("BEGIN IMMEDIATE").await;
        let transaction = begun.map_err(|e| self.failed(doing, e))?;
        Ok(Change { catalog: self, doing, transaction })
    }

    /// All rows of a read that stands alone.
    pub(super) async fn read_all<T>(&self, doing: &'static str, select: Select<'_, T>) -> Result<Vec<T>, CatalogError>
    where
        T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let rows = select.fetch_all(&self.inner.readers).await;
        rows.map_err(|e| self.failed(doing, e))
    }

    /// The row of a read that stands alone, if there is one.
    pub(super) async fn read_one<T>(
        &self,
        doing: &'static str,
        select: Select<'_, T>,
    ) -> Result<Option<T>, CatalogError>
    where
        T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let row = select.fetch_optional(&self.inner.readers).await;
        row.map_err(|e| self.failed(doing, e))
    }

    pub(super) fn failed(&self, doing: &'static str, error: sqlx::Error) -> CatalogError {
        CatalogError::from_sqlx(self.name(), doing, error)
    }

    pub(super) fn damaged(&self, what: impl Into<String>, detail: impl ToString) -> CatalogError {
        let (what, detail) = (what.into(), detail.to_string());
        CatalogError::Damaged { name: self.name().to_owned(), what, detail }
    }
}

impl Change<'_> {
    /// Runs a statement; returns how many rows it touched.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, CatalogError> {
        let done = statement.execute(&mut *self.transaction).await;
        let done = done.map_err(|e| self.catalog.failed(self.doing, e))?;
        Ok(done.rows_affected())
    }

    pub(super) async fn all<T>(&mut self, select: Select<'_, T>) -> Result<Vec<T>, CatalogError>
    where
        T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let rows = select.fetch_all(&mut *self.transaction).await;
        rows.map_err(|e| self.catalog.failed(self.doing, e))
    }

    pub(super) async fn one<T>(&mut self, select: Select<'_, T>) -> Result<Option<T>, CatalogError>
    where
        T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let row = select.fetch_optional(&mut *self.transaction).await;
        row.map_err(|e| self.catalog.failed(self.doing, e))
    }

    /// Makes the change durable.
    pub(super) async fn commit(self) -> Result<(), CatalogError> {
        let Self { catalog, doing, transaction } = self;
        transaction.commit().await.map_err(|e| catalog.failed(doing, e))
    }
}

/// A count as the database stores it.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A stored count; the tables' checks keep it from being negative.
pub(super) fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}
