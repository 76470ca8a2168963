//! No result of SQL counts nanoseconds, and results reach as far as the calendar.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionConfig;

use super::super::{context, plan};
use crate::stored::in_microseconds;

async fn run(sql: &str) -> Vec<RecordBatch> {
    let context = context(SessionConfig::new());
    let plan = plan(&context.state(), sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let answer = context.execute_logical_plan(plan).await.unwrap().collect().await;
    answer.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn value(sql: &str) -> (DataType, String) {
    let batches = run(sql).await;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0).unwrap();
    let column = batch.column(0);
    (column.data_type().clone(), array_value_to_string(column, 0).unwrap())
}

#[tokio::test]
async fn what_would_count_nanoseconds_counts_microseconds() {
    for (sql, wanted) in [
        ("SELECT to_timestamp_nanos(1500)", "1970-01-01T00:00:00.000002"),
        ("SELECT arrow_cast(-501, 'Timestamp(Nanosecond, None)')", "1969-12-31T23:59:59.999999"),
        ("SELECT '2026-03-01 10:00:00.1234565'::timestamp", "2026-03-01T10:00:00.123456"),
        ("SELECT TRY_CAST('2026-03-01 10:00:00.1234575' AS timestamp)", "2026-03-01T10:00:00.123458"),
        ("SELECT '10:00:00.1234575'::time", "10:00:00.123458"),
        ("SELECT ARRAY[timestamp '9999-12-31', NULL]", "[9999-12-31T00:00:00, ]"),
        ("SELECT ARRAY['9999-12-31']::timestamp[]", "[9999-12-31T00:00:00]"),
        ("SELECT date_trunc('day', date '9999-12-31')", "9999-12-31T00:00:00"),
        ("SELECT date_trunc('day', '9999-12-31 10:00')", "9999-12-31T00:00:00"),
        ("SELECT date_bin('1 day', timestamp '2500-01-01 10:00', timestamp '2026-01-01')", "2500-01-01T00:00:00"),
        ("SELECT date_bin('1 month', timestamp '2500-01-31 10:00')", "2500-01-01T00:00:00"),
        ("SELECT date_bin('1 month', '2500-01-31 10:00', '1970-02-01')", "2500-01-01T00:00:00"),
        ("SELECT date_bin('1 hour', time '10:20:30')", "10:00:00"),
        ("SELECT to_timestamp('2026-03-01T10:00:00.1234567Z')", "2026-03-01T10:00:00.123457"),
        ("SELECT to_timestamp('01.03.2026', '%d.%m.%Y')", "2026-03-01T00:00:00"),
        ("SELECT to_timestamp(253402300799)", "9999-12-31T23:59:59"),
        ("SELECT to_timestamp(date '9999-12-31')", "9999-12-31T00:00:00"),
        ("SELECT date '9999-12-31' + time '10:20:30.5'", "9999-12-31T10:20:30.500"),
        ("SELECT timestamp '9999-12-31' - interval '0.000001 seconds'", "9999-12-30T23:59:59.999999"),
        (
            "SELECT x FROM (SELECT date '9999-12-31' AS x UNION ALL SELECT timestamp '9999-12-31') t",
            "9999-12-31T00:00:00",
        ),
        ("SELECT column1 FROM (VALUES (timestamp '9999-12-31'), (NULL)) t", "9999-12-31T00:00:00"),
        (
            "SELECT generate_series(timestamp '2026-03-01', timestamp '2026-03-01', interval '1 day')",
            "[2026-03-01T00:00:00]",
        ),
        (
            "SELECT s.d FROM generate_series(timestamp '2026-03-01', timestamp '2026-03-02', interval '1 day') s(d) \
             WHERE s.d < timestamp '9999-12-31' ORDER BY d DESC LIMIT 1",
            "2026-03-02T00:00:00",
        ),
        (
            "WITH RECURSIVE t AS (SELECT time '10:00' AS x, timestamp '9999-12-31' AS y UNION ALL \
             SELECT x, y - interval '1 day' FROM t WHERE y > '9999-12-30') SELECT min(y) FROM t",
            "9999-12-30T00:00:00",
        ),
        ("SELECT coalesce(NULL, '0001-01-01'::timestamp)", "0001-01-01T00:00:00"),
        ("SELECT (SELECT max(x) FROM (VALUES (timestamp '9999-12-31')) t(x))", "9999-12-31T00:00:00"),
    ] {
        let (data_type, found) = value(sql).await;
        assert_eq!(data_type, in_microseconds(&data_type), "{sql}");
        assert_eq!(found.trim_end_matches('Z'), wanted, "{sql}");
    }
    for sql in ["SELECT now()", "SELECT current_timestamp", "SELECT localtimestamp", "SELECT current_time"] {
        let (data_type, _) = value(sql).await;
        assert_eq!(data_type, in_microseconds(&data_type), "{sql}");
    }
}

#[tokio::test]
async fn far_times_are_compared() {
    for condition in [
        "timestamp '9999-12-31' > date '2500-01-01'",
        "timestamp '9999-12-31' > '2500-01-01'",
        "timestamp '9999-12-31' BETWEEN date '0001-01-01' AND '9999-12-31 00:00:00'",
        "timestamp '9999-12-31' IN (date '9999-12-31', timestamp '0001-01-01')",
        "timestamp '9999-12-31' < timestamptz '9999-12-31 00:00:00.000001+00'",
        "timestamp '0001-01-01' < now()",
        "arrow_cast('2026-03-01', 'Timestamp(Nanosecond, None)') < timestamp '9999-12-31'",
        "current_time < '23:59:59.999999'::time OR true",
        "(SELECT count(*) FROM (VALUES (timestamp '9999-12-31')) t(x) WHERE EXISTS \
         (SELECT 1 FROM (VALUES (arrow_cast('9999-12-31', 'Timestamp(Second, None)'))) u(y) WHERE t.x = u.y)) = 1",
    ] {
        assert_eq!(value(&format!("SELECT {condition}")).await.1, "true", "{condition}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_an_error() {
    let context = context(SessionConfig::new());
    for sql in [
        "SELECT to_timestamp(9223372036854775807)",
        "SELECT timestamp '9999-12-31' + interval '400000 years'",
        "SELECT timestamp '0001-01-01' - interval '3000000 months' * 3",
        "SELECT to_timestamp_nanos(timestamp '9999-12-31')",
        "SELECT date_bin('1 month', timestamp '9999-12-31', timestamp '9999-12-31' + interval '400000 years')",
    ] {
        let answer = match plan(&context.state(), sql).await {
            Ok(plan) => context.execute_logical_plan(plan).await.unwrap().collect().await,
            Err(error) => Err(error),
        };
        assert!(answer.is_err(), "{sql}: {answer:?}");
    }
}
