//! From a file to the view through the real client and server: rows in the file = rows in the view + dead letters, in
//! order per key, each once.
//!
//! `DOVETAIL_SEED` replays an earlier run, `DOVETAIL_FILES` sets how many files there are.

mod files;
mod points;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use clap::Parser;
use dovetail_api::Client;
use dovetail_cli::args::Args;
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::time::Instant;

use self::files::{Cells, Expected, PIPELINE, Written, write};
use crate::support::{Server, dovetail, eventually, rows, said, try_number};

/// Files between two deaths of the server.
const ROUND: u64 = 250;
/// Of so many files one is sent by a process that is killed; of as many others one comes through a pipe.
const KILLED: u64 = 50;
const PIPED: u64 = 50;
/// Of so many files one has a row that is too long.
const TOO_LONG: u64 = 700;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// The way in which a file is sent.
#[derive(Debug, Clone, Copy)]
enum Way {
    Here,
    Piped,
    /// Killed after so long, again and again, and then left alone.
    Killed(Duration),
}

fn arguments<'a>(written: &'a Written, from: &'a str) -> Vec<&'a str> {
    // Some of these files are nothing but bad.
    let mut arguments = vec!["ingest", written.stream, "--from", from, "--force"];
    if let Some(format) = written.format {
        arguments.extend(["--input-format", format]);
    }
    arguments
}

/// Sends a file until that was begun while the server was there.
async fn send(url: &str, written: &Written, way: Way) {
    let sent = async || match way {
        Way::Here => here(url, written).await,
        Way::Piped => by_process(url, written, true, None).await,
        Way::Killed(after) => {
            for (rate, after) in [("50", after), ("400", 2 * after)] {
                by_process(url, written, false, Some((rate, after))).await;
            }
            here(url, written).await
        }
    };
    let said = eventually("the file to be sent", async || sent().await).await;
    let ended = if written.too_long > 0 { "1 NOT APPENDED" } else { "" };
    assert!(said.contains(ended), "{:?}: {said}", written.path);
}

/// Whether a command says that the server does not run, or not yet.
fn is_away(said: &str) -> bool {
    ["no server answers", "starting"].iter().any(|away| said.contains(away))
}

/// The command in this process; none where the server was not there.
async fn here(url: &str, written: &Written) -> Option<String> {
    let path = written.path.to_str().unwrap();
    let mut all = vec!["dovetail"];
    all.extend(arguments(written, path));
    all.extend(["--server", url]);
    let args = Args::try_parse_from(all).unwrap();
    let code = tokio::task::spawn_blocking(move || dovetail_cli::commands::run(args)).await.unwrap();
    match code.map_err(|error| format!("{error:#}")) {
        Ok(code) if written.too_long == 0 => {
            assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "{path:?}");
            Some(String::new())
        }
        Ok(code) => {
            assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE), "{path:?}");
            Some("1 NOT APPENDED".to_owned())
        }
        Err(error) if is_away(&error) => None,
        Err(error) => panic!("{path:?}: {error}"),
    }
}

/// The command in a process of its own, which is killed if that is said.
async fn by_process(url: &str, written: &Written, piped: bool, kill: Option<(&str, Duration)>) -> Option<String> {
    let path = written.path.to_str().unwrap();
    let mut command = dovetail();
    command.args(arguments(written, if piped { "-" } else { path })).args(["--server", url]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if piped {
        command.stdin(std::fs::File::open(&written.path).unwrap());
    }
    let Some((rate, after)) = kill else {
        let output = command.output().await.unwrap();
        let said = said(&output);
        let code = if is_away(&said) { return None } else { i32::from(written.too_long > 0) };
        assert_eq!(output.status.code(), Some(code), "{path:?}: {said}");
        return Some(said);
    };
    let mut child = command.args(["--rate", rate]).spawn().unwrap();
    if tokio::time::timeout(after, child.wait()).await.is_err() {
        child.kill().await.unwrap();
    }
    None
}

/// All rows of a stream per key, by their place in the log.
async fn served(client: &Client, stream: &str) -> BTreeMap<String, Vec<(i64, Cells)>> {
    let mut served: BTreeMap<String, Vec<(i64, Cells)>> = BTreeMap::new();
    let sql = format!("SELECT key, n, a, b FROM {stream}_rows ORDER BY _partition, _offset");
    for batch in rows(client, &sql).await {
        let text = |i: usize| arrow::compute::cast(batch.column(i), &DataType::Utf8).unwrap();
        let (keys, a, b) = (text(0), text(2), text(3));
        let (keys, a, b) = (keys.as_string::<i32>(), a.as_string::<i32>(), b.as_string::<i32>());
        let n = arrow::compute::cast(batch.column(1), &DataType::Int64).unwrap();
        let cell = |column: &arrow::array::StringArray, i| column.is_valid(i).then(|| column.value(i).to_owned());
        for i in 0..batch.num_rows() {
            let row = (n.as_primitive::<Int64Type>().value(i), (cell(a, i), cell(b, i)));
            served.entry(keys.value(i).to_owned()).or_default().push(row);
        }
    }
    served
}

/// The values of the dead letters of a stream.
async fn dead(client: &Client, stream: &str) -> Vec<Vec<u8>> {
    let mut dead = vec![];
    for batch in rows(client, &format!("SELECT value FROM sys.dead_letters WHERE topic = '{stream}'")).await {
        let column = arrow::compute::cast(batch.column(0), &DataType::Binary).unwrap();
        dead.extend(column.as_binary::<i32>().iter().map(|value| value.unwrap().to_vec()));
    }
    dead
}

async fn check(client: &Client, stream: &str, mut expected: Expected) {
    let mut served = served(client, stream).await;
    if stream == "one" {
        // Several files at once: the order is that of each, told by how its cells begin.
        served = by_file(served);
        expected.rows = by_file(expected.rows);
    }
    for (key, rows) in &expected.rows {
        assert_eq!(served.get(key), Some(rows), "stream {stream}, key {key}");
    }
    let unknown: Vec<_> = served.keys().filter(|key| !expected.rows.contains_key(*key)).collect();
    assert!(unknown.is_empty(), "stream {stream}: nobody wrote {unknown:?}");
    let (mut found, mut wanted) = (dead(client, stream).await, expected.dead);
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found.len(), wanted.len(), "dead letters of {stream}");
    for (found, wanted) in found.iter().zip(&wanted) {
        // One comma more keeps what is no record from passing for one.
        let same = found == wanted || found.strip_suffix(b",") == Some(wanted);
        let same = same || without_breaks(found) == without_breaks(wanted);
        assert!(same, "dead letter {:?} of {stream}, not {:?}", text(found), text(wanted));
    }
}

