//! Support for the tests of the whole system.

mod asking;
mod engine;
mod server;
mod store;

use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use dovetail_api::Client;
use serde_json::{Value, json};

pub(crate) use asking::{data, holds, post, said};
pub(crate) use engine::{Local, config};
pub(crate) use server::{Server, dovetail, free_port, last_of, settings_for_haste, settings_on_demand};
pub(crate) use store::{Fault, Faulty};

/// Time limit of a value to appear.
const WAIT_MAX: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `look` finds something, and returns it. `what` names it in the failure.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    match tokio::time::timeout(WAIT_MAX, waiting).await {
        Ok(found) => found,
        Err(_) => panic!("waited {WAIT_MAX:?} in vain for {what}"),
    }
}

/// The rows of a query.
pub(crate) async fn rows(client: &Client, sql: &str) -> Vec<RecordBatch> {
    match client.query(sql).await {
        Ok((_, batches)) => batches,
        Err(error) => panic!("{sql}: {error:#}"),
    }
}

/// The one integer that a query answers; 0 when it is null.
pub(crate) async fn number(client: &Client, sql: &str) -> i64 {
    match try_number(client, sql).await {
        Ok(number) => number,
        Err(error) => panic!("{sql}: {error:#}"),
    }
}

/// The same, where an error is an answer too.
pub(crate) async fn try_number(client: &Client, sql: &str) -> anyhow::Result<i64> {
    let (_, batches) = client.query(sql).await?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(0) };
    let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Int64)?;
    let column = column.as_primitive::<Int64Type>();
    Ok(if column.is_null(0) { 0 } else { column.value(0) })
}

/// The first column of a query as texts.
pub(crate) async fn texts(client: &Client, sql: &str) -> Vec<String> {
    let mut texts = vec![];
    for batch in rows(client, sql).await {
        let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        texts.extend(column.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()));
    }
    texts
}

/// Folds the whole log again and finds no difference to what is served. No views: all.
pub(crate) async fn verify(client: &Client, views: &[&str]) {
    let verdicts: Vec<Value> = match client.post("/v1/verify", &json!({ "views": views })).await {
        Ok(verdicts) => verdicts,
        Err(error) => panic!("verify {views:?}: {error:#}"),
    };
    assert!(!verdicts.is_empty());
    for verdict in verdicts {
        assert_eq!(verdict["differences"], 0, "{verdict:#}");
    }
}

/// Clicks `from..to`, an object a line.
pub(crate) fn clicks(from: u64, to: u64) -> Vec<u8> {
    let line = |i: u64| {
        let (minute, second) = (i / 60 % 60, i % 60);
        format!(
            "{{\"ts\":\"2026-03-01T10:{minute:02}:{second:02}Z\",\"user_id\":{},\"page\":\"/p/{}\",\"ms\":{}}}\n",
            i % 97,
            i % 7,
            i % 1000
        )
    };
    (from..to).map(line).collect::<String>().into_bytes()
}
