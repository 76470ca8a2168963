//! One query does no harm to the others.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use super::http::http_of;
use super::postgres::wire_of;
use super::world::{PIPELINE, World, config, until};
use crate::{Reason, ServingConfig};

/// From when an answer is due to when it has to be there: 250 ms, and more on a machine that does much else.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Each of them would run for minutes, and needs little memory: a cross join, filters of joins, a scan, functions of
/// long texts, lists, what is unnested, a recursion, windows, groups, a sort.
const LONG: &[&str] = &[
    "SELECT sum(x + y) FROM generate_series(1, 1000000) a(x) CROSS JOIN generate_series(1, 1000000) b(y)",
    "SELECT count(*) FROM generate_series(1, 1000000) a(x), generate_series(1, 1000000) b(y) WHERE x * 2 + y * 2 = 1",
    "SELECT count(*) FROM generate_series(1, 300000) a(x) JOIN generate_series(1, 300000) b(y) ON x % 1 = y % 1 AND x + y = -1",
    "SELECT count(*) FROM generate_series(1, 100000000000) a(x) WHERE x % 7 = 9",
    "SELECT sum(levenshtein(repeat('ab', 3000), repeat(CAST(x AS VARCHAR), 1000))) FROM generate_series(1, 1000000) a(x)",
    "SELECT sum(length(regexp_replace(repeat(CAST(x AS VARCHAR), 300), '(1|2|3|12|23)+$', 'y', 'g'))) FROM generate_series(1, 100000000) a(x)",
    "SELECT max(array_length(range(0, x % 1000))) FROM generate_series(1, 100000000000) a(x)",
    "SELECT sum(e) FROM (SELECT unnest(range(0, x % 1000)) AS e FROM generate_series(1, 100000000000) a(x))",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n % 1000 + 1 FROM r) SELECT count(*) FROM r WHERE n < 0",
    "SELECT count(*) FROM (SELECT sum(x) OVER (ORDER BY x % 10 ROWS BETWEEN 5000 PRECEDING AND CURRENT ROW) AS s FROM generate_series(1, 200000000) a(x) WHERE x % 1000 = 1) WHERE s < 0",
    "SELECT x % 1000, sum(x), count(DISTINCT x % 7) FROM generate_series(1, 100000000000) a(x) GROUP BY 1",
    "SELECT x FROM generate_series(1, 100000000000) a(x) ORDER BY md5(CAST(x AS VARCHAR)) LIMIT 3",
];

fn limited(timeout: Duration, memory: usize) -> ServingConfig {
    ServingConfig { query_timeout: timeout, query_memory: memory, total_memory: 2 << 30, max_queries: 4, ..config() }
}

/// Enough for what only takes long.
const ROOMY: usize = 1 << 30;
const NARROW: usize = 64 << 20;

async fn given_back(world: &World) {
    let inner = &world.serving.layers;
    until("all turns and memory are given back", || {
        world.serving.turns.available_permits() == 4 && inner.memory.reserved() == 0
    })
    .await;
}

#[tokio::test]
async fn whatever_runs_ends_with_its_time() {
    let limit = Duration::from_millis(500);
    let world = World::with(PIPELINE, limited(limit, ROOMY)).await;
    for sql in LONG {
        let began = Instant::now();
        let error = world.error(sql).await;
        let took = began.elapsed();
        eprintln!("{took:?} {} {sql}", error.reason.code());
        assert_eq!(error.reason, Reason::Timeout, "{sql}: {error:?}");
        assert!(took < limit + AT_ONCE, "{sql}: {took:?}");
        let ended = Instant::now();
        given_back(&world).await;
        eprintln!("    its work ended {:?} after", ended.elapsed());
        assert!(ended.elapsed() < Duration::from_secs(5), "{sql}: its work went on for {:?}", ended.elapsed());
    }
}

#[tokio::test]
async fn whatever_runs_is_cancelled_at_once() {
    let wire = wire_of(World::with(PIPELINE, limited(Duration::from_secs(30), ROOMY)).await).await;
    let client = wire.client().await;
    for sql in LONG {
        let token = client.cancel_token();
        let running = client.simple_query(sql);
        let cancelled = async {
            // The query is in progress: a permit is taken.
            let turns = &wire.world.serving.turns;
            until("the query runs", || turns.available_permits() < 4).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            let asked = Instant::now();
            token.cancel_query(NoTls).await.unwrap();
            asked
        };
        let (answered, asked) = tokio::join!(async { (running.await, Instant::now()) }, cancelled);
        let (answer, at) = answered;
        let error = answer.unwrap_err();
        let took = at.saturating_duration_since(asked);
        eprintln!("{took:?} {sql}");
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{sql}: {error:?}");
        assert!(took < AT_ONCE, "{sql}: {took:?}");
        given_back(&wire.world).await;
    }
}

