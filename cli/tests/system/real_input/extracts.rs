//! The same requests from three layouts of NYC 311: those that an extract and the NDJSON file both hold.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::shared;
use super::streams::{Streams, text};

/// A record's key, and its text as the file has it.
struct Entry {
    key: u64,
    text: String,
}

#[derive(Deserialize)]
struct Key {
    unique_key: String,
}

fn entry(text: &str) -> Entry {
    let key: Key = serde_json::from_str(text).unwrap();
    Entry { key: key.unique_key.parse().unwrap(), text: text.to_owned() }
}

fn ndjson(path: &Path) -> Vec<Entry> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(entry).collect()
}

fn page(path: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(path).unwrap();
    let records: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
    records.into_iter().map(|record| entry(record.get())).collect()
}

/// The header, and the rows with their quoted newlines; the key is the first column.
fn export(path: &Path) -> (String, Vec<Entry>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = vec![String::new()];
    for line in text.split_inclusive('\n') {
        rows.last_mut().unwrap().push_str(line);
        if rows.last().unwrap().matches('"').count() % 2 == 0 {
            rows.push(String::new());
        }
    }
    rows.retain(|row| !row.trim().is_empty());
    let header = rows.remove(0);
    let key = |row: &str| row.split(',').next().unwrap().trim_matches('"').parse().unwrap();
    (header, rows.into_iter().map(|row| Entry { key: key(&row), text: row }).collect())
}

/// Of `entries`, those that are in `keys` too.
fn common(entries: &[Entry], keys: &BTreeSet<u64>) -> Vec<String> {
    entries.iter().filter(|entry| keys.contains(&entry.key)).map(|entry| entry.text.clone()).collect()
}

fn keys(entries: &[Entry]) -> BTreeSet<u64> {
    entries.iter().map(|entry| entry.key).collect()
}

/// Ingests the requests that both have, as `file` has them and as the NDJSON file has them, and compares all views.
/// The values of these requests are equal in every declared column, so nothing has to be left out.
async fn check(streams: &Streams, name: &str, (file, content): (&str, String), all: &[Entry], both: &BTreeSet<u64>) {
    let of_all = format!("{name}_all");
    streams.ingest(name, &streams.write(file, content)).await;
    let lines = streams.write(&format!("{name}.ndjson"), common(all, both).join("\n"));
    streams.ingest(&of_all, &lines).await;
    streams.hold(&[(name, both.len()), (&of_all, both.len())]).await;
    streams.same(name, &of_all).await;
}

#[tokio::test]
async fn the_three_layouts_have_the_same_answers() {
    let Some(data) = shared("the_three_layouts_have_the_same_answers") else { return };
    let data = data.join("nyc311");
    let all = ndjson(&data.join("service_requests.ndjson.gz"));
    let in_all = keys(&all);
    let names = ["new", "old", "y2012", "y2026"];
    let streams: Vec<String> = names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_all")]).collect();
    let streams = Streams::start(&streams.iter().map(String::as_str).collect::<Vec<_>>()).await;

    for (name, file, count) in [("new", "export_2000.csv", 1_384), ("old", "export_old_layout.csv", 110)] {
        let (header, rows) = export(&data.join(file));
        let both = &keys(&rows) & &in_all;
        assert_eq!(both.len(), count, "{file}");
        check(&streams, name, (file, header + &common(&rows, &both).concat()), &all, &both).await;
    }
    let pages = [("y2012", "soda_page_fhrw-4uyv.json", 702), ("y2026", "soda_page_erm2-nwe9.json", 693)];
    for (name, file, count) in pages {
        let rows = page(&data.join(file));
        let both = &keys(&rows) & &in_all;
        assert_eq!(both.len(), count, "{file}");
        check(&streams, name, (file, format!("[{}\n]", common(&rows, &both).join("\n,"))), &all, &both).await;
    }
    streams.server.run(&["recompute"]).await;
    for name in names {
        streams.same(name, &format!("{name}_all")).await;
    }
}

#[tokio::test]
async fn every_extract_has_its_known_counts() {
    let Some(data) = shared("every_extract_has_its_known_counts") else { return };
    let streams = Streams::start(&["new", "old", "y2012", "y2026"]).await;
    let files = [
        ("new", "export_2000.csv", 2_000),
        ("old", "export_old_layout.csv", 155),
        ("y2012", "soda_page_fhrw-4uyv.json", 1_000),
        ("y2026", "soda_page_erm2-nwe9.json", 1_000),
    ];
    for (name, file, count) in files {
        streams.ingest(name, &text(&data.join("nyc311").join(file))).await;
        streams.hold(&[(name, count)]).await;
    }
    // Counted with Python's csv and json modules.
    let boroughs = [
        ("new", [309, 539, 446, 491, 139, 76].as_slice()),
        ("old", &[28, 63, 33, 25, 6]),
        ("y2012", &[205, 337, 166, 248, 44]),
        ("y2026", &[237, 284, 186, 258, 35]),
    ];
    for (name, counts) in boroughs {
        let sql = format!("SELECT sum(requests) FROM requests_by_day_{name} GROUP BY borough ORDER BY borough");
        let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
        assert_eq!(streams.server.rows(&sql).await, counts, "{name}");
    }
    for (name, open, agencies) in [("new", 42, 13), ("old", 63, 2), ("y2012", 18, 12), ("y2026", 563, 11)] {
        let sql = format!("SELECT sum(open), count(*) FROM open_requests_{name}");
        assert_eq!(streams.server.rows(&sql).await, [format!("{open}, {agencies}")], "{name}");
    }
    streams.server.check("SELECT count(*) FROM sys.dead_letters", &["0"]).await;
}
