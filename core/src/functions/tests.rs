//! The answers of SQL in a context with these functions installed.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use super::install;

fn context() -> SessionContext {
    let context = SessionContext::new();
    install(&context);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("g", Arc::new(StringArray::from(vec!["a", "a", "b", "b"]))),
        ("x", Arc::new(Int32Array::from(vec![Some(2_147_483_647), Some(3), Some(-2_147_483_648), None]))),
        ("b", Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX, i64::MIN, -1]))),
        ("f", Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN]))),
        ("z", Arc::new(Float64Array::from(vec![0.0, 0.0, 0.0, 0.0]))),
        (
            "n",
            Arc::new(
                Decimal128Array::from(vec![10i128.pow(38) - 1, 5, -7, 1]).with_precision_and_scale(38, 2).unwrap(),
            ),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
    context
}

/// The answer, rows separated by `;`.
async fn ask(sql: &str) -> Result<String, String> {
    let text = |error: datafusion::error::DataFusionError| error.strip_backtrace();
    let batches = context().sql(sql).await.map_err(text)?.collect().await.map_err(text)?;
    let mut rows = vec![];
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
            rows.push(values.collect::<Vec<_>>().join(","));
        }
    }
    Ok(rows.join(";"))
}

async fn is(sql: &str, expected: &str) {
    assert_eq!(ask(sql).await.as_deref(), Ok(expected), "{sql}");
}

async fn fails(sql: &str, expected: &str) {
    match ask(sql).await {
        Ok(answer) => panic!("`{sql}` answered {answer}"),
        Err(error) => assert!(error.contains(expected), "{sql}: {error}"),
    }
}

/// The same statements fail in PostgreSQL with "integer out of range", "bigint out of range".
#[tokio::test]
async fn integers_do_not_wrap() {
    fails("SELECT x * CAST(3 AS INT) FROM t", "integer out of range: 2147483647 * 3").await;
    fails("SELECT x + x FROM t WHERE x > 0", "integer out of range").await;
    fails("SELECT -x FROM t", "integer out of range").await;
    fails("SELECT x - CAST(1 AS INT) FROM t WHERE x < 0", "integer out of range").await;
    fails("SELECT b + b FROM t", "bigint out of range").await;
    fails("SELECT b * 2 FROM t", "bigint out of range").await;
    fails("SELECT -b FROM t", "bigint out of range").await;
    fails("SELECT 9223372036854775807 + 1", "bigint out of range").await;
    fails("SELECT count(*) FROM t WHERE x * x > 0", "integer out of range").await;
    fails("SELECT sum(x * x) FROM t", "integer out of range").await;
    fails("SELECT g, max(x) FROM t GROUP BY g HAVING max(b) + 1 > 0", "bigint out of range").await;
    // A number that is written out is a BIGINT.
    is("SELECT x * 3 FROM t WHERE x > 3", "6442450941").await;
    is("SELECT x + NULL FROM t LIMIT 1", "").await;
}

/// PostgreSQL's decimals end much later; where ours end, they fail.
#[tokio::test]
async fn decimals_stay_within_their_precision() {
    fails("SELECT n + n FROM t", "decimal(38, 2) out of range").await;
    fails("SELECT n * n FROM t", "decimal(38, 4) out of range").await;
    fails("SELECT n - (-n) FROM t", "decimal(38, 2) out of range").await;
    is("SELECT n + n FROM t WHERE n < 0", "-0.14").await;
}

/// PostgreSQL: `sum(integer)` is a bigint, `sum(bigint)` a numeric.
#[tokio::test]
async fn sums_of_integers_widen() {
    is(
        "SELECT sum(x), sum(b), arrow_typeof(sum(x)), arrow_typeof(sum(b)) FROM t WHERE g = 'a'",
        "2147483650,18446744073709551614,Int64,Decimal128(38, 0)",
    )
    .await;
    is("SELECT g, sum(b) FROM t GROUP BY g ORDER BY g", "a,18446744073709551614;b,-9223372036854775809").await;
    is("SELECT sum(b) OVER (ORDER BY b DESC) FROM t WHERE g = 'a'", "18446744073709551614;18446744073709551614").await;
    is("SELECT sum(DISTINCT b) FROM t", "-2").await;
    is("SELECT g, sum(x), count(DISTINCT b) FROM t GROUP BY g ORDER BY g", "a,2147483650,1;b,-2147483648,2").await;
    fails("SELECT sum(n) FROM t WHERE n > 0", "`sum(t.n)` of a group is out of range for DECIMAL(38, 2)").await;
    is("SELECT sum(NULL), sum(x) FILTER (WHERE x = 0), avg(x) FILTER (WHERE x = 0) FROM t", ",,").await;
    fails("SELECT sum(g) FROM t", "`sum` takes numbers").await;
}

