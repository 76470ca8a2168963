//! Records whose evaluation fails: which of them are left out depends on nothing but themselves, whatever the batches,
//! the cuts and the layer; and all the others are folded as if those had never been there.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::{FoldError, FoldedPiece, Folder, Planned, RowErrors, Tally, View, compare_answers, fold_table};
use super::law::{cutting, pieces};
use super::rows::{FoldedRow, answer, batch, of_g, one_shot, plan_with, row};
use crate::pipeline::OnError;

/// Views in which rows fail, and the rows that do not.
const VIEWS: &[(&str, &str)] = &[
    ("SELECT k, sum(100 / i) AS s, count(*) AS n FROM s GROUP BY k", "i IS NULL OR i <> 0"),
    ("SELECT k, sum(i * 18446744073709551) AS s, avg(f) AS m FROM s GROUP BY k", "i IS NULL OR abs(i) <= 500"),
    ("SELECT 100 % g AS r, count(*) AS n FROM s GROUP BY 1", "g IS NULL OR g <> 0"),
    ("SELECT k, count(*) FILTER (WHERE 10 / g > 2) AS n FROM s GROUP BY k", "g IS NULL OR g <> 0"),
    ("SELECT k, count(*) AS n FROM s WHERE 10 / g > 2 GROUP BY k", "g IS NULL OR g <> 0"),
    ("SELECT k, 10 / g AS q, _offset FROM s WHERE i > 0", "NOT (coalesce(i, 0) > 0 AND coalesce(g, 1) = 0)"),
    (
        "SELECT k, count(*) AS n FROM s WHERE i > 0 AND 10 / g > 2 GROUP BY k",
        "NOT (coalesce(i > 0, true) AND coalesce(g, 1) = 0)",
    ),
    (
        "SELECT CASE WHEN g > 0 THEN 10 / g ELSE 1 / i END AS c, count(*) AS n FROM s GROUP BY 1",
        "coalesce(g, 0) > 0 OR i IS NULL OR i <> 0",
    ),
    ("SELECT CAST(k AS BIGINT) AS n, sum(i) AS s FROM s GROUP BY 1", "k IS NULL"),
    (
        "SELECT tag, count(*) AS n FROM (SELECT unnest(tags) AS tag, 10 / g AS q FROM s) WHERE q > 0 GROUP BY tag",
        "g IS NULL OR g <> 0",
    ),
    ("SELECT n.name, sum(10 / s.g) AS t FROM s LEFT JOIN names n ON s.k = n.k GROUP BY n.name", "g IS NULL OR g <> 0"),
    (
        "SELECT k, count(*) AS n FROM (SELECT k FROM s WHERE 10 / g > 2 UNION ALL SELECT k FROM s WHERE i > 0) GROUP BY k",
        "g IS NULL OR g <> 0",
    ),
    (
        "SELECT k, sum(10 / g) AS s, grouping(k) AS gk FROM s GROUP BY GROUPING SETS ((k, b), (k))",
        "g IS NULL OR g <> 0",
    ),
];

async fn view(sql: &str, on_error: OnError) -> Arc<View> {
    match plan_with(sql, Some(on_error)).await.unwrap() {
        Planned::Folded(view) => view,
        Planned::Derived(_) => panic!("`{sql}` is derived"),
    }
}

/// The rows for which `condition` holds, and the tally of the others.
async fn split(rows: &RecordBatch, condition: &str) -> (RecordBatch, Tally) {
    let kept = one_shot(&format!("SELECT _offset AS o FROM s WHERE {condition}"), rows).await;
    let kept: Vec<i64> = kept.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    let offsets = rows.column_by_name("_offset").unwrap().as_primitive::<Int64Type>();
    let mask: BooleanArray = offsets.values().iter().map(|offset| Some(kept.contains(offset))).collect();
    let left_out = offsets.values().iter().filter(|offset| !kept.contains(offset));
    let tally = left_out.fold(Tally::default(), |all, &offset| all + Tally::of(0, offset));
    (filter_record_batch(rows, &mask).unwrap(), tally)
}

async fn fold(view: &Arc<View>, piece: &RecordBatch) -> (Vec<RecordBatch>, RowErrors) {
    let mut folder = Folder::new(view).unwrap();
    folder.fold(piece).await.unwrap();
    (folder.take_state().unwrap(), folder.take_errors())
}

async fn as_table(view: &Arc<View>, pieces: Vec<RecordBatch>) -> (Vec<RecordBatch>, RowErrors) {
    let table = MemTable::try_new(pieces[0].schema(), pieces.into_iter().map(|piece| vec![piece]).collect()).unwrap();
    let mut fold = fold_table(view, &table, &SessionContext::new(), true).await.unwrap();
    let (mut states, mut errors) = (vec![], RowErrors::default());
    while let Some(piece) = fold.next().await.unwrap() {
        match piece {
            FoldedPiece::State(state) => states.extend(state),
            FoldedPiece::Errors(more) => errors.append(&more),
        }
    }
    (states, errors)
}

