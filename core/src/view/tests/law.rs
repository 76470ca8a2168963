//! `finish([fold(a ++ b)]) == finish([fold(a), fold(b)])`, for every supported aggregate, random rows, random
//! cuts, random merge orders, with states that went through Parquet; and equal to plain DataFusion.

use std::sync::Arc;

use arrow::array::RecordBatch;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::{Exactness, compare_answers};
use super::rows::{FoldedRow, answer, batch, fold, one_shot, row, through_parquet, view};

/// Every aggregate that has a state which merges, with and without groups, filters and DISTINCT.
const VIEWS: &[&str] = &[
    "SELECT k, count(*) AS n, count(i) AS ni, sum(i) AS s, min(i) AS lo, max(i) AS hi, avg(i) AS m FROM s GROUP BY k",
    "SELECT count(*) AS n, sum(dec) AS s, avg(dec) AS m, min(f) AS lo, max(f) AS hi FROM s",
    "SELECT k, g, min(k) AS lo, max(k) AS hi, min(t) AS first, max(t) AS last FROM s GROUP BY k, g",
    "SELECT k, sum(f) AS s, avg(f) AS m FROM s WHERE f = f GROUP BY k",
    "SELECT g, stddev(i) AS a, stddev_pop(i) AS b, var_samp(i) AS c, var_pop(i) AS d FROM s GROUP BY g",
    "SELECT g, covar_pop(i, g) AS a, covar_samp(i, g) AS b FROM s GROUP BY g",
    "SELECT k, sum(w) AS s, avg(w) AS m, stddev(w) AS d, var_pop(w) AS v, sum(DISTINCT w) AS x FROM s GROUP BY k",
    "SELECT sum(w) AS s, avg(w) AS m, stddev_pop(w) AS d, var_samp(w) AS v, avg(DISTINCT w) AS x FROM s",
    "SELECT g, corr(w, f) AS a, covar_samp(w, f) AS b, regr_slope(f, i) AS c, regr_intercept(f, i) AS d, regr_r2(w, f) AS e, regr_sxx(i, w) AS h, regr_count(w, f) AS n FROM s GROUP BY g",
    "SELECT w, w / (w - w) AS q, count(*) AS n, min(w) AS lo, max(w) AS hi, count(DISTINCT w) AS d FROM s GROUP BY 1, 2",
    "SELECT k, sum(CAST(w AS REAL)) AS s, avg(CAST(f AS REAL)) AS m, sum(dec) AS d, avg(dec) AS e FROM s WHERE abs(w) < 1e30 GROUP BY k",
    "SELECT k, sum(i * 1000000007) AS s, avg(i * 1000000007) AS m FROM s GROUP BY k",
    "SELECT k, bool_and(b) AS a, bool_or(b) AS o, bit_and(i) AS x, bit_or(i) AS y, bit_xor(i) AS z FROM s GROUP BY k",
    "SELECT k, approx_distinct(i) AS d, approx_distinct(k) AS e FROM s GROUP BY k",
    "SELECT approx_distinct(i) AS d FROM s",
    "SELECT k, count(DISTINCT i) AS d, count(DISTINCT k) AS e, sum(DISTINCT i) AS s FROM s GROUP BY k",
    "SELECT count(DISTINCT i) AS d, count(*) FILTER (WHERE b) AS n FROM s",
    "SELECT k, median(i) AS m, median(f) AS n FROM s WHERE f = f GROUP BY k",
    "SELECT k, percentile_cont(0.9) WITHIN GROUP (ORDER BY i) AS p FROM s GROUP BY k",
    "SELECT k, first_value(i ORDER BY t) AS a, last_value(i ORDER BY t, i) AS b, last_value(f ORDER BY _offset) AS c FROM s GROUP BY k",
    "SELECT first_value(k ORDER BY _offset DESC) AS a, nth_value(i, 2 ORDER BY _offset) AS b FROM s",
    "SELECT k, array_agg(i ORDER BY t, i) AS a, string_agg(k, ',' ORDER BY _offset) AS b FROM s GROUP BY k",
    "SELECT k, sum(i) FILTER (WHERE g > 1) AS a, min(f) FILTER (WHERE f > 0 AND f < 1e7) AS c FROM s GROUP BY k",
    "SELECT k, i % 3 AS r, CASE WHEN f > 0 THEN 'pos' WHEN f < 0 THEN 'neg' ELSE 'none' END AS c, count(*) AS n FROM s GROUP BY 1, 2, 3",
    "SELECT date_bin(interval '1 hour', t) AS hour, count(*) AS n FROM s WHERE t IS NOT NULL GROUP BY 1",
    "SELECT date_trunc('day', t) AS day, k, max(i) AS m FROM s GROUP BY 1, 2 HAVING count(*) > 1",
    "SELECT tag, count(*) AS n, sum(i) AS s FROM (SELECT i, unnest(tags) AS tag FROM s) GROUP BY tag",
    "SELECT w, count(*) AS n FROM (SELECT unnest([date_trunc('hour', t), date_trunc('hour', t) - interval '1 hour']) AS w FROM s) GROUP BY w",
    "SELECT n.name, count(*) AS c, sum(s.i) AS t FROM s LEFT JOIN names n ON s.k = n.k GROUP BY n.name",
    "SELECT s.k, count(*) AS c FROM s JOIN names n ON s.k = n.k WHERE n.name LIKE 'A%' GROUP BY s.k",
    "SELECT k, count(*) AS c FROM s WHERE k IN (SELECT k FROM names) GROUP BY k",
    "SELECT DISTINCT k, b FROM s",
    "SELECT avg(n) AS m, count(*) AS groups FROM (SELECT k, count(*) AS n FROM s GROUP BY k)",
    "SELECT k, n, rank() OVER (ORDER BY n DESC, k) AS r FROM (SELECT k, count(*) AS n FROM s GROUP BY k)",
    "SELECT k, count(*) AS n FROM s GROUP BY k ORDER BY n DESC, k LIMIT 2",
    "SELECT k, sum(i) * 2 + count(*) AS x, sum(i) > 10 AS big FROM s GROUP BY k HAVING sum(i) IS NOT NULL",
    "SELECT k, g, count(*) AS n, grouping(k) AS gk FROM s WHERE i > -2000 GROUP BY GROUPING SETS ((k, g), (k)) ",
    "SELECT arrow_cast(g, 'Int64') AS g, sum(arrow_cast(i, 'Decimal128(20, 2)')) AS s, count(*) FILTER (WHERE arrow_cast(i, 'Int16') > 0) AS n FROM s WHERE i BETWEEN -900 AND 900 GROUP BY 1",
    "SELECT k, i, upper(k) AS u, _offset FROM s WHERE i > 0",
    "SELECT k, i, _offset FROM s ORDER BY i DESC, _offset LIMIT 5",
    "SELECT k, count(*) AS n FROM (SELECT k FROM s WHERE b UNION ALL SELECT k FROM s WHERE i > 0) GROUP BY k",
    "SELECT g, mode(k) AS a, mode(i) AS b, mode(f) AS c, mode(t) AS d FROM s GROUP BY g",
    "SELECT mode(k) AS m, histogram(k) AS h FROM s",
    "SELECT k, histogram(i) AS a, histogram(f) AS b, histogram(b) AS c FROM s GROUP BY k",
    "SELECT k, max_by(i, t) AS a, min_by(k, f) AS b, max_by(f, i) AS c, min_by(t, b) AS d FROM s GROUP BY k",
    "SELECT max_by(k, i) AS a, min_by(i, k) AS b FROM s",
    "SELECT g, approx_distinct(f) AS a, approx_distinct(arrow_cast(f, 'Float32')) AS b, approx_distinct(dec) AS c FROM s GROUP BY g",
    "SELECT approx_distinct(f) AS a, approx_distinct_bounds(f) AS b, approx_distinct_bounds(k) AS c FROM s",
    "SELECT k, approx_distinct_bounds(i) AS a, approx_distinct_bounds(b) AS c FROM s GROUP BY k",
    "SELECT k, avg(t) AS m FROM s GROUP BY k",
    "SELECT avg(t) AS m, avg(arrow_cast(t, 'Date32')) AS d FROM s",
];

