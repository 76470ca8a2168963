//! Every type on the PostgreSQL wire, as text and in binary, and parameters of every type.

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};

use super::postgres::{Wire, texts, wire};
use super::world::config;

type Wrong = Box<dyn std::error::Error + Sync + Send>;

/// A value as it came.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_type: &Type, raw: &'a [u8]) -> Result<Self, Wrong> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_type: &Type) -> bool {
        true
    }
}

/// A value as it is sent, whatever the server says that it is.
#[derive(Debug)]
pub(super) struct Sent<'v>(pub(super) &'v [u8]);

impl ToSql for Sent<'_> {
    fn to_sql(&self, _type: &Type, out: &mut BytesMut) -> Result<IsNull, Wrong> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_type: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Expected are PostgreSQL 15's own texts and `.._send` of the same values.
#[tokio::test]
async fn every_type_in_both_formats() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    for (sql, wire_type, text, binary) in [
        ("arrow_cast(-5, 'Int8')", Type::INT2, "-5", "fffb"),
        ("arrow_cast(250, 'UInt8')", Type::INT2, "250", "00fa"),
        ("arrow_cast(65000, 'UInt16')", Type::INT4, "65000", "0000fde8"),
        ("arrow_cast(4000000000, 'UInt32')", Type::INT8, "4000000000", "00000000ee6b2800"),
        ("arrow_cast(18446744073709551615, 'UInt64')", Type::NUMERIC, "18446744073709551615", ""),
        ("arrow_cast('inf', 'Float64')", Type::FLOAT8, "Infinity", "7ff0000000000000"),
        ("arrow_cast('-inf', 'Float32')", Type::FLOAT4, "-Infinity", "ff800000"),
        ("arrow_cast('NaN', 'Float64')", Type::FLOAT8, "NaN", "7ff8000000000000"),
        ("CAST(1e20 AS DOUBLE)", Type::FLOAT8, "1e+20", "4415af1d78b58c40"),
        ("CAST(-1.50 AS DECIMAL(12,2))", Type::NUMERIC, "-1.50", "000200004000000200011388"),
        (
            "arrow_cast('12345678901234567890123456789012345678901234567890.0123456789', 'Decimal256(60, 10)')",
            Type::NUMERIC,
            "12345678901234567890123456789012345678901234567890.0123456789",
            "",
        ),
        (
            "CAST('12345678901234567890123456789012345678' AS DECIMAL(38,0))",
            Type::NUMERIC,
            "12345678901234567890123456789012345678",
            "",
        ),
        ("TIMESTAMP '2026-03-01 12:34:56.789'", Type::TIMESTAMP, "2026-03-01 12:34:56.789", "0002eef47771a608"),
        ("DATE '1999-12-31'", Type::DATE, "1999-12-31", "ffffffff"),
        ("TIME '12:34:56.5'", Type::TIME, "12:34:56.5", "0000000a8be1bd20"),
        (
            "INTERVAL '1 year -2 days 3 seconds'",
            Type::INTERVAL,
            "1 year -2 days +00:00:03",
            "00000000002dc6c0fffffffe0000000c",
        ),
        ("arrow_cast(NULL, 'Interval(MonthDayNano)')", Type::INTERVAL, "NULL", "NULL"),
        ("arrow_cast(90, 'Duration(Second)')", Type::INTERVAL, "00:01:30", "00000000055d4a800000000000000000"),
        ("true", Type::BOOL, "t", "01"),
        ("arrow_cast('ab', 'Binary')", Type::BYTEA, "\\x6162", "6162"),
        ("NULL", Type::TEXT, "NULL", "NULL"),
        ("ARRAY[TIMESTAMP '2026-03-01 12:34:56', NULL]", Type::TIMESTAMP_ARRAY, "{\"2026-03-01 12:34:56\",NULL}", ""),
        ("ARRAY[CAST(1.50 AS DECIMAL(5,2)), NULL]", Type::NUMERIC_ARRAY, "{1.50,NULL}", ""),
        (
            "ARRAY[arrow_cast(-5, 'Int8')]",
            Type::INT2_ARRAY,
            "{-5}",
            "000000010000000000000015000000010000000100000002fffb",
        ),
        ("ARRAY[ARRAY[1,2],ARRAY[3,4]]", Type::INT8_ARRAY, "{{1,2},{3,4}}", ""),
        (
            "named_struct('a', 1, 'b', arrow_cast(NULL, 'Utf8'))",
            Type::RECORD,
            "(1,)",
            "0000000200000014000000080000000000000001000000 19ffffffff",
        ),
    ] {
        let sql = format!("SELECT {sql} AS v");
        let shown = texts(&client.simple_query(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")));
        assert_eq!(shown, [text], "{sql}");
        let row = client.query_one(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(row.columns()[0].type_(), &wire_type, "{sql}");
        let found = row
            .get::<_, Option<Raw>>(0)
            .map_or_else(|| "NULL".to_owned(), |raw| raw.0.iter().map(|byte| format!("{byte:02x}")).collect());
        let binary = binary.replace(' ', "");
        assert!(binary.is_empty() || found == binary, "{sql}: {found}");
    }
}

/// One parameter, declared as a type, in binary.
async fn found(wire: &Wire, sql: &str, declared: Type, value: &[u8]) -> Result<Vec<String>, String> {
    let client = wire.client().await;
    let said = |error: tokio_postgres::Error| error.as_db_error().map_or(error.to_string(), |e| e.message().to_owned());
    let statement = client.prepare_typed(sql, &[declared]).await.map_err(said)?;
    let rows = client.query(&statement, &[&Sent(value)]).await.map_err(said)?;
    Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect())
}

#[tokio::test]
async fn parameters_of_any_type_against_columns_of_any_type() {
    let wire = wire(config()).await;
    let values = "FROM (VALUES ('a', CAST(1.50 AS DECIMAL(12,2)), arrow_cast(7, 'Int8'), TIMESTAMP '2026-03-01 00:00:00', \
                  DATE '2026-03-01', CAST(0.1 AS DOUBLE))) AS t(s, n, i, ts, d, f)";
    let date = 9_556_i32.to_be_bytes();
    for (condition, declared, value, finds) in [
        ("n = $1", Type::FLOAT8, &1.5_f64.to_be_bytes()[..], true),
        ("n = $1", Type::INT4, &1_i32.to_be_bytes(), false),
        ("n > $1", Type::INT2, &1_i16.to_be_bytes(), true),
        ("n = $1", Type::NUMERIC, &[0, 2, 0, 0, 0, 0, 0, 3, 0, 1, 0x13, 0x88], true),
        ("i = $1", Type::INT8, &7_i64.to_be_bytes(), true),
        ("i = $1", Type::INT8, &7_000_i64.to_be_bytes(), false),
        ("i = $1", Type::FLOAT8, &7.5_f64.to_be_bytes(), false),
        ("i < $1", Type::FLOAT8, &7.5_f64.to_be_bytes(), true),
        ("f = $1", Type::FLOAT8, &0.1_f64.to_be_bytes(), true),
        ("ts = $1", Type::TEXT, b"2026-03-01", true),
        ("ts >= $1", Type::DATE, &date, true),
        ("d = $1", Type::TEXT, b"2026-03-01", true),
        ("d = $1", Type::DATE, &date, true),
        (
            "ts > TIMESTAMP '2026-03-02' - $1",
            Type::INTERVAL,
            &[[0; 8].as_slice(), &[0, 0, 0, 2, 0, 0, 0, 0]].concat(),
            true,
        ),
        (
            "ts + $1 > TIMESTAMP '2026-03-01 12:00:00'",
            Type::INTERVAL,
            &[[0; 8].as_slice(), &[0, 0, 0, 2, 0, 0, 0, 0]].concat(),
            true,
        ),
        ("s = $1", Type::VARCHAR, b"a", true),
        ("$1", Type::BOOL, &[1], true),
    ] {
        let sql = format!("SELECT s {values} WHERE {condition}");
        let found = found(&wire, &sql, declared.clone(), value).await;
        assert_eq!(found.map(|rows| rows.len()), Ok(usize::from(finds)), "{condition} with {declared}");
    }
    let sql = format!("SELECT s {values} WHERE i = $1");
    let error = found(&wire, &sql, Type::TEXT, b"2.5").await.unwrap_err();
    assert_eq!(error, "$1: invalid parameter: `2.5` is no TINYINT");
}

#[tokio::test]
async fn parameters_that_the_server_describes() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    // asyncpg, pgx and pg8000 send what they are told to.
    let rows =
        client.query("SELECT page FROM by_page ORDER BY page LIMIT $1 OFFSET $2", &[&1_i64, &1_i64]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), ["/b"]);
    let rows =
        client.query("SELECT page FROM by_page WHERE page = ANY($1) ORDER BY 1", &[&vec!["/a", "", "NULL"]]).await;
    assert_eq!(rows.unwrap().len(), 1);
    let sql = "SELECT x FROM (VALUES (''), ('NULL'), ('null'), ('a')) AS t(x) WHERE x = ANY($1) ORDER BY x";
    for (sent, found) in [(vec![""], vec![""]), (vec!["NULL"], vec!["NULL"]), (vec!["a", ""], vec!["", "a"])] {
        let rows = client.query(sql, &[&sent]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), found);
    }
    // A parameter beside two integers is the wider one.
    let sql =
        "SELECT count(*) FROM (VALUES (arrow_cast(1, 'Int32'), CAST(1 AS BIGINT))) AS t(a, b) WHERE a = $1 AND b = $1";
    assert_eq!(client.query_one(sql, &[&1_i64]).await.unwrap().get::<_, i64>(0), 1);
    // Described as what is sent, also where the first part of a union says otherwise.
    let row = client.query("SELECT 1 AS x UNION ALL SELECT 2.5 ORDER BY x DESC", &[]).await.unwrap();
    assert_eq!(row[0].get::<_, f64>(0), 2.5);
}

#[tokio::test]
async fn messages_that_do_not_match_their_statement_are_errors() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    let statement = client.prepare("SELECT $1::bigint + $2::bigint").await.unwrap();
    let row = client.query_one(&statement, &[&1_i64, &2_i64]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 3);
    for damaged in [&[][..], &[1, 2, 3], &[0; 9]] {
        let error = client.query(&statement, &[&Sent(damaged), &2_i64]).await.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().message(), "$1: incorrect binary data format of a BIGINT");
    }
    let error = client.query("SELECT $1::text", &[&Sent(b"\xFF")]).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().message(), "$1: invalid byte sequence for encoding \"UTF8\"");
    for array in [&[0, 0, 0, 1][..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 127, 255, 255, 255, 0, 0, 0, 1]] {
        assert!(client.query("SELECT 'a' = ANY($1)", &[&Sent(array)]).await.is_err());
    }
    assert_eq!(client.query("SELECT 1", &[]).await.unwrap().len(), 1);
}
