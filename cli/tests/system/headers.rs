//! A record that decodes only under a later schema is the very record that was appended: with its headers, whether it
//! is read from the log or from the landing.

use std::sync::Arc;

use arrow::array::{BinaryArray, StringArray, TimestampMillisecondArray};
use dovetail_core::record::Records;
use dovetail_ingestion::log::Log;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Local, config, eventually, number, texts, try_number, verify};

const BEFORE: &str = "
    CREATE EXTERNAL TABLE notes (n BIGINT) STORED AS JSON LOCATION 'kafka://notes' OPTIONS ('partitions' '1');
    CREATE VIEW total AS SELECT count(*) AS n FROM notes;
";
const AFTER: &str = "
    CREATE EXTERNAL TABLE notes (n VARCHAR) STORED AS JSON LOCATION 'kafka://notes' OPTIONS ('partitions' '1');
    CREATE VIEW total AS SELECT count(*) AS n FROM notes;
    CREATE VIEW by_sender AS SELECT _headers AS sender, n, count(*) AS c, max(_timestamp) AS last FROM notes GROUP BY _headers, n;
";
const LINES: &str = "concat_ws('|', coalesce(sender, 'nobody'), n, CAST(c AS VARCHAR), CAST(last AS VARCHAR))";

async fn append(log: &dyn Log, notes: &[(&str, Option<&str>)]) {
    let records = Records {
        timestamps: TimestampMillisecondArray::from_iter_values(1000..1000 + notes.len() as i64),
        keys: BinaryArray::from_iter(notes.iter().map(|(_, sender)| sender.map(|_| b"k"))),
        values: BinaryArray::from_iter_values(notes.iter().map(|(n, _)| format!("{{\"n\": {n}}}"))),
        headers: StringArray::from_iter(
            notes.iter().map(|(_, sender)| sender.map(|s| format!("{{\"sender\":\"{s}\"}}"))),
        ),
    };
    log.append("notes", 0, records, None).await.unwrap();
}

async fn landed(local: &Local, n: i64) {
    let landed =
        async || (try_number(&local.client, "SELECT landed FROM sys.partitions").await.ok()? == n).then_some(());
    eventually(&format!("{n} landed records"), landed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_keeps_its_headers_until_it_decodes() {
    let folder = Arc::new(TempDir::new().unwrap());
    let local = Local::start_in(&folder, BEFORE, config()).await;
    append(local.engine.log.as_ref(), &[("1", Some("ann")), ("\"x\"", Some("bob")), ("\"y\"", None)]).await;
    landed(&local, 3).await;
    let dead = texts(&local.client, "SELECT headers FROM sys.dead_letters ORDER BY \"offset\"").await;
    assert_eq!(dead, ["{\"sender\":\"bob\"}", ""]);
    let run: Value = local.client.post("/v1/recompute", &json!({})).await.unwrap();
    assert!(run["generation"].is_u64(), "{run}");
    assert_eq!(number(&local.client, "SELECT n FROM total").await, 1);
    local.engine.stop().await;
    drop(local);

    let local = Local::start_in(&folder, AFTER, config()).await;
    let run: Value = local.client.post("/v1/recompute", &json!({"full": true})).await.unwrap();
    assert!(run["generation"].is_u64(), "{run}");
    let expected = |more: &[&str]| {
        let rebuilt = [
            "nobody|y|1|1970-01-01T00:00:01.002Z",
            "{\"sender\":\"ann\"}|1|1|1970-01-01T00:00:01Z",
            "{\"sender\":\"bob\"}|x|1|1970-01-01T00:00:01.001Z",
        ];
        let mut lines: Vec<String> = rebuilt.iter().chain(more).map(|&line| line.to_owned()).collect();
        lines.sort();
        lines
    };
    let lines = async |layer: &str| {
        let mut lines = texts(&local.client, &format!("SELECT {LINES} FROM {layer}by_sender")).await;
        lines.sort();
        lines
    };
    assert_eq!(lines("batch.").await, expected(&[]));
    // Folded from the log, the same records are the same rows.
    verify(&local.client, &[]).await;
    append(local.engine.log.as_ref(), &[("\"z\"", Some("cat"))]).await;
    let all = expected(&["{\"sender\":\"cat\"}|z|1|1970-01-01T00:00:01Z"]);
    let answered = async || (lines("").await == all).then_some(());
    eventually("the record that came last", answered).await;
    landed(&local, 4).await;
    // From the landing too, once the log is trimmed.
    local.engine.log.trim("notes", 0, 4).await.unwrap();
    verify(&local.client, &[]).await;
}
