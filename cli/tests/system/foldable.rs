//! A view that `check` accepts is folded rightly, and one that cannot be folded is refused with its place and a remedy.

use serde_json::{Value, json};

use crate::support::{Local, config, dovetail, eventually, texts, try_number, verify};

const STREAMS: &str = r#"
CREATE EXTERNAL TABLE s (k VARCHAR, x BIGINT, f DOUBLE, line VARCHAR, tags VARCHAR[],
  items STRUCT<id BIGINT, "user" STRUCT<c VARCHAR>>[]) STORED AS JSON LOCATION 'kafka://s' OPTIONS ('partitions' '1');
CREATE EXTERNAL TABLE other (k VARCHAR) STORED AS JSON LOCATION 'kafka://other';
CREATE EXTERNAL TABLE names (k VARCHAR, name VARCHAR) STORED AS CSV LOCATION 'names.csv';
"#;

const VIEWS: &str = r#"
CREATE VIEW second AS SELECT nth_value(x, 2 ORDER BY x) AS a, nth_value(x, 1 ORDER BY x) AS first FROM s;
CREATE VIEW latest AS SELECT DISTINCT ON (k) k, x FROM s ORDER BY k, x DESC;
CREATE VIEW times AS SELECT at, count(*) AS n FROM (SELECT to_timestamp(line) AS at FROM s) GROUP BY at;
CREATE VIEW users AS SELECT u, count(*) AS n FROM (SELECT i['user']['c'] AS u FROM (SELECT unnest(items) AS i FROM s)) GROUP BY u;
CREATE VIEW few AS SELECT * FROM s WHERE x < 3;
CREATE VIEW joined AS SELECT string_agg(DISTINCT k, ',') AS ks, string_agg(k, '' ORDER BY x DESC) AS down FROM s WHERE x < 4;
CREATE VIEW top AS SELECT k, count(*) AS n FROM s GROUP BY k ORDER BY n DESC LIMIT 5;
CREATE VIEW share AS SELECT k, sum(f) OVER () AS t FROM (SELECT k, max(f) AS f FROM s GROUP BY k);
"#;

/// Rows in an order that nothing is ordered by: `x` runs down in each half.
fn rows(from: i64, to: i64) -> Vec<u8> {
    let line = |x: i64| {
        let record = json!({
            "k": format!("k{:02}", x % 40), "x": x, "f": 0.1 + x as f64, "line": format!("2026-03-0{}T00:00:00", 1 + x % 3),
            "tags": ["a"], "items": [{"id": x, "user": {"c": format!("u{}", x % 2)}}, {"id": null, "user": null}],
        });
        format!("{record}\n")
    };
    (from..to).rev().map(line).collect::<String>().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_views_are_right_across_both_layers() {
    let pipeline = format!("{STREAMS}{VIEWS}").replace("CREATE EXTERNAL TABLE names", "-- CREATE EXTERNAL TABLE names");
    let local = Local::start(&pipeline, config()).await;
    let reached = async |sql: &str, n: i64| (try_number(&local.client, sql).await.ok()? == n).then_some(());
    local.append("s", rows(100, 200)).await;
    eventually("landed records", async || reached("SELECT sum(landed) FROM sys.partitions", 100).await).await;
    let run: Value = local.client.post("/v1/recompute", &json!({})).await.unwrap();
    assert_eq!(run["generation"], 1, "{run}");
    local.append("s", rows(0, 100)).await;
    eventually("all records", async || reached("SELECT sum(n) FROM times", 200).await).await;
    for (sql, expected) in [
        // By hand: the numbers are 0 to 199.
        ("SELECT concat(first, ' ', a) FROM second", vec!["0 1"]),
        ("SELECT concat(k, ' ', x) FROM latest WHERE k IN ('k00', 'k39') ORDER BY k", vec!["k00 160", "k39 199"]),
        (
            "SELECT concat(CAST(at AS VARCHAR), ' ', n) FROM times ORDER BY at LIMIT 1",
            vec!["2026-03-01 00:00:00+00 67"],
        ),
        ("SELECT concat(u, ' ', n) FROM users WHERE u IS NOT NULL ORDER BY u", vec!["u0 100", "u1 100"]),
        ("SELECT concat(ks, ' ', down) FROM joined", vec!["k00,k01,k02,k03 k03k02k01k00"]),
        (
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'few' AND table_schema = 'public' \
             ORDER BY ordinal_position",
            vec!["k", "x", "f", "line", "tags", "items"],
        ),
    ] {
        assert_eq!(texts(&local.client, sql).await, expected, "{sql}");
    }
    verify(&local.client, &[]).await;
}

async fn checked(view: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.sql");
    std::fs::write(folder.path().join("names.csv"), "k,name\na,Anna\n").unwrap();
    std::fs::write(&file, format!("{STREAMS}CREATE VIEW v AS {view};\n")).unwrap();
    let output = dovetail().arg("check").arg(&file).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap().replace(&file.display().to_string(), "p.sql");
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_the_truth() {
    for (view, message, hint) in [
        (
            "SELECT g, count(*) FROM (SELECT k AS g FROM s UNION ALL SELECT k FROM other) GROUP BY g",
            "UNION of the streams `other` and `s`",
            "UNION ALL",
        ),
        ("SELECT count(DISTINCT k, x) FROM s", "`count(DISTINCT VARCHAR, BIGINT)` cannot be folded", "named_struct"),
        ("SELECT DISTINCT ON (k) k, x FROM s", "without ORDER BY", "ORDER BY"),
        ("SELECT k FROM s TABLESAMPLE (10)", "TABLESAMPLE is not supported", "a hash of a column"),
        (
            "SELECT count(*) FROM s WHERE k NOT IN (SELECT k FROM names)",
            "`NOT IN (SELECT ..)` over a lookup",
            "NOT EXISTS",
        ),
        (
            "SELECT tag, count(*) FROM s CROSS JOIN UNNEST(tags) AS u (tag) GROUP BY 1",
            "UNNEST of a column in FROM",
            "unnest(tags) AS tag",
        ),
        ("SELECT tag FROM s, LATERAL unnest(s.tags) AS u (tag)", "UNNEST of a column in FROM", "unnest(tags) AS tag"),
    ] {
        let (is_good, said) = checked(view).await;
        assert!(!is_good, "`{view}` was accepted: {said}");
        assert!(said.starts_with("p.sql:6: in view `v`: ") && said.contains(message), "{view}: {said}");
        assert!(said.contains("\n  hint: ") && said.contains(hint), "{view}: {said}");
    }
    let (is_good, said) = checked("SELECT k, count(*) AS n FROM s GROUP BY k ORDER BY n LIMIT 3").await;
    assert!(is_good && said.contains("p.sql:6: in view `v`: LIMIT without an ORDER BY"), "{said}");
    for view in [
        "SELECT 100 / x AS e, count(*) AS n FROM s GROUP BY e",
        "SELECT to_timestamp(line) AS at, count(*) AS n FROM s GROUP BY at",
        "SELECT string_agg(DISTINCT k, ',') AS ks FROM s",
    ] {
        assert_eq!(checked(view).await, (true, String::new()), "{view}");
    }
}
