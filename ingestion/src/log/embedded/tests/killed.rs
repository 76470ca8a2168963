//! Acknowledged records survive a kill -9: this test runs itself as a child process and kills it while it appends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

const FOLDER: &str = "DOVETAIL_TEST_LOG_FOLDER";
const KILLS: usize = 4;
/// Number of records that a child acknowledges before it is killed.
const ACKNOWLEDGED: usize = 300;

/// The child: appends numbers from the log's end on, several at once, and prints what was acknowledged.
#[tokio::test]
async fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let log = EmbeddedLog::open(folder.as_ref(), &config(1 << 20)).unwrap();
    log.create_topic("t", 3).await.unwrap();
    let appender = async |partition: i32| {
        let mut next = log.bounds("t", partition).await.unwrap().end;
        loop {
            let rows: Vec<String> = (0..1 + next % 9).map(|i| (next + i).to_string()).collect();
            let numbers = (next as u64..).take(rows.len()).collect();
            let mark = SourceMark { source: "child".to_owned(), numbers, spread: Spread::over(3) };
            let records = Records::from_values(next, rows.iter().map(String::as_bytes));
            let range = log.append("t", partition, records, Some(mark)).await.unwrap();
            println!("acknowledged {partition} {}", range.end);
            next = range.end;
        }
    };
    join_all((0..3).map(appender)).await;
}

fn start_child(folder: &TempDir) -> Child {
    let test = format!("{}::child", module_path!().split_once("::").unwrap().1);
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills a child in the middle of its appends; returns how far each partition was acknowledged.
fn run_and_kill(folder: &TempDir) -> [i64; 3] {
    let mut child = start_child(folder);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut ends, mut seen) = ([0; 3], 0);
    for line in lines {
        let Ok(line) = line else { break };
        let Some(acknowledged) = line.strip_prefix("acknowledged ") else { continue };
        let Some((partition, end)) = acknowledged.split_once(' ') else { continue };
        ends[partition.parse::<usize>().unwrap()] = end.parse().unwrap();
        seen += 1;
        if seen == ACKNOWLEDGED {
            child.kill().unwrap();
        }
    }
    assert!(seen >= ACKNOWLEDGED, "the child ended by itself after {seen} appends");
    child.wait().unwrap();
    ends
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = TempDir::new().unwrap();
    for _ in 0..KILLS {
        let acknowledged = run_and_kill(&folder);
        let log = open(&folder, 0);
        for (partition, acknowledged) in (0..).zip(acknowledged) {
            let end = log.bounds("t", partition).await.unwrap().end;
            assert!(end >= acknowledged, "{acknowledged} were acknowledged, {end} are there");
            let expected: Vec<String> = (0..end).map(|i| i.to_string()).collect();
            assert_eq!(values(&log, partition).await, expected);
            let position = log.source_position("t", partition, "child").await.unwrap();
            assert_eq!(
                position.map(|position| position.last),
                Some(end as u64 - 1),
                "the position is that of the last record"
            );
        }
    }
}
