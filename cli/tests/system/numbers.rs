//! Numbers over the whole way: records to both layers, a run between two halves, answers over HTTP, `verify`.

use serde_json::{Value, json};

use crate::support::{Local, config, eventually, rows, texts, try_number, verify};

const PIPELINE: &str = "
    CREATE EXTERNAL TABLE s (g VARCHAR, q INT, p INT, b BIGINT, d DOUBLE, y DOUBLE, r REAL, n DECIMAL(38,2))
    STORED AS JSON LOCATION 'kafka://s' OPTIONS ('partitions' '1');
    CREATE VIEW whole AS SELECT count(*) AS rows, sum(q) AS sq, sum(b) AS sb, avg(b) AS ab, sum(n) AS sn, avg(n) AS an FROM s;
    CREATE VIEW floats AS
    SELECT g, sum(d) AS sd, avg(d) AS ad, stddev(d) AS dev, var_pop(d) AS vp, covar_samp(y, d) AS cs, corr(y, d) AS co,
           regr_slope(y, d) AS sl, regr_intercept(y, d) AS ic, regr_r2(y, d) AS r2, sum(r) AS sr, avg(r) AS ar
    FROM s GROUP BY g;
    CREATE VIEW near AS SELECT stddev(d) AS dev, corr(y, d) AS co FROM s WHERE g = 'near';
    CREATE VIEW quotients AS SELECT (d - d) / (d - d) AS nan, -(d - d) AS zero, count(*) AS n, min(-(d - d)) AS lo
    FROM s GROUP BY 1, 2;
";

fn record(i: usize) -> Value {
    let near = [1000000000.1, 1000000000.2, 1000000000.3, 1000000000.4];
    if i < 4 {
        let y = [2.0, 4.1, 5.9, 8.2][i];
        return json!({"g": "near", "q": 1, "p": 1, "b": i64::MAX, "d": near[i], "y": y, "r": 0.1, "n": "1.00"});
    }
    let x = i as f64;
    let d = match i % 3 {
        0 => x.sin() * 1e3,
        1 => x.cos() * 10f64.powi((i % 60) as i32 - 30),
        _ => (i % 100) as f64 / 100.0,
    };
    json!({"g": (i % 5).to_string(), "q": 2_147_483_647, "p": 3, "b": -1, "d": d, "y": x.sqrt(), "r": d, "n": "-0.01"})
}

fn records(from: usize, to: usize) -> Vec<u8> {
    (from..to).map(|i| format!("{}\n", record(i))).collect::<String>().into_bytes()
}

async fn until(local: &Local, sql: &str, expected: i64) {
    let reached = async || (try_number(&local.client, sql).await.ok()? == expected).then_some(());
    eventually(&format!("{expected} from `{sql}`"), reached).await;
}

