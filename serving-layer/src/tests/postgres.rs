//! The PostgreSQL wire, with a driver that uses prepared statements and binary values.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::world::{PIPELINE, World, config};
use crate::{ServingConfig, serve_postgres};

pub(super) struct Wire {
    pub(super) world: World,
    pub(super) port: u16,
    pub(super) tasks: TaskTracker,
    shutdown: CancellationToken,
}

pub(super) async fn wire(limits: ServingConfig) -> Wire {
    let world = World::with(PIPELINE, limits).await;
    world.append_all(&[("ann", "/a", 10), ("bob", "/b", 20), ("ann", "/a", 300)]);
    world.publish(&[]).await;
    wire_of(world).await
}

pub(super) async fn wire_of(world: World) -> Wire {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(serve_postgres(Arc::clone(&world.serving), listener, shutdown.clone()));
    Wire { world, port, tasks, shutdown }
}

impl Wire {
    pub(super) async fn client(&self) -> Client {
        let address = format!("host=127.0.0.1 port={} user=dovetail dbname=dovetail", self.port);
        let (client, connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
        self.tasks.spawn(async move { drop(connection.await) });
        client
    }
}

pub(super) fn texts(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

#[tokio::test]
async fn prepared_statements_with_binary_parameters() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    let sql = "SELECT page, clicks, CAST(total AS BIGINT) AS total FROM by_page WHERE clicks >= $1 AND page <> $2 ORDER BY page";
    let statement = client.prepare(sql).await.unwrap();
    let rows = client.query(&statement, &[&1_i64, &"/b"]).await.unwrap();
    assert_eq!((rows.len(), rows[0].get::<_, &str>(0), rows[0].get::<_, i64>(2)), (1, "/a", 310));
    // A prepared statement sees what came after it was prepared.
    wire.world.append(0, ("ann", "/a", 5));
    let rows = client.query(&statement, &[&1_i64, &"/b"]).await.unwrap();
    assert_eq!(rows[0].get::<_, i64>(2), 315);
    let row = client.query_one("SELECT $1::bigint + 1, $2::text, now()", &[&41_i64, &"ü"]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (42, "ü"));
}

#[tokio::test]
async fn several_statements_and_sessions() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    let rows = client.simple_query("SELECT 1; SELECT page FROM by_page ORDER BY 1; SHOW search_path").await.unwrap();
    assert_eq!(texts(&rows), ["1", "/a", "/b", "public"]);
    client.batch_execute("SET search_path TO speed; BEGIN").await.unwrap();
    assert_eq!(texts(&client.simple_query("SELECT count(*) FROM by_page").await.unwrap()), ["0"]);
    client.batch_execute("COMMIT; RESET ALL; DISCARD ALL; DEALLOCATE ALL").await.unwrap();
    assert_eq!(texts(&client.simple_query("SELECT count(*) FROM by_page").await.unwrap()), ["2"]);
    let error = client.simple_query("SET nonsense = 1").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_OBJECT));
    client.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT page FROM by_page ORDER BY page").await.unwrap();
    assert_eq!(texts(&client.simple_query("FETCH 1 FROM c").await.unwrap()), ["/a"]);
    assert_eq!(texts(&client.simple_query("FETCH 5 FROM c").await.unwrap()), ["/b"]);
    client.batch_execute("CLOSE c; ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn errors_have_codes_and_positions_and_the_connection_goes_on() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    for (sql, code, position) in [
        ("SELECT page, nope FROM by_page", "42703", Some(14)),
        ("SELECT * FROM nope", "42P01", Some(15)),
        ("SELECT page\nFORM by_page", "42601", Some(18)),
        ("INSERT INTO by_page VALUES (1)", "25006", None),
        ("SELECT 1; DROP TABLE by_page", "25006", None),
        ("SELECT 1/0", "22012", None),
    ] {
        let error = client.simple_query(sql).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), code, "{sql}: {error:?}");
        let found = error.position().map(|position| match position {
            tokio_postgres::error::ErrorPosition::Original(n) => *n,
            tokio_postgres::error::ErrorPosition::Internal { .. } => 0,
        });
        assert_eq!(found, position, "{sql}: {error:?}");
    }
    assert_eq!(client.query("SELECT 1", &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn statements_end_when_asked_to() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000) a(x) WHERE x % 7 = 3";
    client.batch_execute("SET statement_timeout = '150ms'").await.unwrap();
    let error = client.simple_query(endless).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    client.batch_execute("RESET statement_timeout").await.unwrap();
    let cancel = client.cancel_token();
    let cancelling = async {
        // Cancels nothing until the statement has begun, so it is repeated.
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            cancel.cancel_query(NoTls).await.unwrap();
        }
    };
    tokio::select! {
        () = cancelling => {}
        ended = client.simple_query(endless) => {
            assert_eq!(ended.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
        }
    }
    // The repeated cancel may have met nothing, or this statement.
    let _ = client.simple_query("SELECT 1").await;
    assert_eq!(texts(&client.simple_query("SELECT 1").await.unwrap()), ["1"]);
}

#[tokio::test]
async fn connections_are_limited() {
    let wire = wire(ServingConfig { max_connections: 1, ..config() }).await;
    let client = wire.client().await;
    let address = format!("host=127.0.0.1 port={} user=dovetail", wire.port);
    let refused = match tokio_postgres::connect(&address, NoTls).await {
        Err(error) => error,
        Ok((second, connection)) => {
            wire.tasks.spawn(async move { drop(connection.await) });
            second.simple_query("SELECT 1").await.unwrap_err()
        }
    };
    assert!(refused.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) || refused.is_closed(), "{refused:?}");
    if let Some(error) = refused.as_db_error() {
        assert_eq!(error.message(), "too many connections: `query.connections` allows 1");
    }
    assert_eq!(texts(&client.simple_query("SELECT 1").await.unwrap()), ["1"]);
}

#[tokio::test]
async fn shutting_down_ends_the_connections() {
    let wire = wire(config()).await;
    let client = wire.client().await;
    wire.shutdown.cancel();
    wire.tasks.close();
    wire.tasks.wait().await;
    assert!(client.is_closed());
}