/// PostgreSQL: `SELECT count(*) FROM (VALUES (0.0::float8), ('-0'), ('NaN'), ('-NaN')) v(f) GROUP BY f` and so on.
#[tokio::test]
async fn there_is_one_zero_and_one_nan() {
    is("SELECT f, count(*) FROM t GROUP BY f ORDER BY f", "0.0,2;NaN,2").await;
    is("SELECT f / z AS q, count(*) FROM t GROUP BY q", "NaN,4").await;
    is(
        "SELECT q, count(*) FROM (SELECT 0.0 / z AS q FROM t UNION ALL SELECT f FROM t) GROUP BY q ORDER BY q",
        "0.0,2;NaN,6",
    )
    .await;
    is("SELECT count(*) FROM (SELECT DISTINCT f FROM t)", "2").await;
    is("SELECT count(DISTINCT f) FROM t", "2").await;
    is("SELECT count(*) FROM t WHERE f = 0.0", "2").await;
    is("SELECT count(*) FROM t WHERE f >= 0.0 AND NOT f < 0.0", "4").await;
    is("SELECT count(*) FROM t WHERE -f <= 0.0", "2").await;
    is("SELECT count(*) FROM t WHERE f IN (0.0, 1.0)", "2").await;
    is("SELECT count(*) FROM t WHERE f BETWEEN 0.0 AND 0.0", "2").await;
    is(
        "SELECT CASE f WHEN 0.0 THEN 'zero' ELSE 'other' END AS c, count(*) FROM t GROUP BY c ORDER BY c",
        "other,2;zero,2",
    )
    .await;
    is("SELECT count(*) FROM t a JOIN t b ON a.f = b.f", "8").await;
    is("SELECT min(f), max(f) FROM t", "0.0,NaN").await;
    is("SELECT g, min(f), max(f) FROM t GROUP BY g ORDER BY g", "a,0.0,0.0;b,NaN,NaN").await;
    is("SELECT rank() OVER (ORDER BY f) AS r FROM t ORDER BY r", "1;1;3;3").await;
    is("SELECT f, count(*) FROM t GROUP BY GROUPING SETS ((f), ()) ORDER BY 2, 1", "0.0,2;NaN,2;,4").await;
    is("SELECT f, g, count(*) FROM t GROUP BY f, g ORDER BY f", "0.0,a,2;NaN,b,2").await;
    is("SELECT f FROM t UNION SELECT z FROM t ORDER BY f", "0.0;NaN").await;
}

/// The names of columns are those that DataFusion gives without these rules.
#[tokio::test]
async fn names_of_columns_stay() {
    let plain = SessionContext::new();
    plain.register_table("t", context().table_provider("t").await.unwrap()).unwrap();
    for sql in [
        "SELECT x * 3 + 1, -x, n * n, sum(x * 2), f > 0.0, f = z FROM t GROUP BY x, n, f, z",
        "SELECT f, x + 1, count(*) FROM t GROUP BY f, x + 1",
        "SELECT g, sum(f) OVER (PARTITION BY f ORDER BY z) FROM t",
        "SELECT DISTINCT f FROM t",
        "SELECT min(f), count(DISTINCT f), nullif(f, 0.0) FROM t GROUP BY f",
    ] {
        let [plain, ours] = [plain.sql(sql).await, context().sql(sql).await].map(|frame| match frame {
            Ok(frame) => {
                let plan = frame.into_optimized_plan().unwrap();
                plan.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
            }
            Err(error) => panic!("{sql}: {error}"),
        });
        assert_eq!(ours, plain, "{sql}");
    }
}
