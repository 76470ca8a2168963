//! Transactions, cursors and `COPY` on the PostgreSQL wire.

use futures::TryStreamExt;
use tokio_postgres::Client;

use super::postgres::{texts, wire};
use super::world::config;

async fn state_of(client: &Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Ok(()) => "done".to_owned(),
        Err(error) => error.code().map_or(error.to_string(), |code| code.code().to_owned()),
    }
}

/// PostgreSQL 15's values of `SHOW`.
#[tokio::test]
async fn a_setting_lasts_as_long_as_it_was_set_for() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    client.batch_execute("SET timezone = 'Asia/Tokyo'").await.unwrap();
    for (sql, zone) in [
        ("SET LOCAL timezone = 'Europe/Berlin'", "Asia/Tokyo"),
        ("BEGIN; SET LOCAL timezone = 'Europe/Berlin'", "Europe/Berlin"),
        ("COMMIT", "Asia/Tokyo"),
        ("BEGIN; SET LOCAL TIME ZONE 'Europe/Berlin'", "Europe/Berlin"),
        ("ROLLBACK", "Asia/Tokyo"),
        ("BEGIN; SET timezone = 'Europe/Rome'", "Europe/Rome"),
        ("ROLLBACK", "Asia/Tokyo"),
        ("BEGIN; SET timezone = 'Europe/Rome'; SET LOCAL timezone = 'Europe/Berlin'", "Europe/Berlin"),
        ("COMMIT", "Europe/Rome"),
        ("BEGIN; SET LOCAL timezone = 'Europe/Berlin'; SET timezone = 'Europe/Paris'", "Europe/Paris"),
        ("COMMIT", "Europe/Paris"),
        ("BEGIN; SAVEPOINT s; SET LOCAL timezone = 'Europe/Berlin'; ROLLBACK TO s", "Europe/Paris"),
        ("SET LOCAL timezone = 'Asia/Tokyo'; SAVEPOINT s; SET timezone = 'Europe/Rome'", "Europe/Rome"),
        ("ROLLBACK TO s", "Asia/Tokyo"),
        ("COMMIT", "Europe/Paris"),
        ("BEGIN; RESET timezone", "UTC"),
        ("ROLLBACK", "Europe/Paris"),
        ("BEGIN; SET LOCAL timezone = 'Asia/Tokyo'; RESET ALL", "UTC"),
        ("SAVEPOINT s; SET timezone = 'Europe/Rome'; RELEASE s", "Europe/Rome"),
        ("COMMIT", "Europe/Rome"),
        ("BEGIN; SET timezone = 'Asia/Tokyo'; SAVEPOINT s", "Asia/Tokyo"),
        ("ROLLBACK TO s; COMMIT", "Asia/Tokyo"),
        ("SET timezone = 'UTC'", "UTC"),
    ] {
        client.batch_execute(sql).await.unwrap();
        assert_eq!(texts(&client.simple_query("SHOW timezone").await.unwrap()), [zone], "{sql}");
    }
}

/// The states are PostgreSQL 15's.
#[tokio::test]
async fn a_failed_transaction_goes_on_from_its_savepoint() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    for (sql, state) in [
        ("SAVEPOINT a", "25P01"),
        ("BEGIN", "done"),
        ("SAVEPOINT a", "done"),
        ("SELECT 1/0", "22012"),
        ("SELECT 1", "25P02"),
        ("SET timezone = 'Asia/Tokyo'", "25P02"),
        ("ROLLBACK TO nope", "3B001"),
        ("ROLLBACK TO SAVEPOINT a", "done"),
        ("SELECT 1", "done"),
        ("RELEASE SAVEPOINT a", "done"),
        ("ROLLBACK TO a", "3B001"),
        ("COMMIT", "done"),
        ("SELECT 1", "done"),
        ("BEGIN; SELECT 1/0", "22012"),
        ("SELECT 1", "25P02"),
        ("ROLLBACK", "done"),
        ("SELECT 1", "done"),
    ] {
        assert_eq!(state_of(&client, sql).await, state, "{sql}");
    }
    // The same with prepared statements.
    for (sql, state) in [
        ("BEGIN", None),
        ("SAVEPOINT s", None),
        ("SELECT 1/0", Some("22012")),
        ("ROLLBACK TO s", None),
        ("SELECT 1", None),
    ] {
        let found = client.query(sql, &[]).await;
        assert_eq!(found.err().and_then(|e| e.code().map(|c| c.code().to_owned())).as_deref(), state, "{sql}");
    }
    // The statements before an error in the same message were answered.
    client.batch_execute("ROLLBACK").await.unwrap();
    let stream = client.simple_query_raw("SELECT 41; SELECT 1/0").await.unwrap();
    let mut stream = std::pin::pin!(stream);
    let mut before = vec![];
    let error = loop {
        match stream.try_next().await {
            Ok(Some(message)) => before.push(message),
            Ok(None) => panic!("no error"),
            Err(error) => break error,
        }
    };
    assert_eq!((texts(&before), error.code().unwrap().code()), (vec!["41".to_owned()], "22012"));
}

