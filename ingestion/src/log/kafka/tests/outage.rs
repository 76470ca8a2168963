//! A broker that goes away and comes back, in the middle of everything. These start a broker of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use dovetail_core::clock::Clock;
use tempfile::TempDir;

use super::*;

/// A broker of this test.
struct Broker {
    folder: TempDir,
    address: String,
}

impl Broker {
    fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let printed = dev_kafka(folder.path(), &["up", "--port", &port.to_string()]);
        let address = printed.lines().find_map(|line| line.strip_prefix("export KAFKA_BROKERS="));
        Self { address: address.unwrap().to_owned(), folder }
    }

    async fn does(&self, what: &'static str) {
        let folder = self.folder.path().to_owned();
        tokio::task::spawn_blocking(move || dev_kafka(&folder, &[what, "1"])).await.unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        dev_kafka(self.folder.path(), &["down"]);
    }
}

fn dev_kafka(folder: &Path, arguments: &[&str]) -> String {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "dev", "kafka"].iter().collect();
    let mut command = Command::new(script);
    let output = command.args(arguments).arg("--dir").arg(folder).env_remove("KAFKA_BROKERS").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const BATCHES: u64 = 120;
const BATCH: u64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_the_broker_restarts() {
    if brokers("nothing_is_lost_or_doubled_while_the_broker_restarts").is_none() {
        return;
    }
    let broker = Broker::start(19700);
    let mut config = config(&broker.address);
    config.patience = Duration::from_secs(2);
    let log = KafkaLog::open(config).unwrap();
    log.create_topic("t", 1).await.unwrap();

    let append = async {
        let mut failed = 0;
        for batch in 0..BATCHES {
            let mut numbers: Vec<u64> = (batch * BATCH..(batch + 1) * BATCH).collect();
            loop {
                let values: Vec<String> = numbers.iter().map(u64::to_string).collect();
                // Brokers forget producers whose records are old, by the records' own times.
                let records = Records::from_values(Clock::System.now_ms(), values.iter().map(String::as_bytes));
                let mark = SourceMark { source: "s".to_owned(), numbers: numbers.clone() };
                match log.append("t", 0, records, Some(mark)).await {
                    Ok(_) => break,
                    Err(LogError::SourceOverlap { appended, .. }) => numbers.retain(|number| *number > appended),
                    Err(LogError::Unreachable { .. }) => failed += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        failed
    };
    let read = async {
        let (mut at, mut seen) = (0, Vec::new());
        while (seen.len() as u64) < BATCHES * BATCH {
            match log.read("t", 0, at, 100_000).await {
                Ok(page) if page.range.is_empty() => {
                    let _ = log.wait_past("t", 0, at).await;
                }
                Ok(page) => {
                    seen.extend(texts(&page.records));
                    at = page.range.end;
                }
                Err(LogError::Unreachable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        seen
    };
    let disturb = async {
        for what in ["restart", "kill", "start", "stop", "start"] {
            broker.does(what).await;
        }
    };
    let all = async { tokio::join!(append, read, disturb) };
    let (_, seen, ()) = tokio::time::timeout(Duration::from_secs(180), all).await.expect("it goes on by itself");
    let expected: Vec<String> = (0..BATCHES * BATCH).map(|n| n.to_string()).collect();
    let first = seen.iter().zip(&expected).position(|(seen, expected)| seen != expected);
    let around = first.map(|at| seen[at.saturating_sub(2)..seen.len().min(at + 3)].to_vec());
    assert!(
        first.is_none() && seen.len() == expected.len(),
        "{} records, other than sent at {first:?}: {around:?}",
        seen.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_it_is_said_and_later_it_goes_on() {
    if brokers("while_the_broker_is_away_it_is_said_and_later_it_goes_on").is_none() {
        return;
    }
    let broker = Broker::start(19750);
    let mut config = config(&broker.address);
    config.patience = Duration::from_secs(1);
    let log = KafkaLog::open(config).unwrap();
    log.create_topic("t", 1).await.unwrap();
    log.append("t", 0, values_of(&["a"]), None).await.unwrap();
    assert_eq!(texts(&log.read("t", 0, 0, PLENTY).await.unwrap().records), ["a"]);

    broker.does("kill").await;
    let bounds = log.bounds("t", 0).await.map(|_| ());
    let append = log.append("t", 0, values_of(&["b"]), None).await.map(|_| ());
    let read = log.read("t", 0, 1, PLENTY).await.map(|_| ());
    let waited = log.wait_past("t", 0, 1).await;
    for result in [bounds, append, read, waited] {
        let Err(LogError::Unreachable { why, .. }) = &result else { panic!("{result:?}") };
        assert!(why.contains(&broker.address), "{why}");
    }
    broker.does("start").await;
    // The append that was given up was kept, and arrives before the next one.
    until("the broker", || async { log.append("t", 0, values_of(&["c"]), None).await.is_ok() }).await;
    let page = log.read("t", 0, 0, PLENTY).await.unwrap();
    let read = texts(&page.records);
    assert_eq!((&read[..2], read.last().unwrap().as_str()), (&strings(&["a", "b"])[..], "c"));
}
