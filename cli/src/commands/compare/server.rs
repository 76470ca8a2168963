//! One side as a process of its own, watched from outside.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dovetail_api::Client;
use dovetail_core::clock;
use dovetail_report::figures::Side;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::ask;
use super::proc;

/// Time for a process to answer its first query.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// Time for a process to end when it is told to; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Prefix of the variables that set up Dovetail. Those of the caller do not apply to the processes.
const VARIABLES: &str = "DOVETAIL_";

/// A setting of a process: the name of its variable, and its value.
pub(super) type Setting = (&'static str, String);

/// A process of one side with its folder. It is killed when this is dropped.
pub(super) struct MeasuredServer {
    pub(super) side: Side,
    pub(super) client: Client,
    folder: PathBuf,
    pub(super) pipeline: PathBuf,
    http: String,
    postgres: String,
    settings: Vec<Setting>,
    child: Option<Child>,
    /// The number of the process; 0 while there is none.
    pid: Arc<AtomicU32>,
    /// Processor seconds of the processes that were here before.
    cpu_before: f64,
}

/// Reads the memory of a server's process while the server itself is in use.
#[derive(Clone)]
pub(super) struct ProcessGauge {
    pid: Arc<AtomicU32>,
    data: PathBuf,
}

impl ProcessGauge {
    /// Bytes of resident memory; 0 while there is no process.
    pub(super) fn resident_bytes(&self) -> u64 {
        match self.pid.load(Ordering::Relaxed) {
            0 => 0,
            pid => proc::resident_bytes(pid).unwrap_or(0),
        }
    }

    /// Bytes of all files.
    pub(super) fn disk_bytes(&self) -> u64 {
        proc::disk_bytes(&self.data)
    }
}

impl MeasuredServer {
    /// A server in `folder`, which is created. It is not started yet.
    pub(super) fn new(side: Side, folder: PathBuf, pipeline: &Path, settings: Vec<Setting>) -> Result<Self> {
        std::fs::create_dir_all(folder.join("data"))
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        let (http, postgres) = free_addresses()?;
        Ok(Self {
            side,
            client: Client::new(&format!("http://{http}"))?,
            folder,
            pipeline: pipeline.to_owned(),
            http,
            postgres,
            settings,
            child: None,
            pid: Arc::default(),
            cpu_before: 0.0,
        })
    }

    /// The folder of the log, the catalog and the store.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn gauge(&self) -> ProcessGauge {
        ProcessGauge { pid: Arc::clone(&self.pid), data: self.data() }
    }

    /// Starts the process, and waits until it answers queries.
    pub(super) async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.ready().await
    }

    /// Starts the process.
    pub(super) fn spawn(&mut self) -> Result<()> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let command = match self.side {
            Side::Lambda => "up",
            Side::Kappa => "kappa",
        };
        let output = std::fs::File::options().create(true).append(true).open(self.output())?;
        let mut spawned = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with(VARIABLES) {
                spawned.env_remove(variable);
            }
        }
        spawned
            .arg(command)
            .arg(&self.pipeline)
            .arg("--data-dir")
            .arg(self.data())
            .args(["--http", &self.http, "--postgres", &self.postgres])
            .envs(self.settings.iter().map(|(variable, value)| (variable, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .kill_on_drop(true);
        let child = spawned.spawn().with_context(|| format!("`dovetail {command}` cannot be started"))?;
        self.pid.store(child.id().unwrap_or(0), Ordering::Relaxed);
        self.child = Some(child);
        Ok(())
    }

    fn output(&self) -> PathBuf {
        self.folder.join("output.txt")
    }

    /// Waits until the process answers queries.
    pub(super) async fn ready(&mut self) -> Result<()> {
        let began = clock::now_monotonic();
        loop {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                bail!("{} ended at its start, {status}: {}", self.side.name(), self.last_words());
            }
            if ask::number(&self.client, "SELECT 1").await.is_ok() {
                return Ok(());
            }
            if began.elapsed() > START_TIMEOUT {
                bail!("{} did not answer within {START_TIMEOUT:?}: {}", self.side.name(), self.last_words());
            }
            clock::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The last lines that the process wrote.
    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.output()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }

    /// Tells the process to end, as an operator does, and waits for it.
    pub(super) async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        self.note_cpu();
        if let Some(pid) = child.id() {
            // The shell has `kill` built in; the standard library sends no other signal than SIGKILL.
            let told = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await;
            told.context("`sh` is needed to stop a process")?;
        }
        if timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
            child.kill().await.context("the process cannot be killed")?;
        }
        self.pid.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Kills the process without warning, and waits until it is gone.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.note_cpu();
        if let Some(mut child) = self.child.take() {
            child.kill().await.context("the process cannot be killed")?;
        }
        self.pid.store(0, Ordering::Relaxed);
        Ok(())
    }

    fn note_cpu(&mut self) {
        self.cpu_before = self.cpu_seconds();
    }

    /// Processor seconds of all processes that were here.
    pub(super) fn cpu_seconds(&self) -> f64 {
        let now = match self.pid.load(Ordering::Relaxed) {
            0 => 0.0,
            pid => proc::cpu_seconds(pid).unwrap_or(0.0),
        };
        self.cpu_before + now
    }
}

/// Two addresses at which nobody listens.
fn free_addresses() -> Result<(String, String)> {
    let free = || TcpListener::bind("127.0.0.1:0").context("there is no free port");
    // Both are held at the same time: they are not the same.
    let (one, other) = (free()?, free()?);
    Ok((one.local_addr()?.to_string(), other.local_addr()?.to_string()))
}