/// The bits of all floats of a view, so that no printing can hide a difference.
async fn bits(local: &Local, view: &str) -> Vec<String> {
    let batches = rows(&local.client, &format!("SELECT * FROM {view} ORDER BY 1")).await;
    batches.iter().map(|batch| format!("{batch:?}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_layers_hold_the_answers_have_the_same_bits() {
    let local = Local::start(PIPELINE, config()).await;
    // The two layers have two of the near values each, and half of the others.
    local.append("s", records(0, 2)).await;
    local.append("s", records(4, 500)).await;
    until(&local, "SELECT sum(landed) FROM sys.partitions", 498).await;
    let run: Value = local.client.post("/v1/recompute", &json!({})).await.unwrap();
    assert_eq!(run["generation"], 1, "{run}");
    local.append("s", records(2, 4)).await;
    local.append("s", records(500, 1_000)).await;
    until(&local, "SELECT rows FROM whole", 1_000).await;
    let met = bits(&local, "floats").await;

    let text = async |sql: &str| texts(&local.client, sql).await;
    // By hand: 996 times the greatest INT and four ones; 4 times the greatest BIGINT less 996; in PostgreSQL's types.
    assert_eq!(text("SELECT sq FROM whole").await, ["2138893712416"]);
    assert_eq!(text("SELECT sb FROM whole").await, ["36893488147419102232"]);
    assert_eq!(text("SELECT sn FROM whole").await, ["-5.96"]);
    assert_eq!(text("SELECT an FROM whole").await, ["-0.005960"]);
    // Python: statistics over `fractions.Fraction` of the four doubles.
    assert_eq!(text("SELECT dev FROM near").await, ["0.12909941409387804"]);
    assert_eq!(text("SELECT co FROM near").await, ["0.9989923073640595"]);
    // 0/0 is one group, and so are both zeros.
    assert_eq!(text("SELECT n FROM quotients").await, ["1000"]);
    verify(&local.client, &[]).await;

    until(&local, "SELECT sum(landed) FROM sys.partitions", 1_000).await;
    let run: Value = local.client.post("/v1/recompute", &json!({"full": true})).await.unwrap();
    assert_eq!(run["generation"], 2, "{run}");
    until(&local, "SELECT rows FROM batch.whole", 1_000).await;
    assert_eq!(bits(&local, "batch.floats").await, met, "all in the batch layer");
    assert_eq!(bits(&local, "floats").await, met, "after the run");
}

/// In PostgreSQL: "integer out of range", "bigint out of range"; the sums are NUMERIC there.
#[tokio::test(flavor = "multi_thread")]
async fn queries_do_not_wrap() {
    let local = Local::start(PIPELINE, config()).await;
    local.append("s", records(0, 10)).await;
    until(&local, "SELECT rows FROM whole", 10).await;
    let fails = async |sql: &str, expected: &str| match local.client.query(sql).await {
        Ok(answer) => panic!("{sql}: {:?}", answer.1),
        Err(error) => assert!(format!("{error:#}").contains(expected), "{sql}: {error:#}"),
    };
    fails("SELECT CAST(2147483647 AS INT) * CAST(3 AS INT)", "integer out of range").await;
    fails("SELECT 9223372036854775807 + rows FROM whole", "bigint out of range").await;
    fails("SELECT -(rows - 10 - 9223372036854775807 - 1) FROM whole", "bigint out of range").await;
    let sum = "SELECT sum(b) FROM (VALUES (9223372036854775807), (9223372036854775807)) AS v(b)";
    assert_eq!(texts(&local.client, sum).await, ["18446744073709551614"]);
}

const BEYOND: &str = "
    CREATE EXTERNAL TABLE s (id INT, u BIGINT UNSIGNED, t VARCHAR, e DOUBLE) STORED AS JSON LOCATION 'kafka://beyond' OPTIONS ('partitions' '1');
    CREATE VIEW alike AS SELECT count(*) FILTER (WHERE u = 18446744073709551611) AS same,
        count(*) FILTER (WHERE u < 18446744073709551616) AS below, max(u + 18446744073709551616) AS sum FROM s;
    CREATE VIEW floats AS SELECT count(*) AS n, max(CAST(t AS DOUBLE)) AS most FROM s;
    CREATE VIEW reals AS SELECT count(*) AS n, max(CAST(e AS REAL)) AS most FROM s;
    CREATE VIEW perhaps AS SELECT count(TRY_CAST(t AS DOUBLE)) AS n, sum(TRY_CAST(e AS INT)) AS whole FROM s;
    CREATE VIEW moments AS SELECT max(to_timestamp(e)) AS last, count(*) AS n FROM s;
    CREATE VIEW texts AS SELECT max(CAST(t AS TIMESTAMP)) AS last, count(*) AS n FROM s;
";

/// A value beyond every type is an error of the record in each view that computes it, in both layers, and never a value
/// near it. The answers were computed by hand.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_type_does_not_reach_is_no_value_of_it() {
    let local = Local::start(BEYOND, config()).await;
    let records = [
        json!({"id": 1, "u": 18_446_744_073_709_551_611_u64, "t": "1e308", "e": 2.5}),
        json!({"id": 2, "u": 18_446_744_073_709_551_615_u64, "t": "1e400", "e": 1e39}),
        json!({"id": 3, "u": 1, "t": "-1e400", "e": 1e10}),
        json!({"id": 4, "u": 18_446_744_073_709_551_610_u64, "t": "2026-3-1 10:05+02", "e": 1700000000.1234565}),
    ];
    let lines = |records: &[Value]| records.iter().map(|record| format!("{record}\n")).collect::<String>().into_bytes();
    local.append("s", lines(&records[..2])).await;
    until(&local, "SELECT sum(landed) FROM sys.partitions", 2).await;
    let run: Value = local.client.post("/v1/recompute", &json!({})).await.unwrap();
    assert_eq!(run["generation"], 1, "{run}");
    local.append("s", lines(&records[2..])).await;
    for layers in ["both layers", "the batch layer"] {
        for (sql, expected) in [
            ("SELECT same || ' ' || below || ' ' || sum FROM alike", "1 4 36893488147419103231"),
            ("SELECT n || ' ' || most FROM floats", "1 1e+308"),
            ("SELECT n || ' ' || most FROM reals", "3 1e+10"),
            ("SELECT n || ' ' || whole FROM perhaps", "1 1700000002"),
            ("SELECT n || ' ' || last FROM moments", "3 2286-11-20 17:46:40+00"),
            ("SELECT n || ' ' || last FROM texts", "1 2026-03-01 10:05:00"),
        ] {
            let answered = async || (texts(&local.client, sql).await == [expected]).then_some(());
            let what = format!("{expected} from `{sql}` of {layers}, not {:?}", texts(&local.client, sql).await);
            eventually(&what, answered).await;
        }
        let errors = "SELECT view || ' ' || \"offset\" FROM sys.view_errors ORDER BY 1";
        let expected = ["floats 1", "floats 2", "floats 3", "moments 1", "reals 1", "texts 0", "texts 1", "texts 2"];
        assert_eq!(texts(&local.client, errors).await, expected, "{layers}");
        verify(&local.client, &[]).await;
        until(&local, "SELECT sum(landed) FROM sys.partitions", 4).await;
        local.client.post::<Value>("/v1/recompute", &json!({"full": true})).await.unwrap();
    }
}