/// Sketches, of few values.
const SKETCHES: &[&str] = &[
    "SELECT k, approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY i) AS p, approx_median(i) AS m FROM s GROUP BY k",
    "SELECT k, approx_top_k(i, 3) AS a, approx_top_k(f, 100) AS b FROM s GROUP BY k",
    "SELECT approx_top_k(k, 2) AS a FROM s",
];

/// The cuts, and the two pieces to merge next.
#[derive(Debug, Clone)]
pub(super) struct Cutting {
    pub(super) cuts: Vec<prop::sample::Index>,
    merges: Vec<prop::sample::Index>,
    parquet: bool,
}

pub(super) fn cutting() -> impl Strategy<Value = Cutting> {
    let indices = || prop::collection::vec(any::<prop::sample::Index>(), 0..6);
    (indices(), indices(), any::<bool>()).prop_map(|(cuts, merges, parquet)| Cutting { cuts, merges, parquet })
}

pub(super) fn pieces(rows: &RecordBatch, cuts: &[prop::sample::Index]) -> Vec<RecordBatch> {
    let mut ends: Vec<usize> = cuts.iter().map(|c| c.index(rows.num_rows() + 1)).collect();
    ends.push(rows.num_rows());
    ends.sort_unstable();
    let mut from = 0;
    let cut = |end| {
        let piece = rows.slice(from, end - from);
        from = end;
        piece
    };
    ends.into_iter().map(cut).collect()
}

