//! Statements on the catalog's connections. Every error names the database and the operation.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Postgres, Sqlite};
use tokio::sync::OwnedMutexGuard;
use tracing::warn;

use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError, Pools, postgres};
use crate::backoff::Backoff;
use crate::clock;

/// Pauses while the database is away.
const CATALOG_RETRY_FIRST: Duration = Duration::from_millis(50);
const CATALOG_RETRY_MAX: Duration = Duration::from_secs(1);

/// A transaction that holds the catalog's write lock from its start: changes follow one another, and rows that it has
/// read stay true until it commits. A drop without a commit rolls it back.
pub(super) struct Change<'c> {
    catalog: &'c Catalog,
    doing: &'static str,
    transaction: Transaction,
}

enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>, OwnedMutexGuard<()>),
}

impl Catalog {
    /// Begins a change; `doing` completes "while trying to ..".
    pub(super) async fn change(&self, doing: &'static str) -> Result<Change<'_>, CatalogError> {
        let begin = async {
            Ok(match &self.inner.pools {
                Pools::Sqlite { writer, .. } => Transaction::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
                Pools::Postgres { pool, turn } => {
                    let turn = Arc::clone(turn).lock_owned().await;
                    Transaction::Postgres(postgres::begin(pool).await?, turn)
                }
            })
        };
        let transaction = self.limited(doing, begin).await?;
        Ok(Change { catalog: self, doing, transaction })
    }

    /// Milliseconds since the Unix epoch by the database's clock, which is the same for every process.
    pub async fn now_ms(&self) -> Result<i64, CatalogError> {
        match &self.inner.pools {
            Pools::Sqlite { .. } => Ok(self.inner.clock.now_ms()),
            Pools::Postgres { .. } => {
                let now = self.read_one("ask for the time", postgres::now()).await?;
                now.ok_or_else(no_time)
            }
        }
    }

    /// Reads all rows, outside of a change.
    pub(super) async fn read_all<T: FromRow>(
        &self,
        doing: &'static str,
        select: Statement,
    ) -> Result<Vec<T>, CatalogError> {
        let rows = self.patiently(|| self.limited(doing, self.rows(&select))).await?;
        self.read(doing, &rows)
    }

    /// Reads one row, outside of a change; `None` when there is none.
    pub(super) async fn read_one<T: FromRow>(
        &self,
        doing: &'static str,
        select: Statement,
    ) -> Result<Option<T>, CatalogError> {
        Ok(self.read_all(doing, select).await?.into_iter().next())
    }

    async fn rows(&self, select: &Statement) -> sqlx::Result<Vec<Row>> {
        Ok(match &self.inner.pools {
            Pools::Sqlite { readers, .. } => sqlite_rows(select.query().fetch_all(readers).await?),
            Pools::Postgres { pool, .. } => postgres_rows(select.query().fetch_all(pool).await?),
        })
    }

    fn read<T: FromRow>(&self, doing: &'static str, rows: &[Row]) -> Result<Vec<T>, CatalogError> {
        rows.iter().map(T::from_row).collect::<sqlx::Result<_>>().map_err(|e| self.failed(doing, e))
    }

    /// Repeats an operation while the database cannot be reached, as when its server starts again, for a bounded
    /// time. Every operation may be repeated: it recognises a commit whose answer was lost.
    pub(super) async fn patiently<T, F>(&self, operation: impl Fn() -> F) -> Result<T, CatalogError>
    where
        F: Future<Output = Result<T, CatalogError>>,
    {
        let give_up = clock::now_monotonic() + self.inner.patience;
        let mut backoff = Backoff::new(CATALOG_RETRY_FIRST, CATALOG_RETRY_MAX);
        loop {
            // Boxed: the future of a whole change is large, and callers nest theirs around it.
            let error = match Box::pin(operation()).await {
                Err(error @ CatalogError::Unreachable { .. }) => error,
                result => return result,
            };
            let pause = backoff.next_pause();
            if clock::now_monotonic() + pause >= give_up {
                return Err(error);
            }
            warn!(%error, "the catalog is away, trying again");
            clock::sleep(pause).await;
        }
    }

    async fn limited<T>(
        &self,
        doing: &'static str,
        query: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T, CatalogError> {
        let done = match &self.inner.pools {
            Pools::Sqlite { .. } => query.await,
            Pools::Postgres { .. } => postgres::answer(self.inner.patience, query).await,
        };
        done.map_err(|e| self.failed(doing, e))
    }

    /// The stored form of a value that has no columns of its own.
    pub(super) fn json(&self, what: &str, value: &impl serde::Serialize) -> Result<String, CatalogError> {
        serde_json::to_string(value).map_err(|e| self.damaged(what, e))
    }

    fn failed(&self, doing: &'static str, error: sqlx::Error) -> CatalogError {
        CatalogError::from_sqlx(self.name(), doing, error)
    }

    pub(super) fn damaged(&self, what: impl Into<String>, detail: impl ToString) -> CatalogError {
        let (what, detail) = (what.into(), detail.to_string());
        CatalogError::Damaged { name: self.name().to_owned(), what, detail }
    }
}

impl Change<'_> {
    /// Runs a statement; returns how many rows it touched.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, CatalogError> {
        let Self { catalog, doing, transaction } = self;
        let execute = async {
            Ok(match transaction {
                Transaction::Sqlite(on) => statement.query().execute(&mut **on).await?.rows_affected(),
                Transaction::Postgres(on, _) => statement.query().execute(&mut **on).await?.rows_affected(),
            })
        };
        catalog.limited(doing, execute).await
    }