fn by_file(rows: BTreeMap<String, Vec<(i64, Cells)>>) -> BTreeMap<String, Vec<(i64, Cells)>> {
    let mut files: BTreeMap<String, Vec<(i64, Cells)>> = BTreeMap::new();
    for row in rows.into_values().flatten() {
        let file = row.1.0.as_ref().and_then(|cell| cell.split(':').next()).unwrap_or_default().to_owned();
        files.entry(file).or_default().push(row);
    }
    files
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Elements of arrays lose the white space between their tokens.
fn without_breaks(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r' | b' ')).collect()
}

/// Waits until the log is folded and landed.
async fn settled(client: &Client) {
    eventually("all records to be folded and landed", async || {
        let sql = "SELECT count(*) FROM sys.partitions WHERE head = log_end AND landed = log_end";
        (try_number(client, sql).await.ok()? == 7).then_some(())
    })
    .await;
}

fn one_file(random: &mut StdRng, folder: &Path, number: u64) -> (Written, Way) {
    let written = write(random, folder, number, number % TOO_LONG == TOO_LONG / 2);
    let way = match number {
        _ if number % KILLED == 7 => Way::Killed(Duration::from_millis(random.random_range(50..600))),
        _ if number % PIPED == 11 => Way::Piped,
        _ => Way::Here,
    };
    (written, way)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_every_file_arrives_once() {
    let seed = variable("DOVETAIL_SEED", rand::random::<u32>().into());
    let files = variable("DOVETAIL_FILES", 2_000);
    eprintln!("replay with DOVETAIL_SEED={seed} DOVETAIL_FILES={files}");
    let (began, folder) = (Instant::now(), TempDir::new().unwrap());
    let pipeline = folder.path().join("pipeline.sql");
    std::fs::write(&pipeline, PIPELINE).unwrap();
    let mut server = Server::started(&pipeline).await;
    let mut random = StdRng::seed_from_u64(seed);
    let mut expected: BTreeMap<&str, Expected> = BTreeMap::new();
    let (mut kills, mut at) = (0, 0);
    let url = server.url();
    while at < files {
        let round: Vec<(Written, Way)> =
            (at..files.min(at + ROUND)).map(|number| one_file(&mut random, folder.path(), number)).collect();
        at += round.len() as u64;
        let die = Duration::from_millis(random.random_range(0..4_000));
        let sends = round.iter().map(|(written, way)| send(&url, written, *way));
        let sending = futures::stream::iter(sends).buffer_unordered(4).collect::<Vec<()>>();
        let dying = async {
            tokio::time::sleep(die).await;
            server.kill().await;
            server.start().await;
        };
        tokio::join!(sending, dying);
        kills += 1;
        for (written, _) in round {
            std::fs::remove_file(&written.path).unwrap();
            expected.entry(written.stream).or_default().add(written.expected);
        }
    }
    let client = server.client();
    settled(&client).await;
    let rows: usize = expected.values().flat_map(|e| e.rows.values()).map(Vec::len).sum();
    let dead: usize = expected.values().map(|e| e.dead.len()).sum();
    for (stream, expected) in expected {
        check(&client, stream, expected).await;
    }
    eprintln!("{files} files, {rows} rows, {dead} dead letters, {kills} deaths of the server, {:.1?}", began.elapsed());
}
