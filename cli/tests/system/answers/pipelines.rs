//! The `.slt` file of each pipeline, over both interfaces: over a batch view and a realtime view that meet in the
//! middle, and over a batch view alone.

use std::path::{Path, PathBuf};

use dovetail_ingestion::generate::Kind;

use super::input::{Input, folder, lines, pipeline};
use super::interfaces::{Http, Wire};
use crate::running::Running;
use crate::slt;

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

/// A running with the first lines in a generation and the rest behind its cut.
async fn filled(kind: Kind, stream: &str) -> Running {
    let place = with_derived_views(kind);
    let running = Running::start(&place.join("pipeline.sql")).await;
    let lines = lines(kind, &INPUT);
    // `expected.py` reads this file.
    std::fs::write(place.join("all.ndjson"), lines.join(&b'\n')).unwrap();
    let (below, above) = lines.split_at(CUT);
    for (name, part) in [("below.ndjson", below), ("above.ndjson", above)] {
        std::fs::write(place.join(name), part.join(&b'\n')).unwrap();
    }
    running.ingest(stream, &place.join("below.ndjson"), CUT as i64).await;
    running.run(&["recompute"]).await;
    running.ingest(stream, &place.join("above.ndjson"), lines.len() as i64).await;
    running
}

async fn check(kind: Kind, stream: &str) {
    let running = filled(kind, stream).await;
    let wire = Wire::open(&running).await;
    let file = slt(&format!("{}.slt", folder(kind)));
    for _ in 0..2 {
        slt::run(&file, &Http(&running)).await;
        slt::run(&file, &wire).await;
        running.run(&["recompute"]).await;
    }
}

#[tokio::test]
async fn nyc311_answers() {
    check(Kind::Nyc311, "service_requests").await;
}

#[tokio::test]
async fn clicks_answers() {
    check(Kind::Clicks, "clicks").await;
}

#[tokio::test]
async fn weather_answers() {
    check(Kind::Weather, "readings").await;
}