async fn check(
    (sql, condition): (&str, &str),
    rows: &[FoldedRow],
    cuts: &[prop::sample::Index],
) -> Result<(), TestCaseError> {
    let view = view(sql, OnError::DeadLetter).await;
    let rows = batch(rows);
    let (kept, tally) = split(&rows, condition).await;
    // A batch may fail although none of its rows does: what `AND` skips for one row it evaluates for the next.
    let no_zero = sql.replace("/ g", "/ nullif(g, 0)").replace("/ i", "/ nullif(i, 0)");
    let expected = one_shot(&no_zero, &kept).await;
    let pieces = pieces(&rows, cuts);
    let (mut states, mut errors) = (vec![], RowErrors::default());
    for piece in &pieces {
        let (state, more) = fold(&view, piece).await;
        states.extend(state);
        errors.append(&more);
    }
    for (what, (states, errors)) in [("pieces", (states, errors)), ("table", as_table(&view, pieces).await)] {
        prop_assert_eq!(errors.tally, tally, "{}, {}: {:#?}", what, sql, errors.listed);
        let answered = answer(&view, &states).await;
        let schema = answered.first().or(expected.first()).map_or_else(|| view.answer_schema(), RecordBatch::schema);
        let expected: Vec<RecordBatch> =
            expected.iter().map(|b| RecordBatch::try_new(Arc::clone(&schema), b.columns().to_vec()).unwrap()).collect();
        let different = compare_answers(&schema, &expected, &answered, view.answer_exactness()).unwrap();
        prop_assert!(different.is_empty(), "{what}, {sql}\nwithout the rows that fail | folded:\n{different:#?}");
    }
    Ok(())
}

#[test]
fn which_rows_fail_depends_on_nothing_but_the_rows() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut failures = vec![];
    for &(sql, condition) in VIEWS {
        let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
        let inputs = (prop::collection::vec(row(), 0..60), cutting());
        let outcome = TestRunner::new(config)
            .run(&inputs, |(rows, cutting)| runtime.block_on(check((sql, condition), &rows, &cutting.cuts)));
        failures.extend(outcome.err().map(|failed| format!("{sql}\n{failed}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Rows `g = 2, 0, 1, 0`.
fn few() -> RecordBatch {
    batch(&[2, 0, 1, 0].map(of_g))
}

#[tokio::test]
async fn a_row_that_fails_says_where_and_on_what() {
    let view = view("SELECT abs(10 / g) AS q, count(*) AS n FROM s GROUP BY 1", OnError::DeadLetter).await;
    let (_, errors) = fold(&view, &few()).await;
    assert_eq!(errors.listed.iter().map(|e| (e.partition, e.offset)).collect::<Vec<_>>(), [(0, 1), (0, 4)]);
    let first = &errors.listed[0];
    assert_eq!((first.expression.as_str(), first.value.as_str()), ("10 / g", "g = 0"), "{first}");
    assert!(first.error.contains("Divide by zero"), "{first}");
}

#[tokio::test]
async fn with_null_the_part_that_fails_is_null() {
    let view = view("SELECT g, sum(coalesce(10 / g, -1)) AS s, count(*) AS n FROM s GROUP BY g", OnError::Null).await;
    let (state, errors) = fold(&view, &few()).await;
    assert!(errors.is_empty(), "{errors:?}");
    let answered = answer(&view, &state).await;
    let text = arrow::util::pretty::pretty_format_batches(&answered).unwrap().to_string();
    for row in ["| 0 | -2 | 2 |", "| 1 | 10 | 1 |", "| 2 | 5  | 1 |"] {
        assert!(text.contains(row), "{text}");
    }
}

#[tokio::test]
async fn with_stop_all_rows_before_it_are_folded_and_none_after() {
    let view = view("SELECT sum(10 / g) AS s, count(*) AS n FROM s", OnError::Stop).await;
    let mut folder = Folder::new(&view).unwrap();
    let Err(FoldError::Row(error)) = folder.fold(&few()).await else { panic!("it did not stop") };
    assert_eq!(error.offset, 1);
    let answered = answer(&view, &folder.take_state().unwrap()).await;
    assert_eq!(answered[0].column(1).as_primitive::<Int64Type>().value(0), 1);
}

#[tokio::test]
async fn a_table_without_places_says_that_it_needs_them() {
    let view = view("SELECT sum(10 / g) AS s FROM s", OnError::DeadLetter).await;
    let table = MemTable::try_new(few().schema(), vec![vec![few()]]).unwrap();
    let mut fold = fold_table(&view, &table, &SessionContext::new(), false).await.unwrap();
    assert!(matches!(fold.next().await, Err(FoldError::Unplaced)));
}