async fn check(sql: &str, rows: &[FoldedRow], cutting: &Cutting) -> Result<(), TestCaseError> {
    let view = view(sql).await;
    let rows = batch(rows);
    let mut states = vec![];
    for piece in pieces(&rows, &cutting.cuts) {
        states.push(fold(&view, &piece).await);
    }
    for pick in &cutting.merges {
        let left = states.swap_remove(pick.index(states.len()));
        let Some(right) = states.pop() else {
            states.push(left);
            break;
        };
        let merged = view.merge(&[right, left].concat()).unwrap();
        states.push(if cutting.parquet { through_parquet(&view, &merged) } else { merged });
    }
    let answered = answer(&view, &states.concat()).await;
    let expected = one_shot(sql, &rows).await;
    let schema = answered.first().or(expected.first()).map_or_else(|| view.answer_schema(), RecordBatch::schema);
    let expected: Vec<RecordBatch> =
        expected.iter().map(|b| RecordBatch::try_new(Arc::clone(&schema), b.columns().to_vec()).unwrap()).collect();
    // A t-digest of so few rows holds each of them: it has no excuse.
    let columns = vec![Exactness::Bits; view.answer_exactness().len()];
    let different = compare_answers(&schema, &expected, &answered, &columns).unwrap();
    prop_assert!(different.is_empty(), "{sql}\nplain DataFusion | fold, merge, finish:\n{different:#?}");
    Ok(())
}

pub(super) fn run(views: &[&str], cases: u32, least_rows: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut failures = vec![];
    for sql in views {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let inputs = (prop::collection::vec(row(), least_rows..60), cutting());
        let outcome =
            TestRunner::new(config).run(&inputs, |(rows, cutting)| runtime.block_on(check(sql, &rows, &cutting)));
        failures.extend(outcome.err().map(|failed| format!("{sql}\n{failed}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn folding_in_pieces_is_folding_at_once() {
    run(VIEWS, 24, 0);
}

#[test]
fn sketches_of_few_values_are_exact() {
    run(SKETCHES, 24, 0);
}
