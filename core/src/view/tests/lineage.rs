//! Each column of an answer is as exact as what it is made from.

use super::super::Exactness::{self, Bits, Sketch};
use super::rows::view;

async fn check(sql: &str, expected: &[Exactness]) {
    assert_eq!(view(sql).await.answer_exactness(), expected, "{sql}");
}

#[tokio::test]
async fn a_column_is_as_exact_as_what_it_is_made_from() {
    check("SELECT k, count(*) AS n, sum(f) AS s, max(f) AS m FROM s GROUP BY k", &[Bits, Bits, Bits, Bits]).await;
    check("SELECT approx_median(i) AS m, count(*) AS n FROM s", &[Sketch, Bits]).await;
    check(
        "SELECT n, m * 2 AS twice, k FROM (SELECT k, count(*) AS n, approx_median(i) AS m FROM s GROUP BY k) ORDER BY n",
        &[Bits, Sketch, Bits],
    )
    .await;
    check("SELECT max(a) AS x, count(*) AS n FROM (SELECT k, avg(f) AS a FROM s GROUP BY k)", &[Bits, Bits]).await;
    check(
        "SELECT k, sum(f) / count(*) AS a, row_number() OVER (ORDER BY k) AS r FROM s GROUP BY k",
        &[Bits, Bits, Bits],
    )
    .await;
    check("SELECT k, i FROM s", &[Bits, Bits]).await;
}
