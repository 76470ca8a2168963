//! Guarded functions answer what they answer without a guard, and do not make what they may not.

use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;

use super::{Guard, OfViews};

fn guarded() -> SessionContext {
    let guard = Arc::new(Guard(Arc::new(OfViews)));
    SessionContext::new_with_state(SessionStateBuilder::new_with_default_features().with_analyzer_rule(guard).build())
}

async fn answer(context: &SessionContext, sql: &str) -> Result<String, String> {
    let query = context.sql(sql).await.map_err(|error| error.strip_backtrace())?;
    let batches = query.collect().await.map_err(|error| error.strip_backtrace())?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

/// Texts of up to 36 KiB: calls on them are run in pieces.
const LONG: &str = "(SELECT x, repeat(CAST(x AS VARCHAR) || 'é,', x % 7000) AS s FROM generate_series(1, 3000) g(x))";

#[tokio::test]
async fn what_is_run_in_pieces_is_the_same() {
    let plain = SessionContext::new();
    for call in [
        "upper(s)",
        "s || '!' || s",
        "replace(s, 'é', '<>')",
        "regexp_replace(s, '[0-9]', '..', 'g')",
        "lpad(s, 12000, 'ab')",
        "translate(s, '0123', 'ab')",
        "btrim(s, '0123456789')",
        "concat(s, x, s)",
        "concat_ws('-', s, x)",
        "array_to_string(string_to_array(s, ','), ';')",
        "array_length(string_to_array(s, 'é'))",
        "split_part(s, ',', 3)",
        "substr(s, 5, 100)",
        "left(s, -3)",
        "reverse(s)",
        "array_repeat(s, 2)[1]",
        "regexp_match(s, '(1+)(é)')[1]",
        "encode(CAST(s AS BYTEA), 'hex')",
        "levenshtein(left(s, 200), reverse(left(s, 200)))",
        "array_length(range(1, x * 10, 3))",
        "md5(s)",
        "initcap(s)",
        "coalesce(nullif(s, ''), 'none')",
        "CASE WHEN x > 10 THEN s ELSE 'few' END",
    ] {
        let sql =
            format!("SELECT sum(length(CAST(c AS VARCHAR))), max(c), min(c) FROM (SELECT {call} AS c FROM {LONG})");
        let (right, got) = (answer(&plain, &sql).await, answer(&guarded(), &sql).await);
        assert!(right.is_ok(), "{sql}: {right:?}");
        assert!(right == got, "{call}: {:.600}", got.unwrap_or_else(|error| error));
        // Columns are called alike.
        let sql = format!("SELECT {call} FROM {LONG} LIMIT 1");
        assert_eq!(answer(&plain, &sql).await, answer(&guarded(), &sql).await, "{call}");
    }
}

#[tokio::test]
async fn what_would_be_too_large_is_not_made() {
    for call in [
        "length(repeat('x', 2000000000))",
        "length(lpad('x', 2000000000, 'y'))",
        "length(rpad('x', 2000000000))",
        "array_length(array_repeat(1, 2000000000))",
        "array_length(array_resize([1], 2000000000, 1))",
        "array_length(generate_series(1, 2000000000))",
        "array_length(range(1, 9223372036854775807))",
        "array_length(range(-9223372036854775808, 9223372036854775807, 1))",
        "array_length(generate_series(TIMESTAMP '1970-01-01', TIMESTAMP '2026-01-01', INTERVAL '1 second'))",
        "array_length(range(DATE '0001-01-01', DATE '9999-01-01', INTERVAL '1 month -28 days'))",
        "length(replace(repeat('x', 1000000), 'x', repeat('y', 10000)))",
        "length(regexp_replace(repeat('x', 100000), 'x', repeat('y', 10000), 'g'))",
        "length(array_to_string(range(1, 1000000), repeat('-', 1000)))",
        "levenshtein(repeat('ab', 500000), repeat('ba', 500000))",
        "length(concat(repeat('x', 10000000), repeat('x', 10000000)))",
    ] {
        for sql in [
            format!("SELECT {call}"),
            format!("SELECT {}", call.replace("'x'", "s")) + " FROM (VALUES ('x'), ('z')) t(s)",
        ] {
            let said = answer(&guarded(), &sql).await;
            let said = said.expect_err(&sql);
            assert!(said.contains("would make") || said.contains("too long"), "{sql}: {said}");
        }
    }
}

/// PostgreSQL 16 answers an empty text.
#[tokio::test]
async fn what_panics_is_an_error_or_what_postgresql_answers() {
    let context = guarded();
    for sql in
        ["SELECT lpad('abc', -3) || 'x' AS p", "SELECT rpad(s, n, '0') || 'x' AS p FROM (VALUES ('abc', -3)) t(s, n)"]
    {
        let said = answer(&context, sql).await.unwrap();
        assert!(said.lines().nth(3) == Some("| x |"), "{said}");
    }
}
