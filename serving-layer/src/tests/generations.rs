//! Statements as of an earlier generation.

use dovetail_core::name::Generation;
use dovetail_core::offsets::Cut;
use serde_json::{Value, json};

use super::http::http_of;
use super::postgres::{texts, wire_of};
use super::world::{World, lines};
use crate::{QueryError, Reason};

const SQL: &str = "SELECT clicks FROM everything";
const BATCH: &str = "SELECT clicks FROM batch.everything";

/// Three generations of one, two and three clicks, and a fourth click in none.
async fn world() -> World {
    let world = World::new().await;
    for click in [("ann", "/a", 10), ("bob", "/b", 20), ("ann", "/a", 300)] {
        world.append(0, click);
        assert!(world.publish(&[]).await);
    }
    world.append(1, ("cid", "/c", 1));
    world
}

async fn as_of(world: &World, sql: &str, generation: u64) -> Result<String, QueryError> {
    let answer = world.serving.query_as_of(sql, Generation(generation)).await?;
    assert!(answer.as_of.iter().all(|as_of| as_of.generation == Generation(generation)), "{:?}", answer.as_of);
    Ok(lines(&answer.collect().await?).join("; "))
}

#[tokio::test]
async fn a_generation_that_is_kept_can_be_asked() {
    let world = world().await;
    for (generation, batch) in [(1, "1"), (2, "2"), (3, "3")] {
        assert_eq!(as_of(&world, BATCH, generation).await.unwrap(), batch);
        // Whatever the generation, the speed layer has the rest.
        assert_eq!(as_of(&world, SQL, generation).await.unwrap(), "4");
    }
    let sql = "SELECT generation, batch_groups FROM sys.views WHERE name = 'by_page'";
    assert_eq!(as_of(&world, sql, 1).await.unwrap(), "1|1");
    assert_eq!(world.rows(SQL).await, ["4"]);
    assert_eq!(world.serving.generation(), Generation(3));
}

#[tokio::test]
async fn what_the_speed_layer_dropped_is_said() {
    let world = world().await;
    let current = Cut([(0, 3), (1, 0)].into_iter().collect());
    *world.rows.reached.lock().unwrap() = Some(current);
    let error = as_of(&world, SQL, 1).await.unwrap_err();
    assert_eq!(error.reason, Reason::NotReady);
    assert!(error.message.contains("after the cut of generation 1"), "{error}");
    assert!(error.hint.unwrap().contains("batch.everything"));
    assert_eq!(as_of(&world, BATCH, 1).await.unwrap(), "1");
    assert_eq!(as_of(&world, SQL, 3).await.unwrap(), "4");
}

#[tokio::test]
async fn a_generation_that_is_gone_is_refused() {
    let world = world().await;
    world.catalog.retire(Generation(1)).await.unwrap();
    for (generation, why) in [(1, "generation 1 is retired"), (9, "there is no generation 9")] {
        let error = as_of(&world, BATCH, generation).await.unwrap_err();
        assert!(error.message.contains(why), "{error}");
        assert!(error.hint.unwrap().contains("sys.generations"));
    }
}

#[tokio::test]
async fn http_and_the_postgres_wire_take_it() {
    let http = http_of(world().await).await;
    let ask = json!({ "sql": BATCH, "generation": 2 }).to_string();
    let response = http.ask("*/*", &ask).await;
    assert_eq!(response.status(), 200);
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["rows"], json!([{ "clicks": 2 }]));

    let wire = wire_of(world().await).await;
    let client = wire.client().await;
    let now = async |sql: &str| texts(&client.simple_query(sql).await.unwrap()).join("; ");
    assert_eq!(now("SHOW dovetail.generation").await, "current");
    client.batch_execute("SET dovetail.generation = 1").await.unwrap();
    assert_eq!(now("SHOW dovetail.generation").await, "1");
    assert_eq!((now(BATCH).await, now(SQL).await), ("1".to_owned(), "4".to_owned()));
    assert_eq!(client.query_one(BATCH, &[]).await.unwrap().get::<_, i64>(0), 1);
    client.batch_execute("RESET dovetail.generation").await.unwrap();
    assert_eq!(now(BATCH).await, "3");
    client.batch_execute("SET dovetail.generation TO 'current'").await.unwrap();
    assert!(client.batch_execute("SET dovetail.generation = 'old'").await.is_err());
}
