//! Partitions that no speed layer holds: an error that names them, or an answer that does.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use serde_json::{Value, json};
use tokio_postgres::{AsyncMessage, NoTls, SimpleQueryMessage};

use super::http::{http, http_of};
use super::postgres::wire;
use super::world::{World, config};
use crate::{QueryError, Reason};

const COUNT: &str = "SELECT clicks FROM everything";

/// Two records of each partition below the cut, one above; partition 1 is lost.
fn lose(world: &World) {
    world.append_all(&[("ann", "/a", 1), ("bob", "/b", 2)]);
    world.rows.gone.lock().unwrap().insert(1);
}

fn is_refused(error: &QueryError) {
    assert_eq!(error.reason, Reason::NotReady);
    let message = "view `everything`: partition 1 is missing: speed layer `b` was last heard 3.0 s ago";
    assert_eq!(error.message, message);
    assert!(error.hint.as_ref().unwrap().contains("SET dovetail.partial = on"));
}

#[tokio::test]
async fn an_error_names_them() {
    let world = World::new().await;
    world.append_all(&[("ann", "/a", 10), ("bob", "/b", 20)]);
    assert!(world.publish(&[]).await);
    lose(&world);
    is_refused(&world.error(COUNT).await);
    // The part below the cut does not depend on the speed layer.
    assert_eq!(world.rows("SELECT clicks FROM batch.everything").await, ["2"]);
    world.rows.gone.lock().unwrap().clear();
    assert_eq!(world.rows(COUNT).await, ["4"]);
}

#[tokio::test]
async fn nobody_has_to_tell_that_a_partition_is_missing() {
    // Of partition 1 the reader never heard.
    let world = World::new().await;
    world.rows.partitions.lock().unwrap().remove(&1);
    let error = world.error(COUNT).await;
    assert_eq!(error.reason, Reason::NotReady);
    assert!(error.message.ends_with("partition 1 is missing from the realtime view"), "{}", error.message);
}

/// A record in a partition that is newer than what is known of the topic, below the cut.
async fn with_a_newer_partition() -> World {
    let world = World::new().await;
    world.rows.partitions.lock().unwrap().insert(2, vec![]);
    world.append_all(&[("ann", "/a", 10), ("bob", "/b", 20)]);
    world.append(2, ("cid", "/c", 30));
    assert!(world.publish(&[]).await);
    assert_eq!(world.rows(COUNT).await, ["3"]);
    world
}

#[tokio::test]
async fn a_partition_that_only_the_cut_names_is_missing() {
    let world = with_a_newer_partition().await;
    world.append(2, ("cid", "/c", 40));
    assert_eq!(world.rows(COUNT).await, ["4"]);
    world.rows.unknown.lock().unwrap().insert(2);
    let error = world.error(COUNT).await;
    assert_eq!(error.reason, Reason::NotReady);
    assert!(error.message.ends_with("partition 2 is missing from the realtime view"), "{}", error.message);
    let http = http_of(world).await;
    let body = json!({ "sql": COUNT, "partial": true });
    let answer = http.client.post(format!("{}/v1/query", http.base)).json(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["rows"], json!([{ "clicks": 3 }]), "what the batch view holds of it");
    assert_eq!(answer["as_of"][0]["missing"], json!([2]), "{answer}");
}

#[tokio::test]
async fn a_partition_above_the_known_ones_is_merged_only_where_it_joins() {
    let world = with_a_newer_partition().await;
    // It would be there twice.
    world.rows.from_start.lock().unwrap().insert(2);
    let error = world.error(COUNT).await;
    assert_eq!(error.reason, Reason::NotReady);
    assert!(
        error.message.ends_with("overlap in partition 2: batch ends at 1, realtime starts at 0"),
        "{}",
        error.message
    );
    world.rows.from_start.lock().unwrap().clear();
    assert_eq!(world.rows(COUNT).await, ["3"]);
}

#[tokio::test]
async fn over_http_a_partial_answer_is_marked() {
    let http = http().await;
    lose(&http.world);
    let ask = async |partial: bool| {
        let body = json!({ "sql": COUNT, "partial": partial });
        http.client.post(format!("{}/v1/query", http.base)).json(&body).send().await.unwrap()
    };
    let refused = ask(false).await;
    assert_eq!(refused.status().as_u16(), 503);
    let partial = ask(true).await;
    assert_eq!(partial.headers()["dovetail-missing-partitions"], "[1]");
    assert_eq!(partial.headers()["dovetail-cut"], r#"{"0":2,"1":1}"#);
    assert_eq!(partial.headers()["dovetail-head"], r#"{"0":3,"1":1}"#);
    let body: Value = serde_json::from_str(&partial.text().await.unwrap()).unwrap();
    assert_eq!((&body["rows"], &body["as_of"][0]["missing"]), (&json!([{ "clicks": 4 }]), &json!([1])));
    // Whole again, nothing is marked, and the answer is not the one that was finished before.
    http.world.rows.gone.lock().unwrap().clear();
    for partial in [true, false] {
        let whole = ask(partial).await;
        assert!(!whole.headers().contains_key("dovetail-missing-partitions"));
        let body: Value = serde_json::from_str(&whole.text().await.unwrap()).unwrap();
        assert_eq!((&body["rows"], &body["as_of"][0]["missing"]), (&json!([{ "clicks": 5 }]), &Value::Null));
    }
}

#[tokio::test]
async fn over_the_postgres_wire_a_warning_comes_with_it() {
    let wire = wire(config()).await;
    lose(&wire.world);
    let address = format!("host=127.0.0.1 port={} user=dovetail dbname=dovetail", wire.port);
    let (client, mut connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
    let notices = Arc::new(Mutex::new(vec![]));
    let heard = Arc::clone(&notices);
    wire.tasks.spawn(async move {
        let mut messages = futures::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notice(notice) = message {
                heard.lock().unwrap().push(notice.message().to_owned());
            }
        }
    });
    let refused = client.simple_query(COUNT).await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("partition 1 is missing"));
    assert!(client.batch_execute("SET dovetail.partial = perhaps").await.is_err());
    client.batch_execute("SET dovetail.partial = on").await.unwrap();
    let first = |messages: Vec<SimpleQueryMessage>| {
        messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
            _ => None,
        })
    };
    assert_eq!(first(client.simple_query("SHOW dovetail.partial").await.unwrap()).as_deref(), Some("on"));
    assert_eq!(first(client.simple_query(COUNT).await.unwrap()).as_deref(), Some("4"));
    let told = |n: usize| {
        let notices = notices.lock().unwrap();
        assert_eq!(notices.len(), n, "{notices:?}");
        assert!(notices.iter().all(|notice| notice.starts_with("partial answer: view `everything`")), "{notices:?}");
    };
    told(1);
    assert_eq!(client.query_one(COUNT, &[]).await.unwrap().get::<_, i64>(0), 4);
    told(2);
    client.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT clicks FROM everything; COMMIT").await.unwrap();
    told(3);
    client.batch_execute("RESET dovetail.partial").await.unwrap();
    assert!(client.simple_query(COUNT).await.is_err());
}
