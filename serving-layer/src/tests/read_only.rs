//! Whatever writes is refused, however it is wrapped.

use super::world::World;
use crate::Reason;

const WRITES: [&str; 36] = [
    "CREATE TABLE t (a INT)",
    "CREATE TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE FUNCTION f(INT) RETURNS INT RETURN 1",
    "CREATE INDEX i ON by_page (page)",
    "CREATE ROLE r",
    "CREATE EXTENSION e",
    "CREATE SEQUENCE s",
    "INSERT INTO by_page VALUES ('/x', 1, 1)",
    "INSERT INTO sys.streams SELECT * FROM sys.streams",
    "UPDATE by_page SET clicks = 0",
    "DELETE FROM by_page",
    "TRUNCATE by_page",
    "MERGE INTO by_page USING by_user ON true WHEN MATCHED THEN DELETE",
    "DROP TABLE by_page",
    "DROP VIEW by_page",
    "DROP SCHEMA public",
    "ALTER TABLE by_page ADD COLUMN x INT",
    "COPY by_page TO '/tmp/dovetail-must-not-exist.csv'",
    "COPY by_page FROM '/etc/passwd'",
    "COPY (SELECT 1) TO '/tmp/dovetail-must-not-exist.csv'",
    "GRANT SELECT ON by_page TO PUBLIC",
    "REVOKE SELECT ON by_page FROM PUBLIC",
    "VACUUM",
    "ANALYZE by_page",
    "COMMENT ON TABLE by_page IS 'x'",
    "SELECT * INTO t FROM by_page",
    "EXPLAIN INSERT INTO by_page VALUES ('/x', 1, 1)",
    "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
    "EXPLAIN ANALYZE DELETE FROM by_page",
    "WITH gone AS (DELETE FROM by_page RETURNING *) SELECT * FROM gone",
    "WITH new AS (INSERT INTO by_page VALUES ('/x', 1, 1) RETURNING *) SELECT * FROM new",
    "SELECT * FROM by_page FOR UPDATE",
    "CALL f()",
];

#[tokio::test]
async fn statements_that_write_are_refused() {
    let world = World::new().await;
    for sql in WRITES {
        let error = world.error(sql).await;
        let parsed = error.reason != Reason::Syntax;
        assert!(!parsed || error.reason == Reason::ReadOnly, "{sql}: {error:?}");
        assert!(!parsed || error.message.starts_with("dovetail serves read-only views: "), "{sql}: {error}");
    }
    assert!(!std::path::Path::new("/tmp/dovetail-must-not-exist.csv").exists());
}

#[tokio::test]
async fn almost_all_of_these_are_understood_before_they_are_refused() {
    let dialect = crate::sql::statement::Dialect::new();
    let not_parsed: Vec<&str> = WRITES.into_iter().filter(|sql| dialect.parse(sql).is_err()).collect();
    assert!(not_parsed.len() <= 4, "{not_parsed:?}");
}

#[tokio::test]
async fn a_write_behind_a_read_is_not_reached() {
    let world = World::new().await;
    let error = world.error("SELECT 1; DROP TABLE by_page").await;
    assert!(error.message.contains("2 statements"), "{error}");
}

#[tokio::test]
async fn files_cannot_be_read() {
    let world = World::new().await;
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd')",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
    ] {
        let error = world.error(sql).await;
        assert!(error.reason.http_status() < 500, "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn statements_that_read_are_let_through() {
    let world = World::new().await;
    for sql in [
        "SELECT 1",
        "WITH a AS (SELECT 1 AS x) SELECT x FROM a UNION ALL SELECT 2",
        "VALUES (1), (2)",
        "TABLE by_page",
        "EXPLAIN SELECT * FROM by_page",
        "EXPLAIN ANALYZE SELECT * FROM by_page",
        "SHOW TABLES",
        "SHOW COLUMNS FROM by_page",
        "SELECT version(), current_schema(), current_database(), current_schemas(true)",
    ] {
        world.try_rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}
