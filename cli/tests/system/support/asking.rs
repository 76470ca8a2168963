//! Commands that talk to a server, and what it answers.

use std::path::{Path, PathBuf};
use std::process::Output;

use arrow::array::RecordBatch;
use serde_json::Value;
use tokio::process::Command;

use super::{Server, dovetail, eventually, rows};

/// The repository's folder of pipelines.
pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data")
}

impl Server {
    /// A command for this server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = dovetail();
        command.args(arguments).env("DOVETAIL_SERVER", self.url());
        command
    }

    /// Runs a command that succeeds, and returns what it printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().await.unwrap();
        let text = said(&output);
        assert!(output.status.success(), "dovetail {}: {text}", arguments.join(" "));
        text
    }

    /// Ingests a file, and waits until its records are in both layers: `records` in all.
    pub(crate) async fn ingest(&self, stream: &str, file: &Path, records: i64) {
        self.run(&["ingest", stream, "--from", file.to_str().unwrap()]).await;
        self.holds(records).await;
    }

    /// Waits until the log's `records` are folded and landed.
    pub(crate) async fn holds(&self, records: i64) {
        holds(&self.url(), records).await;
    }

    /// Waits until `sql`'s one row reads as `expected`.
    pub(crate) async fn wait_for(&self, sql: &str, expected: &str) {
        wait_for(&self.url(), sql, expected).await;
    }

    /// The rows of a query, their values as JSON writes them, separated by commas.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        rows_of(&self.url(), sql).await
    }

    /// Panics unless `sql` has these rows.
    pub(crate) async fn check(&self, sql: &str, expected: &[&str]) {
        assert_eq!(self.rows(sql).await, expected, "{sql}");
    }

    /// The answer of a query.
    pub(crate) async fn batches(&self, sql: &str) -> Vec<RecordBatch> {
        rows(&self.client(), sql).await
    }
}

/// Waits until the log's `records` are folded and landed. There can be more offsets than records: Kafka's transactions
/// have markers.
pub(crate) async fn holds(http: &str, records: i64) {
    let sql = format!(
        "SELECT sum(log_end) >= {records}, sum(head) = sum(log_end), sum(landed) = sum(log_end) FROM sys.partitions"
    );
    wait_for(http, &sql, "true, true, true").await;
}

async fn wait_for(http: &str, sql: &str, expected: &str) {
    let reached = async || (rows_of(http, sql).await.join("; ") == expected).then_some(());
    eventually(&format!("{expected} from `{sql}`"), reached).await;
}

async fn rows_of(http: &str, sql: &str) -> Vec<String> {
    let rows = post(http, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = |row: &Vec<Value>| row.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    rows.iter().map(text).collect()
}

/// Both outputs of a command.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asks over HTTP for JSON; `question` is SQL, or a JSON object with parameters. An error is its message.
pub(crate) async fn post(http: &str, question: &str) -> Result<Vec<Vec<Value>>, String> {
    let request = reqwest::Client::new().post(format!("{http}/v1/query")).body(question.to_owned());
    let response = request.send().await.map_err(|error| error.to_string())?;
    let mut answer: Value = response.json().await.map_err(|error| error.to_string())?;
    if let Some(error) = answer.get("error") {
        return Err(error["message"].as_str().unwrap_or_default().to_owned());
    }
    let columns = answer["columns"].as_array().ok_or("no columns")?;
    let names: Vec<String> = columns.iter().map(|c| c["name"].as_str().unwrap_or_default().to_owned()).collect();
    let Value::Array(rows) = answer["rows"].take() else { return Err("no rows".to_owned()) };
    let values = |mut row: Value| names.iter().map(|name| row[name].take()).collect();
    Ok(rows.into_iter().map(values).collect())
}
