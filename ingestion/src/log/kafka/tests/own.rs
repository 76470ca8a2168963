//! Brokers that a test starts for itself, because it stops them or because they are set up otherwise.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub(super) struct Brokers {
    folder: TempDir,
    printed: String,
}

impl Brokers {
    /// Starts `count` brokers.
    pub(super) fn start(count: u16, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let printed = dev_kafka(folder.path(), &[&["up", "--brokers", &count.to_string()], more].concat());
        Self { folder, printed }
    }

    /// The value of a variable in the output of `dev/kafka up`.
    pub(super) fn variable(&self, name: &str) -> String {
        let line = |line: &str| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        self.printed.lines().find_map(line).unwrap()
    }

    pub(super) fn addresses(&self) -> String {
        self.variable("KAFKA_BROKERS")
    }

    /// Kills, stops, starts or restarts a broker.
    pub(super) async fn one(&self, what: &'static str, number: u16) {
        let folder = self.folder.path().to_owned();
        let done = tokio::task::spawn_blocking(move || dev_kafka(&folder, &[what, &number.to_string()]));
        done.await.unwrap();
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        dev_kafka(self.folder.path(), &["down"]);
    }
}

fn dev_kafka(folder: &Path, arguments: &[&str]) -> String {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "dev", "kafka"].iter().collect();
    let mut command = Command::new(script);
    command.args(arguments).env("DOVETAIL_DEV", folder).env_remove("KAFKA_BROKERS");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
