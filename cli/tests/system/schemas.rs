//! A column whose type changes: views, `raw` and `sys.dead_letters` see the same records.

use std::path::Path;

use tempfile::TempDir;

use crate::support::{Server, settings_on_demand};

const VIEW: &str = "CREATE VIEW all_of_it AS SELECT x, count(*) AS n FROM s GROUP BY x;";

fn pipeline(column: &str) -> String {
    format!(
        "CREATE EXTERNAL TABLE s ({column}) STORED AS JSON LOCATION 'kafka://s' OPTIONS ('partitions' '1');\n{VIEW}"
    )
}

/// The server with another declaration of its stream, its view filled.
async fn declare(server: &mut Server, folder: &TempDir, column: &str) {
    declare_as(server, &folder.path().join("pipeline.sql"), &pipeline(column)).await;
}

async fn declare_as(server: &mut Server, path: &Path, pipeline: &str) {
    server.kill().await;
    std::fs::write(path, pipeline).unwrap();
    server.launch();
    let ready = async || server_answers(server).await.then_some(());
    crate::support::eventually("the server answers", ready).await;
    server.run(&["recompute", "--full"]).await;
    server.wait_ready().await;
}

async fn server_answers(server: &Server) -> bool {
    crate::support::post(&server.url(), "SELECT 1").await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_segments_are_shown_as_views_see_them() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("pipeline.sql");
    std::fs::write(&path, pipeline("x VARCHAR")).unwrap();
    let mut server = Server::new(&path, settings_on_demand());
    server.start().await;
    let file = folder.path().join("records.ndjson");
    std::fs::write(&file, "{\"x\":\"5\"}\n{\"x\":\"abc\"}\n{\"x\":\"7\"}\n").unwrap();
    server.ingest("s", &file, 3).await;
    let raw = "SELECT x, _offset FROM raw.s ORDER BY _offset";
    let dead = "SELECT \"offset\", text FROM sys.dead_letters ORDER BY 1";
    let view = "SELECT x, n FROM all_of_it ORDER BY x";
    let counts = "SELECT sum(rows), sum(dead_letters) FROM sys.segments";
    server.check(raw, &["\"5\", 0", "\"abc\", 1", "\"7\", 2"]).await;
    server.check(dead, &[]).await;

    declare(&mut server, &folder, "x INT").await;
    server.check(view, &["5, 1", "7, 1"]).await;
    server.check(raw, &["5, 0", "7, 2"]).await;
    server.check("SELECT _offset FROM raw.s WHERE x > 5 LIMIT 1", &["2"]).await;
    server.check("SELECT count(*) FROM raw.s", &["2"]).await;
    server.check(dead, &["1, \"{\\\"x\\\":\\\"abc\\\"}\""]).await;
    server.check("SELECT error, detail FROM sys.dead_letters", &["\"column `x` is not an INT\", \"abc\""]).await;
    server.check(counts, &["2, 1"]).await;
    server.check("SELECT landed_rows, dead_letters FROM sys.streams", &["2, 1"]).await;

    // The landing is now of two schemas.
    let later = folder.path().join("later.ndjson");
    std::fs::write(&later, "{\"x\":\"9\"}\n{\"x\":\"zzz\"}\n").unwrap();
    server.ingest("s", &later, 5).await;
    server.check(raw, &["5, 0", "7, 2", "9, 3"]).await;
    server.check("SELECT \"offset\" FROM sys.dead_letters ORDER BY 1", &["1", "4"]).await;
    server.check(counts, &["3, 2"]).await;

    declare(&mut server, &folder, "x VARCHAR").await;
    server.check(view, &["\"5\", 1", "\"7\", 1", "\"9\", 1", "\"abc\", 1", "\"zzz\", 1"]).await;
    server.check(raw, &["\"5\", 0", "\"abc\", 1", "\"7\", 2", "\"9\", 3", "\"zzz\", 4"]).await;
    server.check(dead, &[]).await;
    server.check(counts, &["5, 0"]).await;
}

/// The instants are PostgreSQL's: `'..'::timestamp AT TIME ZONE 'America/New_York'`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_is_added_is_seen_everywhere() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("pipeline.sql");
    let view = "CREATE VIEW all_of_it AS SELECT t AS x, count(*) AS n FROM s GROUP BY t;";
    let stream = |zone: &str| {
        let options = format!("OPTIONS ('partitions' '1'{zone})");
        format!("CREATE EXTERNAL TABLE s (t TIMESTAMP(3)) STORED AS JSON LOCATION 'kafka://s' {options};\n{view}")
    };
    std::fs::write(&path, stream("")).unwrap();
    let mut server = Server::new(&path, settings_on_demand());
    server.start().await;
    let file = folder.path().join("records.ndjson");
    std::fs::write(&file, "{\"t\":\"2026-03-08 02:30:00\"}\n{\"t\":\"2026-07-01\"}\n{\"t\":\"noon\"}\n").unwrap();
    server.ingest("s", &file, 3).await;
    let raw = "SELECT CAST(date_part('epoch', t) AS BIGINT) FROM raw.s ORDER BY 1";
    let served = "SELECT CAST(date_part('epoch', x) AS BIGINT) FROM all_of_it ORDER BY 1";
    for sql in [raw, served] {
        server.check(sql, &["1772937000", "1782864000"]).await;
    }
    declare_as(&mut server, &path, &stream(", 'timezone' 'America/New_York'")).await;
    for sql in [raw, served] {
        server.check(sql, &["1772955000", "1782878400"]).await;
    }
    server.check("SELECT \"offset\", detail FROM sys.dead_letters", &["2, \"noon\""]).await;
}
