//! The real binary in a folder of its own: started, killed, started again on the same ports.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use dovetail_api::Client;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Time limit of a start.
const START: Duration = Duration::from_secs(60);

/// A `dovetail up`.
pub(crate) struct Server {
    folder: TempDir,
    /// `up` or another command that stays, with its flags.
    command: Vec<&'static str>,
    pipeline: PathBuf,
    http: u16,
    postgres: u16,
    data: PathBuf,
    child: Option<Child>,
    ready: reqwest::Client,
}

/// A `dovetail` command that sees nothing of this environment's settings. `DOVETAIL_BINARY` names another build.
pub(crate) fn dovetail() -> Command {
    let built = || env!("CARGO_BIN_EXE_dovetail").to_owned();
    let mut command = Command::new(std::env::var("DOVETAIL_BINARY").unwrap_or_else(|_| built()));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DOVETAIL_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Everything happens all the time: small segments, runs and upkeep every second.
pub(crate) fn settings_for_haste() -> &'static str {
    "[landing]\nsegment_age = \"200ms\"\nsegment_size = \"64KiB\"\n\
     [batch]\nschedule = \"every 1s\"\nkeep_generations = 2\ngarbage_grace = \"1s\"\nstaging_limit = \"5s\"\ncompact_to = \"1MiB\"\n\
     upkeep_every = \"1s\"\n"
}

/// Runs happen when a test asks for one, and what is appended is landed at once.
pub(crate) fn settings_on_demand() -> &'static str {
    "[landing]\nsegment_age = \"100ms\"\n[batch]\nschedule = \"never\"\nkeep_generations = 10\n"
}

impl Server {
    /// Starts on `pipeline` and returns once it answers. Runs happen on demand.
    pub(crate) async fn started(pipeline: &Path) -> Self {
        let mut server = Self::new(pipeline, settings_on_demand());
        server.start().await;
        server
    }

    /// Prepares a folder; `start` starts.
    pub(crate) fn new(pipeline: &Path, settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("dovetail.toml"), settings).unwrap();
        let (http, postgres) = (free_port(), free_port());
        let (data, ready) = (folder.path().join("data"), reqwest::Client::new());
        let command = vec!["up"];
        Self { folder, command, pipeline: pipeline.to_owned(), http, postgres, data, child: None, ready }
    }

    /// The same, started by another command.
    pub(crate) fn by(self, command: &[&'static str]) -> Self {
        Self { command: command.to_vec(), ..self }
    }

    /// The same, where another server has its data.
    pub(crate) fn on_the_data_of(self, other: &Self) -> Self {
        Self { data: other.data(), ..self }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    pub(crate) fn postgres(&self) -> u16 {
        self.postgres
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url()).unwrap()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// All that the server has logged, over all starts.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Starts the process without waiting for it.
    pub(crate) fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = dovetail();
        command.args(&self.command).arg(&self.pipeline).arg("--config").arg(self.folder.path().join("dovetail.toml"));
        command.arg("--data-dir").arg(self.data());
        command.arg("--http").arg(format!("127.0.0.1:{}", self.http));
        command.arg("--postgres").arg(format!("127.0.0.1:{}", self.postgres));
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Starts, and waits until every view can be answered.
    pub(crate) async fn start(&mut self) {
        self.launch();
        self.wait_ready().await;
    }

    pub(crate) async fn wait_ready(&mut self) {
        let url = format!("{}/readyz", self.url());
        let give_up = Instant::now() + START;
        loop {
            let asked = self.ready.get(&url).timeout(Duration::from_secs(5)).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the server ended with {ended:?}:\n{}", last_of(&self.log()));
            assert!(Instant::now() < give_up, "the server is not ready after {START:?}:\n{}", last_of(&self.log()));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a process has ended by itself; returns its exit code and output.
    pub(crate) async fn ended(&mut self) -> (Option<i32>, String) {
        let mut child = self.child.take().unwrap();
        let ended = tokio::time::timeout(START, child.wait()).await;
        (ended.expect("the server does not end").unwrap().code(), self.log())
    }

    /// The most memory that the process had, bytes.
    pub(crate) fn peak(&self) -> u64 {
        let process = self.child.as_ref().and_then(Child::id).expect("the server runs");
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap() << 10
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }
}

/// The end of a long text.
pub(crate) fn last_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// A port that nobody listens on, and that stays free while its process is down: it is below those that the system
/// gives to connections, and given out once.
pub(crate) fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new(rand::random_range(10_000..18_000)));
    std::iter::repeat_with(|| 10_000 + next.fetch_add(1, Ordering::Relaxed) % 8_000)
        .take(8_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}