    /// The database's time, after this change has its turn: nothing that it reads was written later.
    pub(super) async fn now_ms(&mut self) -> Result<i64, CatalogError> {
        match self.transaction {
            Transaction::Sqlite(_) => Ok(self.catalog.inner.clock.now_ms()),
            Transaction::Postgres(..) => self.one(postgres::now()).await?.ok_or_else(no_time),
        }
    }

    pub(super) async fn all<T: FromRow>(&mut self, select: Statement) -> Result<Vec<T>, CatalogError> {
        let Self { catalog, doing, transaction } = self;
        let fetch = async {
            Ok(match transaction {
                Transaction::Sqlite(on) => sqlite_rows(select.query().fetch_all(&mut **on).await?),
                Transaction::Postgres(on, _) => postgres_rows(select.query().fetch_all(&mut **on).await?),
            })
        };
        let rows = catalog.limited(doing, fetch).await?;
        catalog.read(doing, &rows)
    }

    pub(super) async fn one<T: FromRow>(&mut self, select: Statement) -> Result<Option<T>, CatalogError> {
        Ok(self.all(select).await?.into_iter().next())
    }

    /// Makes the change durable.
    pub(super) async fn commit(self) -> Result<(), CatalogError> {
        let Self { catalog, doing, transaction } = self;
        let commit = async {
            match transaction {
                Transaction::Sqlite(on) => on.commit().await,
                Transaction::Postgres(on, _turn) => on.commit().await,
            }
        };
        catalog.limited(doing, commit).await
    }

    /// Makes the change durable, and notifies the watchers of [`Catalog::changes`] in this process and in others.
    pub(super) async fn commit_and_tell(mut self) -> Result<(), CatalogError> {
        let number = next(&mut self, "change").await?;
        let catalog = self.catalog;
        self.commit().await?;
        catalog.tell(number);
        Ok(())
    }
}

fn no_time() -> CatalogError {
    CatalogError::Missing { what: "the database's time".to_owned() }
}

fn sqlite_rows(rows: Vec<sqlx::sqlite::SqliteRow>) -> Vec<Row> {
    rows.into_iter().map(Row::Sqlite).collect()
}

fn postgres_rows(rows: Vec<sqlx::postgres::PgRow>) -> Vec<Row> {
    rows.into_iter().map(Row::Postgres).collect()
}

/// Takes the next number of a counter.
pub(super) async fn next(change: &mut Change<'_>, counter: &'static str) -> Result<i64, CatalogError> {
    let select = Statement::new(include_str!("sql/counter_next.sql")).bind(counter);
    let missing = || CatalogError::Missing { what: format!("counter `{counter}`") };
    change.one(select).await?.ok_or_else(missing)
}
