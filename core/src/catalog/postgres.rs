//! The catalog in a PostgreSQL database, for processes on any machine.

use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Postgres, Transaction};

use super::migrations::{bring_up_to_date, migrator};
use super::statement::Statement;
use super::{CatalogError, Pools};
use crate::clock;

/// Changes queue for one lock anyway; the other connections are for reads.
const CONNECTIONS: u32 = 6;

/// Pause while the server is away, or another process migrates.
const OPEN_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Settings of each connection. A process that is stopped in the middle of a change loses its connection after a while,
/// and with it the lock that others wait for: they wait a little longer than that.
fn session(patience: Duration) -> [(&'static str, u128); 3] {
    let ms = patience.as_millis();
    [("idle_in_transaction_session_timeout", ms), ("lock_timeout", ms * 3 / 2), ("statement_timeout", ms * 2)]
}

/// Opens the database, which has to be there. Returns its name for errors, and its connections.
pub(super) async fn open(options: PgConnectOptions, patience: Duration) -> Result<(String, Pools), CatalogError> {
    let name = name(&options);
    let options = if options.get_application_name().is_none() { options.application_name("dovetail") } else { options };
    let options = options.options(session(patience));
    let give_up = clock::now_monotonic() + patience;
    loop {
        match migrate(&options, &name, patience).await {
            Ok(()) => break,
            Err(CatalogError::Busy { .. } | CatalogError::Unreachable { .. }) if clock::now_monotonic() < give_up => {
                clock::sleep(OPEN_RETRY_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(patience);
    Ok((name, Pools::Postgres { pool: pool.connect_lazy_with(options), turn: Arc::default() }))
}

/// Migrates on a connection of its own: the migrator's lock, which makes processes that start at once migrate one after
/// the other, lasts as long as the connection.
async fn migrate(options: &PgConnectOptions, name: &str, patience: Duration) -> Result<(), CatalogError> {
    let connected = answer(patience, options.connect()).await;
    let mut connection = connected.map_err(|e| CatalogError::from_sqlx(name, "open it", e))?;
    let migrated = answer(patience, async { Ok(migrator().run(&mut connection).await) }).await;
    // The migrations are committed, and the server notices a connection that is gone.
    let _ = answer(patience, connection.close()).await;
    let migrated = migrated.map_err(|e| CatalogError::from_sqlx(name, "bring its tables up to date", e))?;
    migrated.map_err(|e| bring_up_to_date(name, e))
}

/// Parses a URL `postgres://..`.
pub(super) fn parse(url: &str) -> Option<PgConnectOptions> {
    PgConnectOptions::from_str(url).ok()
}

/// The server and database without the user: a URL may hold a password.
fn name(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("postgres:{}/{database}", socket.display()),
        None => format!("postgres://{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

/// Begins a transaction that holds the catalog's write lock, as every transaction that changes something on SQLite
/// does. Statements that follow see all that was committed before.
pub(super) async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = pool.begin().await?;
    sqlx::query(include_str!("sql/postgres_lock.sql")).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Asks for the server's time, not that of the transaction's start.
pub(super) fn now() -> Statement {
    Statement::new(include_str!("sql/postgres_now.sql"))
}

/// Awaits a query's answer for somewhat longer than the server's own limit, because a server that has stopped without
/// closing its connections never answers.
pub(super) async fn answer<T>(patience: Duration, query: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match tokio::time::timeout(patience * 3, query).await {
        Ok(Err(sqlx::Error::PoolTimedOut)) => Err(io::Error::new(ErrorKind::TimedOut, "no connection in time").into()),
        Err(_) => Err(io::Error::new(ErrorKind::TimedOut, "no answer in time").into()),
        Ok(answer) => answer,
    }
}