#[tokio::test]
async fn who_goes_away_before_the_first_row_ends_the_query() {
    let http = http_of(World::with(PIPELINE, limited(Duration::from_secs(60), ROOMY)).await).await;
    for sql in LONG {
        let asked = tokio::time::timeout(Duration::from_millis(300), http.ask("*/*", sql)).await;
        assert!(asked.is_err(), "{sql}: {asked:?}");
        let gone = Instant::now();
        given_back(&http.world).await;
        eprintln!("its work ended {:?} after its client went: {sql}", gone.elapsed());
        assert!(gone.elapsed() < Duration::from_secs(5), "{sql}: {:?}", gone.elapsed());
    }
}

#[tokio::test]
async fn fetching_from_a_cursor_is_cancelled_at_once() {
    let wire = wire_of(World::with(PIPELINE, limited(Duration::from_secs(30), ROOMY)).await).await;
    let client = wire.client().await;
    let rare = "SELECT x FROM generate_series(1, 100000000000) a(x) WHERE x < 9000";
    client.batch_execute(&format!("BEGIN; DECLARE c CURSOR FOR {rare}")).await.unwrap();
    let token = client.cancel_token();
    let fetching = client.simple_query("FETCH ALL FROM c");
    let cancelled = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(NoTls).await.unwrap();
        Instant::now()
    };
    let ((answer, at), asked) = tokio::join!(async { (fetching.await, Instant::now()) }, cancelled);
    assert_eq!(answer.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    assert!(at.saturating_duration_since(asked) < AT_ONCE);
    client.batch_execute("ROLLBACK").await.unwrap();
    given_back(&wire.world).await;
}

