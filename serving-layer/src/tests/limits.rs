//! Errors have positions; time and memory have limits; a bug ends one query.

use std::time::Duration;

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
    assert_eq!(world.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_is_ended() {
    let limits = ServingConfig { query_memory: 1 << 20, ..config() };
    let world = World::with(PIPELINE, limits).await;
    let error = world.error("SELECT x, count(*) FROM generate_series(1, 3000000) a(x) GROUP BY x ORDER BY 2").await;
    assert_eq!(error.reason, Reason::Memory, "{error:?}");
    assert_eq!(world.rows("SELECT 1").await, ["1"]);
    // What was still running lets go of its share.
    while world.serving.inner.memory.reserved() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn merging_counts_as_memory() {
    let limits = ServingConfig { query_memory: 16 << 10, ..config() };
    let world = World::with(PIPELINE, limits).await;
    world.append(0, ("ann", "/a", 1));
    // The sketch of one user's pages takes 16 KiB.
    let error = world.error("SELECT pages FROM by_user").await;
    assert_eq!(error.reason, Reason::Memory, "{error:?}");
}

#[tokio::test]
async fn deep_statements_do_not_overflow_the_stack() {
    let world = World::new().await;
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
