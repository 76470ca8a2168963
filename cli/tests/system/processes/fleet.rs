//! Processes of all layers, and a file on its way into them.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use dovetail_cli::client::Client;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::backends::Backends;
use super::deck::{self, Fault, Requests};
use crate::support::{dovetail, last_of, said};

/// How long a start or an ingest may take.
const PATIENCE: Duration = Duration::from_secs(180);

struct Process {
    layer: &'static str,
    http: u16,
    /// PostgreSQL's wire or Flight.
    other: u16,
    log: PathBuf,
    child: Option<Child>,
}

pub(crate) struct Fleet<'b> {
    backends: &'b Backends,
    folder: TempDir,
    processes: BTreeMap<(&'static str, usize), Process>,
    ingest: Option<Child>,
    ingested: bool,
    /// What is still to go wrong.
    deck: Vec<Fault>,
    /// Ends what requests to the S3 store meet.
    trouble: JoinSet<()>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl<'b> Fleet<'b> {
    /// `TOPIC` in the pipeline becomes the topic's name.
    pub(crate) fn new(backends: &'b Backends, pipeline: &str, settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("pipeline.sql"), pipeline.replace("TOPIC", &backends.topic)).unwrap();
        let settings = format!("{settings}[member]\nlease = \"2s\"\n");
        std::fs::write(folder.path().join("dovetail.toml"), settings).unwrap();
        let (processes, deck, trouble) = (BTreeMap::new(), vec![], JoinSet::new());
        Self { backends, folder, processes, ingest: None, ingested: false, deck, trouble }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn topic(&self) -> &str {
        &self.backends.topic
    }

    /// Starts one more process.
    pub(crate) fn add(&mut self, layer: &'static str, n: usize) {
        let log = self.folder.path().join(format!("{layer}-{n}.log"));
        let process = Process { layer, http: free_port(), other: free_port(), log, child: None };
        self.processes.insert((layer, n), process);
        self.launch(layer, n);
    }

    fn launch(&mut self, layer: &'static str, n: usize) {
        let (folder, backends) = (self.folder.path().to_owned(), self.backends);
        let process = self.processes.get_mut(&(layer, n)).unwrap();
        let log = File::options().create(true).append(true).open(&process.log).unwrap();
        let mut command = dovetail();
        command.arg(layer);
        if layer == "ingest" {
            command.arg("--pipeline");
        }
        command.arg(folder.join("pipeline.sql")).arg("--config").arg(folder.join("dovetail.toml"));
        command.arg("--http").arg(format!("127.0.0.1:{}", process.http));
        let other = match layer {
            "serve" => Some("--postgres"),
            "speed" => Some("--flight"),
            _ => None,
        };
        if let Some(flag) = other {
            command.arg(flag).arg(format!("127.0.0.1:{}", process.other));
        }
        command.env("DOVETAIL_KAFKA_BROKERS", &backends.brokers);
        command.env("DOVETAIL_CATALOG_URL", &backends.catalog).env("DOVETAIL_STORE_URL", &backends.store);
        command.env("AWS_ENDPOINT_URL", format!("http://{}", backends.s3.address));
        command.stdout(log.try_clone().unwrap()).stderr(log);
        process.child = Some(command.spawn().unwrap());
    }

    pub(crate) fn client(&self, layer: &'static str, n: usize) -> Client {
        Client::new(&self.url(layer, n)).unwrap()
    }

    pub(crate) fn url(&self, layer: &'static str, n: usize) -> String {
        format!("http://127.0.0.1:{}", self.processes[&(layer, n)].http)
    }

    /// The port of a serving process's PostgreSQL wire.
    pub(crate) fn postgres(&self, n: usize) -> u16 {
        self.processes[&("serve", n)].other
    }

    /// Waits until every process says that nothing holds it up.
    pub(crate) async fn ready(&mut self) {
        let http = reqwest::Client::new();
        let give_up = Instant::now() + PATIENCE;
        for process in self.processes.values_mut() {
            let url = format!("http://127.0.0.1:{}/readyz", process.http);
            loop {
                let asked = http.get(&url).timeout(Duration::from_secs(5)).send().await;
                let why = match asked {
                    Ok(answer) if answer.status().is_success() => break,
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                let log = || last_of(&std::fs::read_to_string(&process.log).unwrap_or_default());
                let ended = process.child.as_mut().and_then(|child| child.try_wait().unwrap());
                assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", process.layer, log());
                assert!(Instant::now() < give_up, "{} is not ready: {why}\n{}", process.layer, log());
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    pub(crate) fn pid(&self, layer: &'static str, n: usize) -> u32 {
        self.processes[&(layer, n)].child.as_ref().and_then(Child::id).unwrap()
    }

    pub(crate) fn signal(&self, layer: &'static str, n: usize, signal: &str) {
        let pid = self.pid(layer, n);
        let sent = std::process::Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn log(&self, layer: &'static str, n: usize) -> String {
        std::fs::read_to_string(&self.processes[&(layer, n)].log).unwrap_or_default()
    }

    async fn restart(&mut self, layer: &'static str, n: usize, pause: Duration) {
        if let Some(mut child) = self.processes.get_mut(&(layer, n)).and_then(|process| process.child.take()) {
            child.kill().await.unwrap();
        }
        sleep(pause).await;
        self.launch(layer, n);
    }

    /// Something goes wrong; returns what.
    pub(crate) async fn fault(&mut self, random: &mut StdRng) -> String {
        if self.deck.is_empty() {
            self.deck = deck::shuffled(random);
        }
        let pause = Duration::from_millis(random.random_range(0..1500));
        let lasting = Duration::from_millis(random.random_range(1000..6000));
        let fault = self.deck.pop().unwrap();
        match fault {
            Fault::Broker => {
                self.backends.dev("kafka", &["restart", "1"]).await;
                "the broker was restarted".to_owned()
            }
            Fault::Postgres => {
                self.backends.dev("postgres", &["restart"]).await;
                "PostgreSQL was restarted".to_owned()
            }
            Fault::S3 => {
                self.backends.dev("s3", &["restart"]).await;
                "the S3 store was restarted".to_owned()
            }
            Fault::Requests(requests) => {
                self.trouble(requests, lasting).await;
                format!("the S3 store {} for {lasting:.1?}", requests.does)
            }
            Fault::Client => {
                if let Some(mut ingest) = self.ingest.take() {
                    ingest.kill().await.unwrap();
                }
                "the ingesting client was killed".to_owned()
            }
            Fault::Kill(layer) => {
                let among = self.processes.keys().filter(|(of, _)| *of == layer).count();
                let n = random.random_range(1..=among);
                self.restart(layer, n, pause).await;
                format!("{layer} {n} was killed, and started after {pause:.1?}")
            }
        }
    }

    /// Requests to the S3 store meet a fault for a while, and the next faults come meanwhile.
    async fn trouble(&mut self, Requests { fault, method, does }: Requests, lasting: Duration) {
        // The end of an earlier trouble would be the end of this one.
        self.trouble.shutdown().await;
        let s3 = Arc::clone(&self.backends.s3);
        s3.next(fault, method, u64::MAX);
        self.trouble.spawn(async move {
            sleep(lasting).await;
            eprintln!("          the S3 store {does}: {} requests met it, and it is over", s3.met());
            s3.next(fault, method, 0);
        });
    }

    /// Waits until nothing goes wrong any more, and all processes are ready.
    pub(crate) async fn calm(&mut self) {
        while self.trouble.join_next().await.is_some() {}
        let names: Vec<_> = self.processes.keys().copied().collect();
        for (layer, n) in names {
            let process = self.processes.get_mut(&(layer, n)).unwrap();
            let ended = process.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            assert!(
                !ended,
                "{layer} {n} ended by itself:\n{}",
                last_of(&std::fs::read_to_string(&process.log).unwrap())
            );
        }
        self.ready().await;
    }

    /// A client that sends a file of the folder through a serving process.
    fn ingesting(&self, stream: &str, file: &str) -> Command {
        let mut command = dovetail();
        command
            .args(["ingest", stream, "--server", &self.url("serve", 1), "--from"])
            .arg(self.folder.path().join(file));
        command
    }

    /// Ingests all of a file of the folder.
    pub(crate) async fn ingest(&self, stream: &str, file: &str) {
        let ingested = self.ingesting(stream, file).output().await.unwrap();
        assert!(ingested.status.success(), "{file}: {}", said(&ingested));
    }

    /// Starts the ingesting client when it does not run.
    pub(crate) fn tend_ingest(&mut self, rate: Option<f64>) {
        if self.ingested {
            return;
        }
        if let Some(child) = &mut self.ingest {
            let Some(status) = child.try_wait().unwrap() else { return };
            self.ingested = status.success();
        }
        if self.ingested {
            return;
        }
        let log = File::options().create(true).append(true).open(self.folder.path().join("client.log")).unwrap();
        let mut command = self.ingesting("clicks", "clicks.ndjson");
        if let Some(rate) = rate {
            command.args(["--rate", &format!("{rate:.1}")]);
        }
        self.ingest = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// The rest of the file, as fast as it goes.
    pub(crate) async fn finish_ingest(&mut self) {
        if let Some(mut ingest) = self.ingest.take() {
            ingest.kill().await.unwrap();
        }
        let give_up = Instant::now() + PATIENCE;
        while !self.ingested {
            let log = || last_of(&std::fs::read_to_string(self.folder.path().join("client.log")).unwrap_or_default());
            assert!(Instant::now() < give_up, "the ingest does not end:\n{}", log());
            self.tend_ingest(None);
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A full run that publishes: another one may be in progress.
    pub(crate) async fn recompute_full(&self) {
        let client = self.client("serve", 1);
        let give_up = Instant::now() + PATIENCE;
        loop {
            match client.post::<Value>("/v1/recompute", &json!({ "full": true })).await {
                Ok(done) if done["generation"].is_u64() => return,
                other => assert!(Instant::now() < give_up, "no full run: {other:?}"),
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) fn check_logs(&self) {
        for process in self.processes.values() {
            let log = std::fs::read_to_string(&process.log).unwrap();
            assert!(!log.contains("panicked"), "{}:\n{}", process.layer, last_of(&log));
        }
    }
}
