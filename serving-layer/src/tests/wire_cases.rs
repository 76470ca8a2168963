//! Questions that clients ask in words of PostgreSQL alone, and its answers.

use tokio_postgres::types::Type;

use super::postgres::{texts, wire};
use super::wire_types::Sent;
use super::world::config;

/// The answers are PostgreSQL 15's, of tables with the same rows.
#[tokio::test]
async fn statements_mean_what_they_mean_in_postgresql() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    let values = "(VALUES (''), ('Alpha'), ('NULL'), (NULL)) AS t(x)";
    for (sql, expected) in [
        (
            "SELECT page, (SELECT max(w.total) FROM by_page w WHERE w.page = by_page.page) FROM by_page ORDER BY page",
            &["/a|310", "/b|20"][..],
        ),
        ("SELECT (SELECT sum(by_page.clicks) FROM by_page) AS t", &["3"]),
        (&format!("SELECT x FROM {values} WHERE x = ANY('{{\"\",Alpha}}') ORDER BY x"), &["", "Alpha"]),
        ("SELECT '{a,\"b,c\",NULL}'::text[]", &["{a,\"b,c\",NULL}"]),
        ("SELECT page FROM by_page ORDER BY page LIMIT '1' OFFSET '1'", &["/b"]),
        ("SELECT t.s FROM (SELECT unnest(string_to_array('a,b', ',')) s) t ORDER BY s", &["a", "b"]),
        (
            "SELECT INTERVAL '-1:00', '1 day 02:03:04.5'::interval, 'P1DT2H'::interval",
            &["-01:00:00|1 day 02:03:04.5|1 day 02:00:00"],
        ),
        ("SELECT quote_literal('a''b\\c'), quote_nullable(NULL)", &["E'a''b\\\\c'|NULL"]),
        ("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", &[]),
        (
            "SELECT viewname FROM pg_views WHERE schemaname = 'public' AND viewname LIKE 'by_%' ORDER BY 1",
            &["by_page", "by_user"],
        ),
        ("SELECT constraint_name FROM information_schema.table_constraints", &[]),
        (
            "SELECT column_name, data_type, udt_name, ordinal_position, columns.numeric_precision \
             FROM information_schema.columns WHERE information_schema.columns.table_name = 'by_page' \
             AND table_schema = 'public' ORDER BY ordinal_position",
            &["page|text|text|1|NULL", "clicks|bigint|int8|2|64", "total|numeric|numeric|3|38"],
        ),
    ] {
        let found = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(texts(&found), expected, "{sql}");
    }
    let sum = client.query_one("SELECT (SELECT sum(clicks) FROM by_page WHERE page = $1)::bigint", &[&"/a"]).await;
    assert_eq!(sum.unwrap().get::<_, i64>(0), 2);
}

/// Questions about the session are answered by its settings at that moment.
#[tokio::test]
async fn functions_of_the_session() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    for (sql, expected) in [
        (
            "SELECT current_setting('search_path'), current_schema(), current_setting('nope', true)",
            "public|public|NULL",
        ),
        ("SET search_path = batch; SELECT current_setting('search_path'), current_schema", "batch|batch"),
        ("SELECT set_config('search_path', 'public', false), current_schema()", "public|public"),
        ("SHOW search_path", "public"),
        (
            "SELECT current_user, session_user, pg_get_userbyid(10), rolname FROM pg_roles",
            "dovetail|dovetail|dovetail|dovetail",
        ),
    ] {
        assert_eq!(texts(&client.simple_query(sql).await.unwrap()), [expected], "{sql}");
    }
    let sql = "SELECT current_setting($1)";
    client.batch_execute("SET timezone = 'Europe/Berlin'").await.unwrap();
    assert_eq!(client.query_one(sql, &[&"timezone"]).await.unwrap().get::<_, &str>(0), "Europe/Berlin");
    for (sql, state) in [
        ("SELECT current_setting('nope')", "42704"),
        ("SELECT set_config('nope', '1', false)", "42704"),
        ("SELECT set_config('timezone', 'nowhere', false)", "22023"),
        ("SELECT set_config('timezone', 'UTC', true)", "0A000"),
        ("SELECT set_config('timezone', page, false) FROM by_page", "0A000"),
    ] {
        let error = client.simple_query(sql).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some(state), "{sql}");
    }
}

/// An interval that is sent moves an instant by the clock of its zone: midnights of Berlin around a change of clocks.
#[tokio::test]
async fn intervals_move_instants() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    client.batch_execute("SET timezone = 'Europe/Berlin'").await.unwrap();
    let day = [[0_u8; 8].as_slice(), &[0, 0, 0, 1, 0, 0, 0, 0]].concat();
    for (sql, expected) in [
        ("SELECT (TIMESTAMP '2026-03-01 10:00:00' + $1)::text", "2026-03-02 10:00:00"),
        ("SELECT ($1 + TIMESTAMP '2026-03-01 10:00:00')::text", "2026-03-02 10:00:00"),
        ("SELECT (TIMESTAMP '2026-03-01 10:00:00' - $1)::text", "2026-02-28 10:00:00"),
        ("SELECT (TIMESTAMPTZ '2026-03-28 23:00:00+00' + $1 = TIMESTAMPTZ '2026-03-29 22:00:00+00')::text", "true"),
        ("SELECT (TIMESTAMPTZ '2026-03-29 22:00:00+00' - $1 = TIMESTAMPTZ '2026-03-28 23:00:00+00')::text", "true"),
    ] {
        let statement = client.prepare_typed(sql, &[Type::INTERVAL]).await.unwrap();
        let row = client.query_one(&statement, &[&Sent(&day)]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), expected, "{sql}");
    }
    // The server says what it takes.
    let statement = client.prepare("SELECT TIMESTAMP '2026-03-01 10:00:00' + $1").await.unwrap();
    assert_eq!(statement.params(), [Type::INTERVAL]);
}
