//! The `.slt` file of each pipeline, over both interfaces: over a batch view and a realtime view that meet in the
//! middle, and over a batch view alone.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dovetail_ingestion::generate::Kind;
use serde_json::json;
use tokio_postgres::types::ToSql;

use super::input::{Input, folder, lines, pipeline};
use super::interfaces::{Http, Wire};
use crate::slt;
use crate::support::{Server, post};

const INPUT: Input = Input { events: 3_000, seed: 311 };
/// Where the first generation ends.
const CUT: usize = 1_800;

fn slt(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt").join(name)
}

/// The pipeline with views over its views, in a folder with its lookups.
fn with_derived_views(kind: Kind) -> PathBuf {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("slt-{}", folder(kind)));
    std::fs::create_dir_all(&to).unwrap();
    let from = pipeline(kind);
    for file in std::fs::read_dir(from.parent().unwrap()).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    let derived = std::fs::read_to_string(slt(&format!("{}.views.sql", folder(kind)))).unwrap();
    let sql = std::fs::read_to_string(&from).unwrap();
    std::fs::write(to.join("pipeline.sql"), sql + "\n" + &derived).unwrap();
    to
}

/// A server with the first lines in a generation and the rest behind its cut.
async fn filled(kind: Kind, stream: &str) -> Server {
    let place = with_derived_views(kind);
    let server = Server::started(&place.join("pipeline.sql")).await;
    let lines = lines(kind, &INPUT);
    // `expected.py` reads this file.
    std::fs::write(place.join("all.ndjson"), lines.join(&b'\n')).unwrap();
    let (below, above) = lines.split_at(CUT);
    for (name, part) in [("below.ndjson", below), ("above.ndjson", above)] {
        std::fs::write(place.join(name), part.join(&b'\n')).unwrap();
    }
    server.ingest(stream, &place.join("below.ndjson"), CUT as i64).await;
    server.run(&["recompute"]).await;
    server.ingest(stream, &place.join("above.ndjson"), lines.len() as i64).await;
    server
}

async fn check(kind: Kind, stream: &str) -> (Server, Wire) {
    let server = filled(kind, stream).await;
    let wire = Wire::open(&server).await;
    let file = slt(&format!("{}.slt", folder(kind)));
    for _ in 0..2 {
        slt::run(&file, &Http(&server)).await;
        slt::run(&file, &wire).await;
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
    let both = check(Kind::Nyc311, "service_requests").await;
    let sql = "SELECT sum(requests) FROM requests_by_day WHERE borough = $1";
    with_parameter(&both, sql, json!("BRONX"), &"BRONX", 716).await;
    let sql = "SELECT sum(requests) FROM requests_by_day WHERE day = $1";
    let midnight = SystemTime::UNIX_EPOCH + Duration::from_secs(1_793_505_600);
    with_parameter(&both, sql, json!("2026-11-01T04:00:00Z"), &midnight, 2_261).await;
    with_parameter(&both, sql, json!("2026-11-01T00:00:00-04:00"), &midnight, 2_261).await;
}

#[tokio::test]
async fn clicks_answers() {
    let both = check(Kind::Clicks, "clicks").await;
    let sql = "SELECT clicks FROM clicks_per_user WHERE user_id = $1";
    with_parameter(&both, sql, json!(71271), &71_271_i64, 16).await;
    let sql = "SELECT count(*) FROM clicks_per_user WHERE $1 < clicks";
    with_parameter(&both, sql, json!(10), &10_i64, 10).await;
}

#[tokio::test]
async fn weather_answers() {
    check(Kind::Weather, "readings").await;
}
