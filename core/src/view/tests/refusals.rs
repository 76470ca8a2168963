//! A view that cannot be folded is refused when it is made, with a message and a remedy.

use super::super::Planned;
use super::rows::plan;

async fn check(sql: &str, message: &str, hint: &str) {
    match plan(sql).await {
        Ok(_) => panic!("`{sql}` was accepted"),
        Err(error) => {
            assert_eq!(error.to_string(), message, "{sql}");
            assert!(error.hint().is_some_and(|h| h.contains(hint)), "{sql}: hint {:?}", error.hint());
        }
    }
}

#[tokio::test]
async fn joins_that_no_row_decides_are_refused() {
    check(
        "SELECT count(*) FROM s JOIN other o ON s.k = o.k",
        "a join of two streams cannot be folded: rows that belong together may lie on both sides of the cut",
        "a view of each stream",
    )
    .await;
    check(
        "SELECT count(*) FROM s a JOIN s b ON a.k = b.k",
        "a join of two streams cannot be folded: rows that belong together may lie on both sides of the cut",
        "a view of each stream",
    )
    .await;
    let kept = "join keeps lookup rows without a match, which no single row of the stream decides";
    check(
        "SELECT n.k, count(*) FROM names n LEFT JOIN s ON s.k = n.k GROUP BY 1",
        &format!("Left {kept}"),
        "FROM stream LEFT JOIN",
    )
    .await;
    check(
        "SELECT n.k, count(*) FROM s RIGHT JOIN names n ON s.k = n.k GROUP BY 1",
        &format!("Right {kept}"),
        "FROM stream LEFT JOIN",
    )
    .await;
    check("SELECT count(*) FROM s FULL JOIN names n ON s.k = n.k", &format!("Full {kept}"), "FROM stream LEFT JOIN")
        .await;
}

#[tokio::test]
async fn what_depends_on_all_rows_is_refused_below_the_aggregate() {
    check(
        "SELECT k, max(r) FROM (SELECT k, row_number() OVER (PARTITION BY k ORDER BY t) AS r FROM s) GROUP BY k",
        "a window function below the aggregate cannot be folded: it depends on all rows at once",
        "above the aggregate",
    )
    .await;
    check(
        "SELECT count(*) FROM (SELECT k FROM s LIMIT 10)",
        "LIMIT below the aggregate cannot be folded: it depends on all rows at once",
        "above the aggregate",
    )
    .await;
}

#[tokio::test]
async fn functions_that_answer_differently_each_time_are_refused_below_the_aggregate() {
    for (sql, name) in [
        ("SELECT count(*) FROM s WHERE t > now()", "now"),
        ("SELECT random() > 0.5 AS r, count(*) FROM s GROUP BY 1", "random"),
        ("SELECT sum(i * random()) FROM s", "random"),
        ("SELECT k, uuid() AS u FROM s", "uuid"),
    ] {
        let message = format!("`{name}()` below the aggregate gives another answer each time a row is folded");
        check(sql, &message, "above the aggregate").await;
    }
    assert!(matches!(plan("SELECT k, max(t) < now() AS old FROM s GROUP BY k").await, Ok(Planned::Folded(_))));
}

#[tokio::test]
async fn aggregates_that_depend_on_arrival_need_an_order() {
    for name in ["first_value", "last_value", "array_agg"] {
        let message = format!("`{name}()` without ORDER BY depends on the order in which rows are folded");
        check(&format!("SELECT {name}(i) FROM s"), &message, "ORDER BY _offset").await;
    }
    check(
        "SELECT string_agg(k, ',') FROM s",
        "`string_agg()` without ORDER BY depends on the order in which rows are folded",
        "ORDER BY",
    )
    .await;
    check(
        "SELECT nth_value(i, 2) FROM s",
        "`nth_value()` without ORDER BY depends on the order in which rows are folded",
        "ORDER BY",
    )
    .await;
    check("SELECT any_value(i) FROM s", "`any_value()` may answer differently in each layer", "min(x)").await;
    check(
        "SELECT first_value(i ORDER BY t) FROM (SELECT i, t FROM s)",
        "`first_value()` cannot decide between rows that ORDER BY puts level",
        "`_offset`",
    )
    .await;
}

#[tokio::test]
async fn one_aggregate_over_one_stream() {
    check(
        "SELECT a.k, a.n, b.m FROM (SELECT k, count(*) AS n FROM s GROUP BY k) a JOIN (SELECT k, max(i) AS m FROM s GROUP BY k) b ON a.k = b.k",
        "two aggregates over streams in one view cannot be folded",
        "a view of each",
    )
    .await;
    check(
        "SELECT k, count(*) FROM s WHERE i > (SELECT avg(i) FROM other) GROUP BY k",
        "a subquery over the stream `other` cannot be folded",
        "view of the subquery",
    )
    .await;
    check(
        "SELECT k FROM s UNION ALL SELECT k FROM names",
        "UNION of a stream with a lookup cannot be folded",
        "union in the query",
    )
    .await;
}
