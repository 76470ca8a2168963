//! Instants and local times in statements, against a column with a zone.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::cast;
use dovetail_core::pipeline::Pipeline;
use serde_json::Value;

use super::http::http_of;
use super::postgres::{texts, wire_of};
use super::world::{World, config};

/// The view's own literal keeps all but the first instant.
const PIPELINE: &str = "
CREATE EXTERNAL TABLE clicks (at TIMESTAMP) STORED AS JSON LOCATION 'kafka://Clicks'
OPTIONS ('partitions' '2', 'timezone' 'America/New_York');
CREATE VIEW by_time AS SELECT at, count(*) AS clicks FROM clicks
WHERE at >= TIMESTAMPTZ '2024-01-01T00:00:00Z' GROUP BY at;
";

/// The year begins at 05:00Z in New York; on the third of November there is half past one twice.
const INSTANTS: [&str; 5] = [
    "2023-12-31T23:59:59Z",
    "2024-01-01T04:59:59Z",
    "2024-01-01T05:00:00Z",
    "2024-11-03T05:30:00Z",
    "2024-11-03T06:30:00Z",
];

/// Conditions on `at`, and how many of the instants pass.
const CONDITIONS: [(&str, i64); 9] = [
    ("true", 4),
    ("at >= TIMESTAMPTZ '2024-01-01T05:00:00Z'", 3),
    ("at < TIMESTAMPTZ '2024-01-01T05:00:00Z'", 1),
    ("at = TIMESTAMPTZ '2024-01-01 00:00:00-05:00'", 1),
    ("at BETWEEN TIMESTAMPTZ '2024-01-01T00:00:00Z' AND TIMESTAMPTZ '2024-01-01T06:00:00+01:00'", 2),
    ("at >= '2024-01-01T05:00:00Z'", 3),
    ("at > TIMESTAMPTZ '2024-11-03 01:30:00-04:00'", 1),
    // Without an offset it is the column's local time.
    ("at >= TIMESTAMP '2024-01-01 00:00:00'", 3),
    ("date_trunc('day', at) = '2024-01-01'", 1),
];

async fn world() -> World {
    let world = World::with(PIPELINE, config()).await;
    let pipeline = Pipeline::parse(PIPELINE, Path::new("pipeline.sql")).unwrap();
    let schema = pipeline.streams[0].decoded_schema();
    let mut partitions = world.rows.partitions.lock().unwrap();
    for (i, instant) in INSTANTS.iter().enumerate() {
        let (partition, rows) = (i as i32 % 2, &mut partitions);
        let rows = rows.get_mut(&partition).unwrap();
        let at: ArrayRef = Arc::new(StringArray::from(vec![*instant]));
        let mut columns = vec![cast(&at, schema.field(0).data_type()).unwrap()];
        columns.push(Arc::new(Int32Array::from(vec![partition])));
        columns.push(Arc::new(Int64Array::from(vec![rows.len() as i64])));
        columns.extend(schema.fields()[3..].iter().map(|field| new_null_array(field.data_type(), 1)));
        rows.push(RecordBatch::try_new(Arc::clone(&schema), columns).unwrap());
    }
    drop(partitions);
    world
}

fn counting(condition: &str) -> String {
    format!("SELECT count(*) AS n FROM by_time WHERE {condition}")
}

#[tokio::test]
async fn instants_over_http() {
    let world = world().await;
    world.publish(&[]).await;
    let http = http_of(world).await;
    for (condition, expected) in CONDITIONS {
        let text = http.ask("*/*", &counting(condition)).await.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["rows"][0]["n"], expected, "{condition}: {body}");
    }
}

#[tokio::test]
async fn instants_over_the_postgres_wire() {
    let wire = wire_of(world().await).await;
    let client = wire.client().await;
    for (condition, expected) in CONDITIONS {
        let sql = counting(condition);
        assert_eq!(texts(&client.simple_query(&sql).await.unwrap()), [expected.to_string()], "{sql}");
        assert_eq!(client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0), expected, "{sql}");
    }
    let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(1_704_085_200);
    let after = counting("at >= $1");
    assert_eq!(client.query_one(&after, &[&new_year]).await.unwrap().get::<_, i64>(0), 3);
    // A session's zone is that of instants without an offset.
    client.batch_execute("SET timezone TO 'America/New_York'").await.unwrap();
    let sql = counting("at >= TIMESTAMPTZ '2024-01-01 00:00:00'");
    assert_eq!(texts(&client.simple_query(&sql).await.unwrap()), ["3"]);
}

/// As in PostgreSQL 15.
#[tokio::test]
async fn a_local_time_that_is_twice_is_the_later_one_and_one_that_is_never_an_hour_later() {
    let world = world().await;
    for (local, later) in [("2024-11-03 01:30:00", "1"), ("2024-03-10 02:30:00", "2")] {
        for text in ["", "TIMESTAMP "] {
            let condition = format!("at >= {text}'{local}'");
            assert_eq!(world.rows(&counting(&condition)).await, [later], "{condition}");
        }
    }
}
