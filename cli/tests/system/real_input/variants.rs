//! The same records in every shape that `dovetail ingest` reads, at every pace: the same answers.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use dovetail_connectors::sources::generate::{GenerateOptions, Kind, generate};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;

use super::streams::Streams;

const RECORDS: usize = 1_000;

fn requests() -> Vec<String> {
    let options = GenerateOptions { events: RECORDS as u64, seed: 9, late: 0.05, bad: 0.0, start_ms: None };
    generate(Kind::Nyc311, &options).map(|line| String::from_utf8(line).unwrap()).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut out = GzEncoder::new(vec![], Compression::fast());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

/// `created_date` as the export's header has it.
fn header(field: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    field.split('_').map(word).collect::<Vec<_>>().join(" ")
}

/// A cell as the export writes it: with a clock of twelve hours, and quoted where a comma or a newline asks for it.
fn cell(field: &str, value: &Value) -> String {
    let text = value.as_str().map_or_else(String::new, ToOwned::to_owned);
    let text = match field.ends_with("_date").then(|| NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f")) {
        Some(Ok(time)) => time.format("%m/%d/%Y %I:%M:%S %p").to_string(),
        _ => text,
    };
    match text.contains(['"', ',', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

fn export(lines: &[String]) -> String {
    let records: Vec<Map<String, Value>> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut fields: Vec<&String> = records.iter().flat_map(Map::keys).collect();
    fields.sort();
    fields.dedup();
    let header = fields.iter().map(|field| header(field)).collect::<Vec<_>>().join(",");
    let row = |record: &Map<String, Value>| {
        fields
            .iter()
            .map(|field| cell(field, &record.get(*field).cloned().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(",")
    };
    std::iter::once(header).chain(records.iter().map(row)).collect::<Vec<_>>().join("\r\n")
}

async fn pipe(streams: &Streams, stream: &str, text: &str) {
    let mut ingest = streams.server.command(&["ingest", stream, "--from", "-"]);
    let mut ingest = ingest.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = ingest.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).await.unwrap();
    drop(stdin);
    assert!(ingest.wait().await.unwrap().success());
}

#[tokio::test]
async fn every_shape_of_the_same_records_has_the_same_answers() {
    let names = ["plain", "gz", "gz_array", "piped", "array", "pretty", "export", "paced", "recorded"];
    let streams = Streams::start(&names).await;
    let lines = requests();
    let plain = lines.join("\n");
    let array = format!("[{}]", lines.join(",\n"));
    let pretty = serde_json::from_str::<Value>(&array).unwrap();
    let files = [
        ("plain", streams.write("plain.ndjson", &plain)),
        ("gz", streams.write("plain.ndjson.gz", gzip(&plain))),
        // The content is detected, whatever the file's name says.
        ("gz_array", streams.write("array.txt", gzip(&array))),
        ("array", streams.write("array.json", &array)),
        ("pretty", streams.write("pretty.json", serde_json::to_string_pretty(&pretty).unwrap())),
        ("export", streams.write("export.csv", export(&lines))),
    ];
    for (stream, file) in &files {
        streams.ingest(stream, file).await;
    }
    pipe(&streams, "piped", &plain).await;
    paced(&streams, &files[0].1).await;
    recorded(&streams, &files[0].1, &lines).await;
    streams.hold(&names.map(|name| (name, RECORDS))).await;
    for name in &names[1..] {
        streams.same(names[0], name).await;
    }
    streams.server.check("SELECT count(*) FROM sys.dead_letters", &["0"]).await;
}

/// At 2,000 a second the last of 1,000 records is due after 499.5 ms.
async fn paced(streams: &Streams, file: &str) {
    let began = Instant::now();
    streams.server.run(&["ingest", "paced", "--from", file, "--rate", "2000"]).await;
    assert!(began.elapsed() >= Duration::from_millis(499), "{:?}", began.elapsed());
}

/// The last record is due as long after the first as it happened, divided by the factor.
async fn recorded(streams: &Streams, file: &str, lines: &[String]) {
    let time = |line: &String| {
        let record: Map<String, Value> = serde_json::from_str(line).unwrap();
        NaiveDateTime::parse_from_str(record["created_date"].as_str().unwrap(), "%Y-%m-%dT%H:%M:%S%.f").unwrap()
    };
    let first = time(&lines[0]);
    let span_s = lines.iter().map(|line| (time(line) - first).num_seconds()).max().unwrap();
    let factor = span_s as f64 / 0.4;
    let began = Instant::now();
    streams.server.run(&["ingest", "recorded", "--from", file, "--as-recorded", &format!("{factor}x")]).await;
    assert!(began.elapsed() >= Duration::from_millis(399), "{:?} for {span_s} s", began.elapsed());
}