#[tokio::test]
async fn others_are_answered_meanwhile() {
    let http = http_of(World::with(PIPELINE, limited(Duration::from_secs(4), ROOMY)).await).await;
    let long = LONG[..3].iter().map(|sql| http.ask("*/*", sql));
    let others = async {
        let mut longest = Duration::ZERO;
        let turns = &http.world.serving.turns;
        until("three queries run", || turns.available_permits() == 1).await;
        for _ in 0..20 {
            let began = Instant::now();
            assert_eq!(http.ask("text/csv", "SELECT 1 AS x").await.text().await.unwrap(), "x\n1\n");
            longest = longest.max(began.elapsed());
        }
        longest
    };
    let (_, longest) = tokio::join!(futures::future::join_all(long), others);
    eprintln!("the slowest of 20 small queries took {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

/// Peak of what the process has in memory, bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Each would take gigabytes.
const LARGE: &[&str] = &[
    "SELECT array_length(generate_series(TIMESTAMP '1970-01-01', TIMESTAMP '2026-01-01', INTERVAL '1 second'))",
    "SELECT length(repeat('x', 2000000000))",
    "SELECT length(lpad('x', 2000000000, 'y'))",
    "SELECT array_length(array_repeat(1, 2000000000))",
    "SELECT length(repeat(repeat(repeat('x', 10000), 10000), 100))",
    "SELECT sum(length(repeat('x', 1000000))) FROM generate_series(1, 100000) a(x)",
    "SELECT sum(length(repeat(CAST(x AS VARCHAR), 1000000))) FROM generate_series(1, 100000) a(x)",
    "SELECT sum(length(concat(repeat(g, 20000000), repeat(g, 20000000), repeat(g, 20000000), repeat(g, 20000000)))) \
     FROM (VALUES ('x'), ('y')) t(g)",
    "WITH a AS (SELECT repeat('x', 50000) AS s), b AS (SELECT s || s || s || s AS s FROM a), \
     c AS (SELECT s || s || s || s AS s FROM b), d AS (SELECT s || s || s || s AS s FROM c), \
     e AS (SELECT s || s || s || s AS s FROM d), f AS (SELECT s || s || s || s AS s FROM e), \
     g AS (SELECT s || s || s || s AS s FROM f) SELECT length(s) FROM g",
    "SELECT count(*) FROM (SELECT unnest(range(0, 1000)) AS e, repeat('x', 300000) AS s) WHERE s || e = 'x'",
    "SELECT g, unnest(array_repeat(g, 100000000)) FROM (VALUES ('x'), ('y')) t(g)",
    "SELECT length(array_to_string(range(0, 1000000), repeat('-', 60000)))",
    "SELECT length(replace(repeat('x', 60000), 'x', repeat('y', 60000)))",
    "SELECT length(regexp_replace(repeat('x', 60000), 'x', repeat('y', 60000), 'g'))",
    "SELECT x, repeat('x', 65000) FROM generate_series(1, 1000000) a(x) ORDER BY 2",
    "SELECT replace(repeat('x', 5000), 'x', repeat('y', 500)) AS s FROM generate_series(1, 1000000) a(x)",
    "SELECT count(*) FROM (SELECT repeat(g, 1000000) AS s FROM (VALUES ('x'), ('y')) t(g)) a \
     JOIN generate_series(1, 100000) b(x) ON length(s || CAST(x AS VARCHAR)) < 0",
    "SELECT s, x FROM (SELECT repeat(g, 1000000) AS s FROM (VALUES ('x'), ('y')) t(g)) a CROSS JOIN generate_series(1, 100000) b(x)",
    "SELECT max(length(s)) FROM (SELECT string_agg(CAST(x AS VARCHAR), ',') OVER (ORDER BY x) AS s FROM generate_series(1, 100000) a(x))",
    "SELECT max(array_length(l)) FROM (SELECT array_agg(x) OVER (ORDER BY x) AS l FROM generate_series(1, 100000) a(x))",
    "SELECT max(length(s)) FROM (SELECT first_value(repeat(CAST(x AS VARCHAR), CASE WHEN x = 1 THEN 1000000 ELSE 0 END)) \
     OVER (ORDER BY x) AS s FROM generate_series(1, 100000) a(x))",
];

#[tokio::test]
async fn what_is_large_and_fits_is_answered() {
    let world = World::with(PIPELINE, limited(Duration::from_secs(60), NARROW)).await;
    for (sql, right) in [
        ("SELECT length(repeat('x', 1000000))", "1000000"),
        ("SELECT array_length(generate_series(1, 1000000))", "1000000"),
        ("SELECT sum(length(repeat('x', 1000))) FROM generate_series(1, 5000) a(x)", "5000000"),
        ("SELECT sum(length(repeat(CAST(x % 10 AS VARCHAR), 1000))) FROM generate_series(1, 100000) a(x)", "100000000"),
        (
            "SELECT sum(array_length(l)) FROM (SELECT array_agg(x) OVER (PARTITION BY x / 10) AS l FROM generate_series(0, 19999) a(x))",
            "200000",
        ),
        ("SELECT count(*) FROM (SELECT unnest(range(0, 1000)) FROM generate_series(1, 3000) a(x))", "3000000"),
        (
            "SELECT count(*) FROM generate_series(1, 3000) a(x) JOIN generate_series(1, 3000) b(y) ON x = y \
          WHERE repeat(CAST(x AS VARCHAR), 100) <> ''",
            "3000",
        ),
    ] {
        assert_eq!(world.rows(sql).await, [right], "{sql}");
    }
}

#[tokio::test]
async fn what_would_be_too_large_is_refused() {
    let world = World::with(PIPELINE, limited(Duration::from_secs(20), NARROW)).await;
    let before = peak();
    for sql in LARGE {
        let error = world.error(sql).await;
        eprintln!("{} MiB: {error}", peak() >> 20);
        assert_eq!(error.reason, Reason::Memory, "{sql}: {error:?}");
        assert!(error.message.contains("needs more memory than it may use"), "{sql}: {error:?}");
        given_back(&world).await;
    }
    // Tests that run beside this one are in it too.
    assert!(peak() < before + (1 << 30), "{} MiB before, {} MiB after", before >> 20, peak() >> 20);
}

#[tokio::test]
async fn literals_are_not_multiplied_without_bounds() {
    let world = World::with(PIPELINE, limited(Duration::from_secs(20), NARROW)).await;
    let before = peak();
    let text = "x".repeat(900_000);
    let sql =
        format!("SELECT max(length(CASE WHEN x > 0 THEN '{text}' ELSE 'y' END)) FROM generate_series(1, 2000) a(x)");
    assert_eq!(world.rows(&sql).await, ["900000"]);
    assert!(peak() < before + (1 << 30), "{} MiB before, {} MiB after", before >> 20, peak() >> 20);
}
