//! Values by hand, and bounds that hold. That states merge in any order is the law's test, in `view`.

#![expect(clippy::disallowed_methods, reason = "each run tries others")]

use std::collections::HashMap;

use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::register;

async fn answer(sql: &str) -> String {
    let context = SessionContext::new();
    register(&context);
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let rows: Vec<&str> = table.lines().skip(3).filter(|line| line.starts_with('|')).collect();
    rows.iter().map(|row| row.trim_matches(['|', ' '])).collect::<Vec<_>>().join("\n")
}

async fn refused(sql: &str) -> String {
    let context = SessionContext::new();
    register(&context);
    match context.sql(sql).await {
        Err(error) => error.strip_backtrace(),
        Ok(query) => query.collect().await.unwrap_err().strip_backtrace(),
    }
}

/// By hand.
#[tokio::test]
async fn values_are_right() {
    let of = |function: &str, values: &str| format!("SELECT {function} FROM (VALUES {values}) t(x, y)");
    for (function, values, right) in [
        ("mode(x)", "(3, 1), (2, 1), (2, 1), (3, 1), (1, 1)", "2"),
        ("mode(x)", "('b', 1), (NULL, 1), (NULL, 1), ('b', 1), ('a', 1)", "b"),
        ("mode(x)", "(CAST(NULL AS INT), 1)", ""),
        ("histogram(x)", "('b', 1), ('a', 1), (NULL, 1), ('b', 1)", "[{value: a, count: 1}, {value: b, count: 2}]"),
        ("max_by(x, y)", "('a', 1), ('b', 3), ('c', 2), ('d', NULL), (NULL, 9)", "b"),
        ("max_by(x, y)", "('a', 3), ('b', 3), ('c', 2)", "b"),
        ("min_by(x, y)", "('b', 1), ('a', 1), ('c', 2)", "a"),
        ("max_by(x, y)", "(1, 1.5), (2, 'NaN'::double), (3, 9e99)", "2"),
        (
            "approx_top_k(x, 2)",
            "('a', 1), ('b', 1), ('b', 1), ('c', 1)",
            "[{value: b, least: 2, most: 2}, {value: a, least: 1, most: 1}]",
        ),
        ("approx_distinct(x)", "(0.0, 1), (-0.0, 1), ('NaN'::double, 1), (-'NaN'::double, 1), (1.5, 1)", "3"),
        ("approx_distinct_bounds(x)", "(1, 1), (2, 1), (2, 1)", "{lower: 1, estimate: 2, upper: 3}"),
        ("approx_percentile_bounds(x, 0.5)", "(1, 1), (1, 1), (1, 1)", "{lower: 1.0, estimate: 1.0, upper: 1.0}"),
        (
            "avg(x)",
            "(TIMESTAMP '2026-01-01 00:00:00', 1), (TIMESTAMP '2026-01-01 00:00:03', 1), (NULL, 1)",
            "2026-01-01T00:00:01.500",
        ),
        ("avg(x)", "(DATE '2026-01-01', 1), (DATE '2026-01-02', 1)", "2026-01-01T12:00:00"),
        ("avg(x)", "(1, 1), (2, 1)", "1.5"),
    ] {
        assert_eq!(answer(&of(function, values)).await, right, "{function} of {values}");
    }
    for wrong in ["approx_top_k(x, 0)", "approx_top_k(x, y)", "approx_percentile_bounds(x, 2)"] {
        let said = refused(&of(wrong, "(1, 1)")).await;
        assert!(said.contains('`'), "{wrong}: {said}");
    }
}

/// Of far more values than counters, in many pieces.
#[tokio::test]
async fn bounds_hold() {
    let seed = rand::random::<u64>();
    let mut random = StdRng::seed_from_u64(seed);
    let values: Vec<i64> = (0..60_000).map(|_| (1.0 / random.random_range(0.00001..1.0_f64)) as i64).collect();
    let mut counts = HashMap::<i64, i64>::new();
    values.iter().for_each(|value| *counts.entry(*value).or_default() += 1);
    let context = SessionContext::new();
    register(&context);
    let pieces: Vec<Vec<_>> = values
        .chunks(1000)
        .map(|piece| {
            let column: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::Int64Array::from(piece.to_vec()));
            vec![arrow::array::RecordBatch::try_from_iter([("x", column)]).unwrap()]
        })
        .collect();
    let table = datafusion::datasource::MemTable::try_new(pieces[0][0].schema(), pieces).unwrap();
    context.register_table("t", std::sync::Arc::new(table)).unwrap();
    let sql =
        "SELECT u['value'] AS v, u['least'] AS l, u['most'] AS m FROM (SELECT unnest(approx_top_k(x, 20)) AS u FROM t)";
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let mut seen = 0;
    for batch in batches {
        let column = |i: usize| {
            use arrow::array::AsArray;
            batch.column(i).as_primitive::<arrow::datatypes::Int64Type>().clone()
        };
        let (value, least, most) = (column(0), column(1), column(2));
        for row in 0..batch.num_rows() {
            let truth = counts[&value.value(row)];
            assert!(
                least.value(row) <= truth && truth <= most.value(row),
                "seed {seed}: {} came {truth} times",
                value.value(row)
            );
            assert!(most.value(row) - least.value(row) <= 60_000 / 1024, "seed {seed}");
            seen += 1;
        }
    }
    assert_eq!(seen, 20);
    let truth = counts.len() as u64;
    let bounds = "SELECT b['lower'] <= {n} AND {n} <= b['upper'] FROM (SELECT approx_distinct_bounds(x) AS b FROM t)";
    let batches = context.sql(&bounds.replace("{n}", &truth.to_string())).await.unwrap().collect().await.unwrap();
    assert!(
        pretty_format_batches(&batches).unwrap().to_string().contains("true"),
        "{truth} distinct values, seed {seed}"
    );
}
