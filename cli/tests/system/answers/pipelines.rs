//! The `.slt` file of each pipeline, over both interfaces: over a batch view and a realtime view that meet in the
//! middle, and over a batch view alone.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio_postgres::types::ToSql;

use super::case::{CLICKS, CUT, Case, NYC311, RECORDS, WEATHER};
use super::interfaces::{Http, Wire};
use crate::slt;
use crate::support::{Server, post};

/// A server with the first lines in a generation and the rest behind its cut.
async fn filled(case: &Case) -> Server {
    // `expected.py` reads what is left here.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("slt-{}", case.name()));
    std::fs::create_dir_all(&place).unwrap();
    case.write_to(&place);
    std::fs::write(place.join("pipeline.sql"), case.sql()).unwrap();
    let server = Server::started(&place.join("pipeline.sql")).await;
    server.ingest(case.stream, &place.join("below.ndjson"), CUT as i64).await;
    server.run(&["recompute"]).await;
    server.ingest(case.stream, &place.join("above.ndjson"), RECORDS as i64).await;
    server
}

async fn check(case: &Case) -> (Server, Wire) {
    let server = filled(case).await;
    let wire = Wire::open(server.postgres()).await;
    for _ in 0..2 {
        slt::run(&case.slt(), &Http(server.url())).await;
        slt::run(&case.slt(), &wire).await;
        server.run(&["recompute"]).await;
    }
    (server, wire)
}

/// A statement with a parameter has the same answer over both interfaces: `expected`, which the `.slt` file has too.
async fn with_parameter(
    (server, wire): &(Server, Wire),
    sql: &str,
    json: serde_json::Value,
    parameter: &(dyn ToSql + Sync),
    expected: i64,
) {
    let rows = post(&server.url(), &json!({"sql": sql, "params": [json]}).to_string()).await.unwrap();
    assert_eq!(rows, [[json!(expected)]], "{sql} with {json}");
    let row = wire.client.query_one(sql, &[parameter]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), expected, "{sql} with {parameter:?}");
}

#[tokio::test]
async fn nyc311_answers() {
    let both = check(&NYC311).await;
    let sql = "SELECT CAST(sum(requests) AS BIGINT) FROM requests_by_day WHERE borough = $1";
    with_parameter(&both, sql, json!("BRONX"), &"BRONX", 716).await;
    let sql = "SELECT CAST(sum(requests) AS BIGINT) FROM requests_by_day WHERE day = $1";
    let midnight = SystemTime::UNIX_EPOCH + Duration::from_secs(1_793_505_600);
    with_parameter(&both, sql, json!("2026-11-01T04:00:00Z"), &midnight, 2_261).await;
    with_parameter(&both, sql, json!("2026-11-01T00:00:00-04:00"), &midnight, 2_261).await;
}

#[tokio::test]
async fn clicks_answers() {
    let both = check(&CLICKS).await;
    let sql = "SELECT clicks FROM clicks_per_user WHERE user_id = $1";
    with_parameter(&both, sql, json!(71271), &71_271_i64, 16).await;
    let sql = "SELECT count(*) FROM clicks_per_user WHERE $1 < clicks";
    with_parameter(&both, sql, json!(10), &10_i64, 10).await;
}

#[tokio::test]
async fn weather_answers() {
    check(&WEATHER).await;
}
