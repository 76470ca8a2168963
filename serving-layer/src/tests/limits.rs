//! Errors have positions; time and memory have limits; a bug ends one query.

use std::time::Duration;

use super::http::http_of;
use super::postgres::wire_of;
use super::world::{PIPELINE, World, config};
use crate::{Position, Reason, ServingConfig};

#[tokio::test]
async fn errors_say_where() {
    let world = World::new().await;
    for (sql, reason, line, column) in [
        ("SELECT\n  nope\nFROM by_page", Reason::UndefinedColumn, 2, 3),
        ("SELECT * FROM\n nope", Reason::UndefinedTable, 2, 2),
        ("SELECT page\nFORM by_page", Reason::Syntax, 2, 6),
        ("SELEC 1", Reason::Syntax, 1, 1),
    ] {
        let error = world.error(sql).await;
        assert_eq!(error.reason, reason, "{sql}: {error:?}");
        assert_eq!(error.position, Some(Position { line, column }), "{sql}: {error:?}");
    }
    assert_eq!(world.error("SELECT nope(1)").await.reason, Reason::UndefinedFunction);
    assert_eq!(world.error("SELECT 1 / 0").await.reason, Reason::DivisionByZero);
    assert_eq!(world.error("").await.reason, Reason::Syntax);
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_ended() {
    let limits = ServingConfig { query_timeout: Duration::from_millis(200), ..config() };
    let world = World::with(PIPELINE, limits).await;
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000) a(x) WHERE x % 7 = 3";
    let error = world.error(endless).await;
    assert_eq!(error.reason, Reason::Timeout, "{error:?}");
    assert!(error.message.contains("`query.timeout` allows it 200ms"), "{error}");
    assert_eq!(world.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_is_ended() {
    let limits = ServingConfig { query_memory: 1 << 20, ..config() };
    let world = World::with(PIPELINE, limits).await;
    let error = world.error("SELECT x, count(*) FROM generate_series(1, 3000000) a(x) GROUP BY x").await;
    assert_eq!(error.reason, Reason::Memory, "{error:?}");
    let part = "the query needs more memory than it may use: `GROUP BY` or `DISTINCT`";
    assert!(error.message.starts_with(part), "{error}");
    assert!(error.message.contains(" asked for ") && error.message.contains("1.0 MiB that `query.memory`"), "{error}");
    assert_eq!(world.rows("SELECT 1").await, ["1"]);
    // The work still in progress releases its memory.
    while world.serving.layers.memory.reserved() > 0 {
        tokio::task::yield_now().await;
    }
}

/// The sketch of one user's pages takes 16 KiB.
const SKETCH: &str = "SELECT pages FROM by_user";

async fn short_of_memory() -> World {
    let world = World::with(PIPELINE, ServingConfig { query_memory: 16 << 10, ..config() }).await;
    world.append(0, ("ann", "/a", 1));
    world
}

fn names_all(message: &str) -> bool {
    let (asked, limit) =
        ("more memory than it may use: view `by_user` asked for ", "16.0 KiB that `query.memory` allows it");
    message.contains(asked) && message.contains(" more, the query has 0 bytes of the ") && message.contains(limit)
}

#[tokio::test]
async fn merging_counts_as_memory() {
    let world = short_of_memory().await;
    let error = world.error(SKETCH).await;
    assert_eq!(error.reason, Reason::Memory, "{error:?}");
    assert!(names_all(&error.message), "{error}");
    let world = World::with(PIPELINE, ServingConfig { total_memory: 16 << 10, ..config() }).await;
    world.append(0, ("ann", "/a", 1));
    let error = world.error(SKETCH).await;
    assert!(error.message.starts_with("there is not enough memory for the query: view `by_user` asked"), "{error}");
    assert!(error.message.ends_with("of the 16.0 KiB that `query.total_memory` allows them"), "{error}");
}

#[tokio::test]
async fn both_interfaces_say_what_memory_was_short_and_which_setting_is_the_limit() {
    let http = http_of(short_of_memory().await).await;
    let response = http.ask("*/*", SKETCH).await;
    assert_eq!(response.status().as_u16(), 507);
    let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["error"]["sqlstate"], "53200", "{body}");
    assert!(names_all(body["error"]["message"].as_str().unwrap()), "{body}");
    let wire = wire_of(short_of_memory().await).await;
    let client = wire.client().await;
    for error in [client.simple_query(SKETCH).await.map(drop), client.query(SKETCH, &[]).await.map(drop)] {
        let error = error.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "53200", "{error}");
        assert!(names_all(error.message()), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("raise `query.memory`")), "{error:?}");
    }
}

/// As large as the stacks of the process that serves: the functions of a debug build take more of them.
const STACK: usize = 8 << 20;

#[test]
fn deep_statements_do_not_overflow_the_stack() {
    let run = || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build().unwrap();
        runtime.block_on(deep_statements());
    };
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

async fn deep_statements() {
    let patient = ServingConfig { query_timeout: Duration::from_secs(300), ..config() };
    let world = World::with(PIPELINE, patient).await;
    let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(world.error(&deep).await.reason, Reason::Syntax);
    let chain = |n: usize| format!("SELECT {}", vec!["1"; n].join(" + "));
    assert_eq!(world.rows(&chain(400)).await, ["400"]);
    assert_eq!(world.error(&chain(200_000)).await.reason, Reason::Unsupported);
    let unions = |n: usize| vec!["SELECT 1"; n].join(" UNION ALL ");
    assert_eq!(world.rows(&unions(50)).await.len(), 50);
    assert_eq!(world.error(&unions(2000)).await.reason, Reason::Unsupported);
    assert_eq!(world.rows("SELECT 1").await, ["1"]);
}
