//! Views that are odd and legal, in random pieces, against plain DataFusion over the same rows; and those that are
//! refused, with what to write instead.

use super::super::{Planned, ViewError};
use super::law::run;
use super::rows::{plan, view};

const VIEWS: &[&str] = &[
    // Subqueries and common table expressions.
    "WITH a AS (SELECT k, i FROM s WHERE i > 0), b AS (SELECT k, i * 2 AS j FROM a) SELECT k, sum(j) AS t FROM b GROUP BY k",
    "WITH s AS (SELECT k, i FROM s) SELECT k, count(*) AS n FROM s GROUP BY k",
    "SELECT k, n FROM (SELECT k, count(*) AS n FROM (SELECT k FROM s WHERE b) GROUP BY k) WHERE n > 1",
    "SELECT u, max(n) AS m FROM (SELECT upper(k) AS u, g, count(*) AS n FROM s GROUP BY 1, 2) GROUP BY u",
    "SELECT count(*) AS n FROM (SELECT DISTINCT k, g FROM s)",
    "SELECT count(*) AS n FROM (SELECT k FROM s ORDER BY i)",
    "SELECT k, count(*) AS n FROM s WHERE i > (SELECT count(*) FROM names) GROUP BY k",
    "SELECT k, (SELECT max(name) FROM names) AS top, count(*) AS n FROM s GROUP BY k",
    "SELECT k, count(*) AS n FROM s WHERE EXISTS (SELECT 1 FROM names n WHERE n.k = s.k AND n.name <> 'Zoe') GROUP BY k",
    "SELECT k, count(*) AS n FROM s WHERE NOT EXISTS (SELECT 1 FROM names n WHERE n.k = s.k) GROUP BY k",
    "SELECT k, count(*) AS n FROM s WHERE k IN (SELECT k FROM names) OR i > 500 GROUP BY k",
    "SELECT k, count(*) AS n FROM s GROUP BY k HAVING k NOT IN (SELECT k FROM names)",
    "SELECT k, count(*) AS n FROM s GROUP BY k HAVING count(*) > (SELECT count(*) FROM names)",
    // Lookups on either side, and twice.
    "SELECT n.name, count(*) AS c FROM names n JOIN s ON s.k = n.k GROUP BY n.name",
    "SELECT n.name, s.k, count(*) AS c FROM names n RIGHT JOIN s ON s.k = n.k GROUP BY 1, 2",
    "SELECT a.name, b.name AS other, count(*) AS c FROM s LEFT JOIN names a ON s.k = a.k LEFT JOIN names b ON a.name = b.name GROUP BY 1, 2",
    "SELECT s.k, count(*) AS c FROM s LEFT JOIN names n ON s.k = n.k AND n.name LIKE 'A%' WHERE n.k IS NULL GROUP BY s.k",
    "SELECT s.k, count(n.name) AS c FROM s LEFT JOIN names n ON s.k < n.k GROUP BY s.k",
    "SELECT s.k, n.name, count(*) AS c FROM s CROSS JOIN names n GROUP BY 1, 2",
    "SELECT k, name, count(*) AS c FROM s JOIN names USING (k) GROUP BY k, name",
    "SELECT s.k, m.c, count(*) AS n FROM s JOIN (SELECT k, count(*) AS c FROM names GROUP BY k) m ON s.k = m.k GROUP BY 1, 2",
    "SELECT v.k, n.name, v.c FROM (SELECT k, count(*) AS c FROM s GROUP BY k) v FULL JOIN names n ON v.k = n.k",
    "SELECT n.name, v.c FROM names n LEFT JOIN (SELECT k, count(*) AS c FROM s GROUP BY k) v ON v.k = n.k",
    "SELECT l.name, count(*) AS c FROM s, LATERAL (SELECT name FROM names WHERE names.k = s.k) l GROUP BY 1",
    "SELECT s.k, x.w, count(*) AS c FROM s JOIN (VALUES ('a', 1), ('', 2)) x (k, w) ON s.k = x.k GROUP BY 1, 2",
    "SELECT x, count(*) AS c FROM s CROSS JOIN generate_series(1, 3) AS t (x) WHERE g = x GROUP BY 1",
    // Grouping sets and grouping by what is computed.
    "SELECT k, g, count(*) AS n, grouping(k) AS a, grouping(k, g) AS b FROM s GROUP BY ROLLUP (k, g)",
    "SELECT k, b, sum(i) AS n FROM s GROUP BY CUBE (k, b)",
    "SELECT k, g, count(DISTINCT i) AS n FROM s GROUP BY GROUPING SETS ((k), (g), ())",
    "SELECT k IS NULL AS no_k, i % 2 = 0 AS even, count(*) AS n FROM s GROUP BY 1, 2",
    "SELECT tags, count(*) AS n FROM s GROUP BY tags",
    "SELECT named_struct('k', k, 'g', g) AS p, count(*) AS n FROM s GROUP BY 1",
    "SELECT f, count(*) AS n FROM s GROUP BY f",
    "SELECT dec, t, count(*) AS n FROM s GROUP BY dec, t",
    "SELECT 1 AS one, count(*) AS n FROM s GROUP BY 1",
    "SELECT count(*) AS n FROM s GROUP BY k, k",
    "SELECT k, count(*) AS n FROM s GROUP BY ALL",
    // CASE, FILTER, NULLs, aggregates of aggregates.
    "SELECT sum(CASE WHEN b THEN i ELSE -i END) AS a, sum(CASE WHEN k = 'a' THEN 1 END) AS c FROM s",
    "SELECT k, count(*) FILTER (WHERE i > 0 AND b) AS a, count(DISTINCT g) FILTER (WHERE i < 0) AS c FROM s GROUP BY k",
    "SELECT coalesce(k, '?') AS k, nullif(count(i), 0) AS n FROM s GROUP BY 1",
    "SELECT max(n) - min(n) AS spread, sum(n) AS all_n FROM (SELECT k, g, count(*) AS n FROM s GROUP BY k, g)",
    "SELECT max(a) AS m FROM (SELECT max(a) AS a FROM (SELECT k, sum(i) AS a FROM s GROUP BY k) GROUP BY a % 2)",
    "SELECT k, count(DISTINCT named_struct('g', g, 'b', b)) AS n FROM s GROUP BY k",
    "SELECT k, count(i, g) AS n FROM s GROUP BY k",
    "SELECT k, avg(dec) AS a, avg(g) AS b, avg(dec) FILTER (WHERE b) AS c FROM s GROUP BY k",
    "SELECT k, sum(i) AS a, sum(i) AS b, count(*) AS c, count(1) AS d FROM s GROUP BY k",
    "SELECT k, min(i) AS lo FROM s GROUP BY k HAVING max(i) > 10 AND bool_or(b) ORDER BY avg(i)",
    // Functions that are ordered, each in its own way.
    "SELECT k, nth_value(i, 2 ORDER BY t DESC, _offset) AS b FROM s GROUP BY k",
    "SELECT k, nth_value(k, -1 ORDER BY i, _offset) AS c FROM s GROUP BY k",
    "SELECT nth_value(i, 3 ORDER BY f, g, _offset) AS a FROM s",
    "SELECT nth_value(i, -2 ORDER BY f NULLS FIRST, _offset) AS b FROM s",
    "SELECT k, string_agg(CAST(g AS VARCHAR), '' ORDER BY t DESC, _offset) AS b FROM s GROUP BY k",
    "SELECT g, string_agg(DISTINCT k, ',' ORDER BY k) AS a, array_agg(DISTINCT k ORDER BY k) AS b, array_agg(DISTINCT i ORDER BY i DESC) AS c FROM s GROUP BY g",
    "SELECT k, first_value(i ORDER BY t, _offset) FILTER (WHERE b) AS a, last_value(i ORDER BY f DESC, i) AS c FROM s GROUP BY k",
    "SELECT k, first_value(i ORDER BY t, _offset) IGNORE NULLS AS a, array_agg(i ORDER BY i) FILTER (WHERE i IS NOT NULL) AS c FROM s GROUP BY k",
    "SELECT k, min(i ORDER BY t) AS a, bool_or(b ORDER BY i) AS c FROM (SELECT k, i, t, b FROM s) GROUP BY k",
    "SELECT DISTINCT ON (k) k, i, t FROM s ORDER BY k, t DESC, i, _partition, _offset",
    "SELECT DISTINCT ON (g) g, k FROM s ORDER BY g, _offset",
    // Windows, LIMIT and ORDER BY above the aggregate, in total orders.
    "SELECT k, g, n, rank() OVER (PARTITION BY g ORDER BY n) AS r, sum(n) OVER (PARTITION BY g) AS t FROM (SELECT k, g, count(*) AS n FROM s GROUP BY k, g)",
    "SELECT k, n, lag(n) OVER (ORDER BY k) AS before, sum(n) OVER (ORDER BY k ROWS 1 PRECEDING) AS two FROM (SELECT k, count(*) AS n FROM s GROUP BY k)",
    "SELECT k, g, n FROM (SELECT k, g, count(*) AS n FROM s GROUP BY k, g) QUALIFY row_number() OVER (PARTITION BY k ORDER BY n DESC, g) = 1",
    "SELECT k, count(*) AS n, count(*) * 100 / sum(count(*)) OVER () AS share FROM s GROUP BY k",
    "SELECT k, count(*) AS n FROM s GROUP BY k ORDER BY n DESC, k NULLS FIRST LIMIT 1 OFFSET 1",
    "SELECT k, i, _offset FROM (SELECT k, i, _partition, _offset, row_number() OVER (PARTITION BY k ORDER BY i, _partition, _offset) AS r FROM s) WHERE r = 1",
    // Set operations.
    "SELECT k FROM s UNION SELECT k FROM s WHERE b",
    "SELECT k, count(*) AS n FROM (SELECT k FROM s WHERE b UNION ALL SELECT k FROM s WHERE NOT b UNION ALL SELECT 'a' AS k FROM s) GROUP BY k",
    "SELECT k FROM s INTERSECT SELECT k FROM names",
    "SELECT k FROM s EXCEPT SELECT k FROM names",
    "SELECT k, count(*) AS n FROM s GROUP BY k UNION ALL SELECT k, 0 FROM names",
    // Arrays and structs.
    "SELECT tag, count(*) AS n FROM (SELECT unnest(tags) AS tag, k FROM s WHERE k = 'a') GROUP BY tag",
    "SELECT k, array_length(tags) AS l, tags[1] AS first, count(*) AS n FROM s GROUP BY 1, 2, 3",
    "SELECT k, sum(array_length(tags)) AS n FROM s WHERE array_has(tags, 1) GROUP BY k",
    "SELECT x.a, count(*) AS n FROM (SELECT named_struct('a', g, 'b', k) AS x FROM s) GROUP BY x.a",
    // Times.
    "SELECT at, count(*) AS n FROM (SELECT to_timestamp(CAST(t AS VARCHAR)) AS at FROM s) GROUP BY at",
    "SELECT to_timestamp_seconds(CAST(t AS VARCHAR)) AS a, to_timestamp_millis(CAST(t AS VARCHAR)) AS b, count(*) AS n FROM s GROUP BY 1, 2",
    "SELECT to_timestamp(i) AS a, to_timestamp_micros(g) AS b, max(to_timestamp_nanos(CAST(t AS VARCHAR))) AS c FROM s GROUP BY 1, 2",
    "SELECT extract(hour FROM t) AS h, date_trunc('hour', t) AS d, count(*) AS n FROM s GROUP BY 1, 2",
];

