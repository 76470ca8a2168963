//! A record that decodes only under a later schema is the very record that was appended: with its headers, whether it
//! is read from the log or from the landing.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{BinaryArray, StringArray, TimestampMillisecondArray};
use dovetail_core::record::Records;
use dovetail_ingestion::log::Log;
use dovetail_testkit::fixtures::log_in;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Server, eventually, number, settings_on_demand, texts, try_number, verify};

const BEFORE: &str = "
    CREATE EXTERNAL TABLE notes (n BIGINT) STORED AS JSON LOCATION 'kafka://notes' OPTIONS ('partitions' '1');
    CREATE VIEW total AS SELECT count(*) AS n FROM notes;
";
const AFTER: &str = "
    CREATE EXTERNAL TABLE notes (n VARCHAR) STORED AS JSON LOCATION 'kafka://notes' OPTIONS ('partitions' '1');
    CREATE VIEW total AS SELECT count(*) AS n FROM notes;
    CREATE VIEW by_sender AS SELECT _headers AS sender, n, count(*) AS c, max(_timestamp) AS last FROM notes
    GROUP BY _headers, n;
";

/// The server's log, while it does not run.
async fn log(data: &Path) -> Arc<dyn Log> {
    std::fs::create_dir_all(data).unwrap();
    let log = log_in(data);
    log.create_topic("notes", 1).await.unwrap();
    log
}

async fn append(data: &Path, notes: &[(&str, Option<&str>)]) {
    let header = |sender: &str| format!("{{\"sender\":\"{sender}\"}}");
    let records = Records {
        timestamps: TimestampMillisecondArray::from_iter_values(1000..1000 + notes.len() as i64),
        keys: BinaryArray::from_iter(notes.iter().map(|(_, sender)| sender.map(|_| b"k"))),
        values: BinaryArray::from_iter_values(notes.iter().map(|(n, _)| format!("{{\"n\": {n}}}"))),
        headers: StringArray::from_iter(notes.iter().map(|(_, sender)| sender.map(header))),
    };
    log(data).await.append("notes", 0, records, None).await.unwrap();
}

async fn landed(server: &Server, n: i64) {
    let client = server.client();
    let landed = async || (try_number(&client, "SELECT landed FROM sys.partitions").await.ok()? == n).then_some(());
    eventually(&format!("{n} landed records"), landed).await;
}

async fn recompute(server: &Server) {
    let run: Value = server.client().post("/v1/recompute", &json!({"full": true})).await.unwrap();
    assert!(run["generation"].is_u64(), "{run}");
}

async fn senders(server: &Server, view: &str) -> Vec<String> {
    let line = "concat_ws('|', coalesce(sender, 'nobody'), n, CAST(c AS VARCHAR), CAST(last AS VARCHAR))";
    let mut lines = texts(&server.client(), &format!("SELECT {line} FROM {view}")).await;
    lines.sort();
    lines
}

#[tokio::test]
async fn a_dead_letter_keeps_its_headers_until_it_decodes() {
    let folder = TempDir::new().unwrap();
    let pipeline = folder.path().join("notes.sql");
    std::fs::write(&pipeline, BEFORE).unwrap();
    let mut server = Server::new(&pipeline, settings_on_demand());
    append(&server.data(), &[("1", Some("ann")), ("\"x\"", Some("bob")), ("\"y\"", None)]).await;
    server.start().await;
    landed(&server, 3).await;
    let dead = texts(&server.client(), "SELECT headers FROM sys.dead_letters ORDER BY \"offset\"").await;
    assert_eq!(dead, ["{\"sender\":\"bob\"}", ""]);
    recompute(&server).await;
    assert_eq!(number(&server.client(), "SELECT n FROM total").await, 1);
    server.kill().await;

    // Now texts are notes too.
    std::fs::write(&pipeline, AFTER).unwrap();
    server.launch();
    eventually("a server that answers", async || server.client().get::<Value>("/v1/layers").await.ok()).await;
    recompute(&server).await;
    server.wait_ready().await;
    let mut expected = vec![
        "nobody|y|1|1970-01-01 00:00:01.002+00",
        "{\"sender\":\"ann\"}|1|1|1970-01-01 00:00:01+00",
        "{\"sender\":\"bob\"}|x|1|1970-01-01 00:00:01.001+00",
    ];
    assert_eq!(senders(&server, "batch.by_sender").await, expected);
    assert_eq!(senders(&server, "by_sender").await, expected);
    // Folded from the log, the same records are the same rows.
    verify(&server.client(), &[]).await;
    server.kill().await;

    // One more for the speed layer.
    append(&server.data(), &[("\"z\"", Some("cat"))]).await;
    server.start().await;
    expected.push("{\"sender\":\"cat\"}|z|1|1970-01-01 00:00:01+00");
    let answered = async || (senders(&server, "by_sender").await == expected).then_some(());
    eventually("the record that came last", answered).await;
    landed(&server, 4).await;
    verify(&server.client(), &[]).await;
    recompute(&server).await;
    server.kill().await;

    // Folded from the landing too, once the log is trimmed.
    log(&server.data()).await.trim("notes", 0, 4).await.unwrap();
    server.start().await;
    assert_eq!(senders(&server, "batch.by_sender").await, expected);
    verify(&server.client(), &[]).await;
}
