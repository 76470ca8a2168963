//! Clients that stop reading, or read slowly: their time runs on, and what is held for them is given back.

use std::time::Duration;

use futures::StreamExt;
use reqwest::StatusCode;
use serde_json::Value;
use tokio_postgres::error::SqlState;

use super::http::{Http, http_of};
use super::postgres::{Wire, texts, wire, wire_of};
use super::world::{PIPELINE, World, config, until};
use crate::ServingConfig;

/// More than all buffers between the server and a client hold; the smaller side of the join is held until the end.
const LONG: &str = "SELECT a.x, repeat('x', 500) AS y FROM generate_series(1, 200000) a(x) \
                    JOIN generate_series(0, 99) b(x) ON a.x % 100 = b.x";

fn one_at_a_time() -> ServingConfig {
    ServingConfig {
        query_timeout: Duration::from_secs(5),
        query_memory: 256 << 20,
        total_memory: 512 << 20,
        max_queries: 1,
        ..config()
    }
}

async fn http() -> Http {
    http_of(World::with(PIPELINE, one_at_a_time()).await).await
}

/// A query holds its turn and memory.
fn holds(world: &World) -> (usize, bool) {
    let inner = &world.serving.layers;
    (1 - world.serving.turns.available_permits(), inner.memory.reserved() > 0)
}

async fn given_back(world: &World) {
    until("turn and memory are given back", || holds(world) == (0, false)).await;
}

#[tokio::test]
async fn who_stops_reading_over_http_meets_the_time_limit() {
    let http = http().await;
    let response = http.ask("application/x-ndjson", LONG).await;
    assert_eq!(response.status(), StatusCode::OK);
    // It has begun to answer, and is still at it: another one would have to wait.
    assert_eq!(holds(&http.world), (1, true));
    given_back(&http.world).await;
    assert_eq!(http.world.rows("SELECT 1").await, ["1"]);
    let text = response.text().await.unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["sqlstate"], "57014", "{last}");
    assert!(last["error"]["message"].as_str().unwrap().contains("`query.timeout` allows it 5s"), "{last}");
}

#[tokio::test]
async fn who_goes_away_over_http_gives_back_what_was_held() {
    let http = http().await;
    let response = http.ask("text/csv", LONG).await;
    assert_eq!(holds(&http.world), (1, true));
    drop(response);
    given_back(&http.world).await;
}

async fn postgres() -> Wire {
    wire_of(World::with(PIPELINE, one_at_a_time()).await).await
}

#[tokio::test]
async fn who_stops_reading_over_the_wire_meets_the_time_limit() {
    let wire = postgres().await;
    let (client, other) = (wire.client().await, wire.client().await);
    let none: [&str; 0] = [];
    let mut rows = std::pin::pin!(client.query_raw(LONG, none).await.unwrap());
    rows.next().await.unwrap().unwrap();
    assert_eq!(holds(&wire.world), (1, true));
    // A query without a permit in time fails, and the error names the setting.
    other.batch_execute("SET statement_timeout = '50ms'").await.unwrap();
    let refused = other.simple_query("SELECT 1").await.unwrap_err();
    let refused = refused.as_db_error().unwrap();
    assert_eq!(refused.code().code(), "53400", "{refused}");
    assert!(refused.message().contains("`query.concurrent` allows 1"), "{refused}");
    given_back(&wire.world).await;
    other.batch_execute("RESET statement_timeout").await.unwrap();
    assert_eq!(texts(&other.simple_query("SELECT 1").await.unwrap()), ["1"]);
    let error = loop {
        match rows.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("all of it was sent"),
        }
    };
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}");
}

#[tokio::test]
async fn portals_and_cursors_that_nobody_reads_end_with_their_time() {
    let wire = postgres().await;
    let mut client = wire.client().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind(LONG, &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 10).await.unwrap().len(), 10);
    assert_eq!(holds(&wire.world), (1, true));
    given_back(&wire.world).await;
    // The rows read ahead are still there; the next are not.
    let mut left = 200_000;
    let error = loop {
        match transaction.query_portal(&portal, 10_000).await {
            Ok(rows) => left -= rows.len(),
            Err(error) => break error,
        }
    };
    assert_eq!((error.code(), left > 100_000), (Some(&SqlState::QUERY_CANCELED), true), "{error}");
    drop(transaction);
    let declare = format!("BEGIN; DECLARE c CURSOR FOR {LONG}");
    client.batch_execute(&declare).await.unwrap();
    assert_eq!(texts(&client.simple_query("FETCH 3 FROM c").await.unwrap()).len(), 3);
    assert_eq!(holds(&wire.world), (1, true));
    // A connection has one turn for all that it has begun.
    assert_eq!(texts(&client.simple_query("SELECT 1").await.unwrap()), ["1"]);
    given_back(&wire.world).await;
    let error = client.simple_query("FETCH ALL FROM c").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}");
}

#[tokio::test]
async fn a_cursor_whose_answer_is_known_holds_nothing() {
    let wire = wire(ServingConfig { max_queries: 1, ..config() }).await;
    let client = wire.client().await;
    client.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT page FROM by_page ORDER BY page").await.unwrap();
    assert_eq!(holds(&wire.world), (0, false));
    assert_eq!(texts(&client.simple_query("FETCH 1 FROM c").await.unwrap()), ["/a"]);
    assert_eq!(texts(&client.simple_query("SELECT count(*) FROM by_page").await.unwrap()), ["2"]);
    let rows = client.query("FETCH ALL FROM c", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), ["/b"]);
    assert_eq!(client.query("FETCH 5 FROM c", &[]).await.unwrap().len(), 0);
}

#[tokio::test]
async fn statements_of_one_message_do_not_wait_for_each_other() {
    let wire = postgres().await;
    let client = wire.client().await;
    let two = "SELECT x FROM generate_series(1, 40000) t(x); SELECT x FROM generate_series(1, 40000) t(x)";
    assert_eq!(texts(&client.simple_query(two).await.unwrap()).len(), 80_000);
    given_back(&wire.world).await;
}

#[tokio::test]
async fn numbers_of_rows_that_cannot_be_do_no_harm() {
    let wire = wire(config()).await;
    let mut client = wire.client().await;
    client.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT page FROM by_page ORDER BY page").await.unwrap();
    let fetched = client.simple_query("FETCH 18446744073709551615 FROM c").await.unwrap();
    assert_eq!(texts(&fetched), ["/a", "/b"]);
    client.batch_execute("ROLLBACK").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT page FROM by_page", &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, i32::MAX).await.unwrap().len(), 2);
}