#[test]
fn odd_views_fold_in_pieces() {
    run(VIEWS, 16, 1);
}

/// Plain DataFusion does not plan functions of different orders together; here each is planned on its own.
#[tokio::test]
async fn functions_may_have_orders_of_their_own() {
    view("SELECT nth_value(i, 1 ORDER BY i) AS a, nth_value(i, 2 ORDER BY t DESC) AS b, string_agg(k, ',' ORDER BY g) AS c FROM s").await;
}

/// `sql`, the message, a part of the hint.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "SELECT k, count(*) FROM (SELECT k FROM s UNION ALL SELECT k FROM other) GROUP BY k",
        "UNION of the streams `other` and `s` cannot be folded: a view folds one stream",
        "a view over these views",
    ),
    (
        "SELECT k FROM s UNION SELECT k FROM other",
        "UNION of the streams `other` and `s` cannot be folded: a view folds one stream",
        "a view over",
    ),
    (
        "SELECT k, count(*) FROM s GROUP BY k UNION ALL SELECT k, count(*) FROM other GROUP BY k",
        "UNION of aggregates over streams cannot be folded",
        "UNION ALL of these views",
    ),
    (
        "SELECT s.k FROM s JOIN (SELECT k, avg(i) AS a FROM s GROUP BY k) m ON s.k = m.k",
        "a join of a stream's rows with an aggregate over a stream cannot be folded: each row would need all others",
        "join them in the query",
    ),
    ("SELECT k FROM s TABLESAMPLE (10)", "TABLESAMPLE is not supported", "a hash of a column"),
    (
        "SELECT k, count(*) FROM s GROUP BY k WITH ROLLUP",
        "`GROUP BY .. WITH` has no place in a view: it would be overlooked",
        "ROLLUP (..)",
    ),
    ("SELECT k FROM s FOR UPDATE", "`FOR UPDATE` has no place in a view: it would be overlooked", "leave it out"),
    (
        "SELECT tag, count(*) FROM s CROSS JOIN UNNEST(tags) AS u (tag) GROUP BY 1",
        "UNNEST of a column in FROM cannot be planned",
        "FROM (SELECT .., unnest(tags) AS tag FROM stream)",
    ),
    (
        "SELECT tag FROM s, LATERAL unnest(s.tags) AS u (tag)",
        "UNNEST of a column in FROM cannot be planned",
        "unnest(tags) AS tag",
    ),
    (
        "SELECT tag FROM s, unnest(tags) AS u (tag)",
        "UNNEST of a column in FROM cannot be planned",
        "unnest(tags) AS tag",
    ),
    (
        "SELECT count(*) FROM s WHERE k NOT IN (SELECT k FROM names)",
        "`NOT IN (SELECT ..)` over a lookup cannot be folded: one NULL among its rows would leave no row at all",
        "NOT EXISTS",
    ),
    (
        "SELECT sum(CASE WHEN k IN (SELECT k FROM names) THEN 1 END) FROM s",
        "a subquery inside of an aggregate or GROUP BY cannot be folded",
        "subquery of FROM",
    ),
    (
        "SELECT DISTINCT ON (g) g, k FROM s",
        "`first_value()` without ORDER BY depends on the order in which rows are folded",
        "ORDER BY",
    ),
    (
        "SELECT count(*) FROM s JOIN (SELECT k, random() AS r FROM names) n ON s.k = n.k AND n.r > 0.5",
        "`random()` below the aggregate gives another answer each time a row is folded",
        "",
    ),
    (
        "SELECT count(*) FROM s JOIN (SELECT k FROM names LIMIT 1) n ON s.k = n.k",
        "LIMIT without an ORDER BY that tells all rows apart takes any of those that are level, so a row may be folded with other rows of the lookup each time",
        "ORDER BY",
    ),
    (
        "SELECT array_agg(DISTINCT k ORDER BY i) FROM s",
        "`array_agg(DISTINCT x ORDER BY y)`: equal values of x are one, whatever their y",
        "ORDER BY x",
    ),
    ("SELECT first_value(DISTINCT k ORDER BY i) FROM s", "DISTINCT means nothing to `first_value()`", "leave it out"),
    (
        "SELECT nth_value(i, 0 ORDER BY t) FROM s",
        "the n of `nth_value(x, n)` is not a number that counts from 1, or from -1 backwards",
        "write it out",
    ),
    (
        "SELECT count(*) FROM s JOIN generate_series(TIMESTAMP '2026-01-01', now(), INTERVAL '1 day') AS d (day) ON s.t = d.day",
        "`now()` in FROM gives other rows each time the view is planned",
        "the value itself",
    ),
    ("SELECT k FROM s WHERE i = $1", "`$1` has no value: a view has no parameters", "the value itself"),
];

