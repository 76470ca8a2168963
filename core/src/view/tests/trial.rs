//! A view that `check` accepts can be folded.

use super::super::{Planned, Trial, try_out};
use super::rows::{pipeline, plan};

async fn tried(sql: &str) -> Result<Trial, String> {
    let planned = plan(sql).await.map_err(|error| error.to_string())?;
    let Planned::Folded(view) = planned else { panic!("`{sql}` is derived") };
    try_out(&view, &pipeline().streams[0].decoded_schema()).await.map_err(|error| error.to_string())
}

/// The rows that fail are for the view's handling of errors.
#[tokio::test]
async fn values_that_fail_are_no_fault_of_the_view() {
    for sql in [
        "SELECT 100 / i AS e, count(*) AS n FROM s GROUP BY e",
        "SELECT CAST(k AS INT) AS e, count(*) AS n FROM s GROUP BY e",
        "SELECT CAST(k AS DATE) AS e, count(*) AS n FROM s GROUP BY e",
        "SELECT CAST(k AS INT) AS e FROM s WHERE k IS NOT NULL",
        "SELECT CAST(i AS INT) AS e, count(*) AS n FROM s GROUP BY e",
        "SELECT abs(i) AS e, count(*) AS n FROM s GROUP BY e",
        "SELECT to_timestamp(k) AS e, count(*) AS n FROM s GROUP BY e",
        "SELECT to_date(k, '%d/%m/%Y') AS e, count(*) AS n FROM s GROUP BY e",
        "SELECT lpad(k, i, '0') AS e, count(*) AS n FROM s GROUP BY e",
        "SELECT sum(i * i) AS e, sum(dec * dec) AS d FROM s",
        "SELECT k, sum(i) / (count(*) - 1) AS e FROM s GROUP BY k",
        "SELECT sum(i) AS a, sum(dec) AS b, avg(dec) AS c FROM s",
        "SELECT array_length(generate_series(1, i)) AS e, repeat(k, i) AS r FROM s",
    ] {
        assert_eq!(tried(sql).await, Ok(Trial::Passed), "{sql}");
    }
}
