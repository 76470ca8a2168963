//! Drivers of other languages, run where they are named.
//!
//! `DOVETAIL_CLIENTS_PYTHON` is a Python with psycopg, psycopg2, asyncpg, pg8000, ADBC, SQLAlchemy and pandas;
//! `DOVETAIL_CLIENTS_JDBC` is PostgreSQL's JDBC driver; `DOVETAIL_CLIENTS_NODE` is a `node_modules` with node-postgres;
//! `DOVETAIL_CLIENTS_GO` is the program in `tests/clients/go`, with pgx and lib/pq. Without them these tests do
//! nothing, except in CI, where they fail.

use std::path::Path;

use tokio::process::Command;

use super::postgres::{Wire, wire};
use super::world::config;

fn named(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    assert!(value.is_some() || std::env::var_os("CI").is_none(), "`{variable}` is needed in CI");
    if value.is_none() {
        eprintln!("skipped: `{variable}` is not set");
    }
    value
}

async fn run(command: &mut Command, wire: &Wire) {
    let output = command.arg(wire.port.to_string()).output().await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}

#[tokio::test]
async fn python_clients() {
    let Some(python) = named("DOVETAIL_CLIENTS_PYTHON") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/check.py");
    let wire = wire(config()).await;
    run(Command::new(python).arg(script), &wire).await;
}

#[tokio::test]
async fn jdbc() {
    let Some(driver) = named("DOVETAIL_CLIENTS_JDBC") else { return };
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/Check.java");
    let wire = wire(config()).await;
    run(Command::new("java").arg("-cp").arg(driver).arg(program), &wire).await;
}

#[tokio::test]
async fn node_postgres() {
    let Some(modules) = named("DOVETAIL_CLIENTS_NODE") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/check.cjs");
    let wire = wire(config()).await;
    run(Command::new("node").env("NODE_PATH", modules).arg(script), &wire).await;
}

#[tokio::test]
async fn pgx_and_lib_pq() {
    let Some(program) = named("DOVETAIL_CLIENTS_GO") else { return };
    let wire = wire(config()).await;
    run(&mut Command::new(program), &wire).await;
}