#[tokio::test]
async fn cursors_pass_over_rows_and_take_parameters() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    client.batch_execute("BEGIN").await.unwrap();
    let sql = "DECLARE c CURSOR FOR SELECT x FROM generate_series(1, 10) AS t(x) WHERE x > $1 ORDER BY x";
    client.execute(sql, &[&2_i64]).await.unwrap();
    assert_eq!(state_of(&client, "MOVE 2 FROM c").await, "done");
    assert_eq!(texts(&client.simple_query("FETCH c").await.unwrap()), ["5"]);
    assert_eq!(client.execute("MOVE FORWARD 2 IN c", &[]).await.unwrap(), 2);
    // In binary, though it was declared without a format.
    let rows = client.query("FETCH 2 FROM c", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [8, 9]);
    assert_eq!(client.execute("MOVE ALL IN c", &[]).await.unwrap(), 1);
    assert!(client.simple_query("FETCH ALL FROM c").await.is_ok_and(|rows| texts(&rows).is_empty()));
    assert_eq!(state_of(&client, "FETCH BACKWARD 1 FROM c").await, "55000");
    client
        .batch_execute("ROLLBACK; BEGIN; DECLARE c CURSOR FOR SELECT 1; DECLARE h CURSOR WITH HOLD FOR SELECT 2")
        .await
        .unwrap();
    assert_eq!(state_of(&client, "SAVEPOINT s; DECLARE c CURSOR FOR SELECT 3").await, "42P03");
    client.batch_execute("ROLLBACK TO s; COMMIT").await.unwrap();
    assert_eq!(state_of(&client, "FETCH c").await, "34000");
    assert_eq!(texts(&client.simple_query("FETCH h").await.unwrap()), ["2"]);
    client.batch_execute("CLOSE ALL").await.unwrap();
    for i in 0..64 {
        client.batch_execute(&format!("DECLARE c{i} CURSOR FOR SELECT 1")).await.unwrap();
    }
    assert_eq!(state_of(&client, "DECLARE more CURSOR FOR SELECT 1").await, "53400");
}

async fn copied(client: &Client, sql: &str) -> Result<String, String> {
    let said = |error: tokio_postgres::Error| error.as_db_error().map_or(error.to_string(), |e| e.message().to_owned());
    let chunks = client.copy_out(sql).await.map_err(said)?;
    let chunks: Vec<_> = chunks.try_collect().await.map_err(said)?;
    Ok(String::from_utf8_lossy(&chunks.concat()).into_owned())
}

/// Each was written by PostgreSQL 15.
#[tokio::test]
async fn answers_are_copied() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    let values = "(SELECT a, b FROM (VALUES (1, 'x\ty\\'), (2, NULL), (3, ''), (4, 'q\"u,o')) AS t(a, b) ORDER BY a)";
    for (options, expected) in [
        ("", "1\tx\\ty\\\\\n2\t\\N\n3\t\n4\tq\"u,o\n"),
        ("WITH (FORMAT csv, HEADER)", "a,b\n1,x\ty\\\n2,\n3,\"\"\n4,\"q\"\"u,o\"\n"),
        ("CSV HEADER", "a,b\n1,x\ty\\\n2,\n3,\"\"\n4,\"q\"\"u,o\"\n"),
        (
            "(FORMAT csv, DELIMITER ';', NULL 'none', FORCE_QUOTE (a))",
            "\"1\";x\ty\\\n\"2\";none\n\"3\";\n\"4\";\"q\"\"u,o\"\n",
        ),
        ("(DELIMITER '|', NULL '')", "1|x\\ty\\\\\n2|\n3|\n4|q\"u,o\n"),
    ] {
        let sql = format!("COPY {values} TO STDOUT {options}");
        assert_eq!(copied(&client, &sql).await.unwrap(), expected, "{options}");
    }
    assert_eq!(copied(&client, "COPY by_page (page) TO STDOUT").await.unwrap().lines().count(), 2);
    let chunks = client.copy_out("COPY (SELECT arrow_cast(-5, 'Int8'), NULL) TO STDOUT (FORMAT binary)").await.unwrap();
    let chunks: Vec<_> = chunks.try_collect().await.unwrap();
    // The first row comes with the header, as clients expect.
    let rows = [b"PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0".as_slice(), &[0, 2, 0, 0, 0, 2, 0xFF, 0xFB, 255, 255, 255, 255]]
        .concat();
    assert_eq!(chunks.iter().map(|chunk| chunk.to_vec()).collect::<Vec<_>>(), [rows, vec![0xFF, 0xFF]]);
    for (sql, message) in [
        ("COPY (SELECT 1/0) TO STDOUT", "by zero"),
        ("COPY (SELECT nope FROM by_page) TO STDOUT", "nope"),
        ("COPY (SELECT 1) TO STDOUT (FORMAT parquet)", "text, csv or binary"),
        ("COPY by_page FROM STDIN", "read-only"),
        ("COPY by_page TO '/tmp/x'", "read-only"),
        ("COPY (SELECT 1) TO PROGRAM 'cat'", "read-only"),
    ] {
        let error = copied(&client, sql).await.unwrap_err();
        assert!(error.to_lowercase().contains(message), "{sql}: {error}");
    }
    assert_eq!(texts(&client.simple_query("SELECT 1").await.unwrap()), ["1"]);
}
