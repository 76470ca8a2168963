//! Drivers of other languages, run where they are named.
//!
//! `DOVETAIL_CLIENTS_PYTHON` is a Python with psycopg, psycopg2, asyncpg, pg8000, ADBC, SQLAlchemy and pandas;
//! `DOVETAIL_CLIENTS_JDBC` is PostgreSQL's JDBC driver; `DOVETAIL_CLIENTS_NODE` is a `node_modules` with node-postgres;
//! `DOVETAIL_CLIENTS_GO` is the program in `tests/clients/go`, with pgx and lib/pq. What is not named is skipped, and
//! that is said; in CI the first two are needed.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::postgres::{Wire, wire};
use super::world::config;

/// Each client ends itself earlier, and says what it waits for.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// The value of `variable`, or a line with the tests that are skipped.
fn named(variable: &str, clients: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        // Tests that pass keep what they print to themselves: this is no `eprintln!`.
        let _ = writeln!(std::io::stderr(), "skipped: {clients}, `{variable}` is not set");
    }
    value
}

/// The same, but in CI it has to be there.
fn needed(variable: &str, clients: &str) -> Option<String> {
    let value = named(variable, clients);
    assert!(value.is_some() || std::env::var_os("CI").is_none(), "`{variable}` is needed in CI: {clients}");
    value
}

async fn run(command: &mut Command, wire: &Wire) {
    let command = command.arg(wire.port.to_string()).kill_on_drop(true);
    let output = timeout(TIME_LIMIT, command.output()).await.expect("a client hangs").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}

#[tokio::test]
async fn python_clients() {
    let Some(python) =
        needed("DOVETAIL_CLIENTS_PYTHON", "psycopg, psycopg2, asyncpg, pg8000, ADBC, SQLAlchemy, pandas")
    else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/check.py");
    let wire = wire(config()).await;
    run(Command::new(python).arg(script), &wire).await;
}

#[tokio::test]
async fn jdbc() {
    let Some(driver) = needed("DOVETAIL_CLIENTS_JDBC", "JDBC") else { return };
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/Check.java");
    let wire = wire(config()).await;
    run(Command::new("java").arg("-cp").arg(driver).arg(program), &wire).await;
}

#[tokio::test]
async fn node_postgres() {
    let Some(modules) = named("DOVETAIL_CLIENTS_NODE", "node-postgres") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/check.cjs");
    let wire = wire(config()).await;
    run(Command::new("node").env("NODE_PATH", modules).arg(script), &wire).await;
}

#[tokio::test]
async fn pgx_and_lib_pq() {
    let Some(program) = named("DOVETAIL_CLIENTS_GO", "pgx, lib/pq") else { return };
    let wire = wire(config()).await;
    run(&mut Command::new(program), &wire).await;
}