#[tokio::test]
async fn what_cannot_be_folded_is_refused_with_the_way_out() {
    let mut wrong = vec![];
    for (sql, message, hint) in REFUSED {
        match plan(sql).await {
            Err(ViewError::Refused(refusal)) if refusal.message == *message && refusal.hint.contains(hint) => {}
            Err(error) => wrong.push(format!("{sql}\n  {error}\n  hint: {:?}", error.hint())),
            Ok(Planned::Folded(_) | Planned::Derived(_)) => wrong.push(format!("{sql}\n  was accepted")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// DataFusion plans these and has no accumulator for them, or none that fits.
#[tokio::test]
async fn functions_without_an_accumulator_are_refused() {
    let mut wrong = vec![];
    for (sql, starts) in [
        ("SELECT count(DISTINCT k, g) FROM s", "`count(DISTINCT VARCHAR, BIGINT)` cannot be folded: "),
        ("SELECT k, count(DISTINCT i, g) FROM s GROUP BY k", "`count(DISTINCT BIGINT, BIGINT)` cannot be folded: "),
    ] {
        match plan(sql).await {
            Err(ViewError::Refused(refusal)) if refusal.message.starts_with(starts) => {}
            Err(error) => wrong.push(format!("{sql}: {error}")),
            Ok(_) => wrong.push(format!("{sql}: accepted")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_star_is_the_declared_columns() {
    let columns =
        |fields: &arrow::datatypes::Schema| fields.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    let declared = ["k", "g", "i", "f", "dec", "b", "t", "tags", "w"];
    for sql in [
        "SELECT * FROM s",
        "SELECT x.* FROM s x WHERE i > 1",
        "SELECT * FROM (SELECT * FROM s WHERE b) x",
        "WITH a AS (SELECT * FROM s) SELECT * FROM a ORDER BY _partition, _offset LIMIT 5",
        "SELECT * FROM s UNION ALL SELECT * FROM s",
        "SELECT DISTINCT * FROM s",
    ] {
        assert_eq!(columns(&view(sql).await.answer_schema()), declared, "{sql}");
    }
    assert_eq!(columns(&view("SELECT *, _offset FROM s").await.answer_schema())[9..], ["_offset"]);
    let joined = view("SELECT * FROM s JOIN names USING (k)").await;
    assert_eq!(columns(&joined.answer_schema())[9..], ["name"]);
    // An aggregate above may still order by what every record has.
    view("SELECT k, last_value(i ORDER BY t) AS l FROM (SELECT * FROM s) GROUP BY k").await;
}

/// `check` reports it when the rows do not decide the answer.
#[tokio::test]
async fn what_the_rows_do_not_decide_is_noted() {
    let by_k = "FROM (SELECT k, count(*) AS n, max(f) AS f FROM s GROUP BY k)";
    for (sql, notes) in [
        ("SELECT k, count(*) AS n FROM s GROUP BY k ORDER BY n DESC LIMIT 3".to_owned(), 1),
        ("SELECT k, count(*) AS n FROM s GROUP BY k LIMIT 3".to_owned(), 1),
        ("SELECT k, count(*) AS n FROM s GROUP BY k ORDER BY n DESC, k LIMIT 3".to_owned(), 0),
        ("SELECT k AS key, count(*) AS n FROM s GROUP BY k ORDER BY n DESC, key LIMIT 3".to_owned(), 0),
        ("SELECT k, count(*) AS n FROM s GROUP BY k ORDER BY n DESC".to_owned(), 0),
        ("SELECT count(*) AS n FROM s LIMIT 1".to_owned(), 0),
        ("SELECT k FROM s ORDER BY i LIMIT 3".to_owned(), 1),
        ("SELECT k FROM s ORDER BY i, _partition, _offset LIMIT 3".to_owned(), 0),
        ("SELECT k FROM s ORDER BY k LIMIT 3".to_owned(), 0),
        (format!("SELECT k, row_number() OVER (ORDER BY n) AS r {by_k}"), 1),
        (format!("SELECT k, row_number() OVER (ORDER BY n, k) AS r {by_k}"), 0),
        (format!("SELECT k, rank() OVER (ORDER BY n) AS r {by_k}"), 0),
        (format!("SELECT k, sum(n) OVER (ORDER BY n ROWS 1 PRECEDING) AS r {by_k}"), 1),
        (format!("SELECT k, sum(n) OVER (ORDER BY n) AS r {by_k}"), 0),
        (format!("SELECT k, sum(f) OVER () AS r {by_k}"), 0),
        (format!("SELECT sum(f) AS r {by_k}"), 0),
        (format!("SELECT approx_median(f) AS r {by_k}"), 1),
        (format!("SELECT sum(n) AS r {by_k}"), 0),
        (format!("SELECT first_value(k ORDER BY n) AS r {by_k}"), 1),
    ] {
        let view = view(&sql).await;
        assert_eq!(view.loose().len(), notes, "{sql}: {:?}", view.loose());
    }
}
