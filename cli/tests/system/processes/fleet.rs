//! Processes of all layers, and files on their way into them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dovetail_api::Client;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::backends::Backends;
use super::clients::Clients;
use super::deck::{self, FleetFault, Requests};
use crate::kafka::Topic;
use crate::support::{dovetail, free_port, last_of, said};

/// Time limit of a start or an ingest.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(180);

/// Time for which a process is stopped: longer than any lease.
const STOPPED: Duration = Duration::from_secs(35);

/// Greatest difference of a process's clock from the machine's, in seconds.
const CLOCKS_APART: i64 = 600;

struct Process {
    layer: &'static str,
    http: u16,
    /// PostgreSQL's wire or Flight.
    other: u16,
    log: PathBuf,
    child: Option<Child>,
    /// Milliseconds that its clock is ahead of the machine's.
    clock_ahead_ms: i64,
    /// Until when it is stopped.
    stopped: Option<Instant>,
}

pub(crate) struct Fleet<'b> {
    backends: &'b Backends,
    folder: TempDir,
    processes: BTreeMap<(&'static str, usize), Process>,
    clients: Clients,
    /// The faults still to come.
    deck: Vec<FleetFault>,
    /// Ends what requests to the S3 store meet.
    trouble: JoinSet<()>,
}

impl<'b> Fleet<'b> {
    /// `TOPIC` in the pipeline becomes the topic's name.
    pub(crate) fn new(backends: &'b Backends, pipeline: &str, settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("pipeline.sql"), pipeline.replace("TOPIC", &backends.topic)).unwrap();
        let settings = format!("{settings}[member]\nlease = \"2s\"\n");
        std::fs::write(folder.path().join("dovetail.toml"), settings).unwrap();
        let clients = Clients::new(folder.path());
        Self { backends, folder, processes: BTreeMap::new(), clients, deck: vec![], trouble: JoinSet::new() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn topic(&self) -> &str {
        &self.backends.topic
    }

    /// Starts one more process.
    pub(crate) fn add(&mut self, layer: &'static str, n: usize) {
        self.add_with_clock(layer, n, 0);
    }

    /// Starts two of each layer, each process with a clock of its own.
    pub(crate) fn add_two_of_each(&mut self, random: &mut StdRng) {
        for layer in ["ingest", "batch", "speed", "serve"] {
            for n in 1..=2 {
                let ahead_s = random.random_range(-CLOCKS_APART..=CLOCKS_APART);
                self.add_with_clock(layer, n, ahead_s * 1000);
            }
        }
    }

    fn add_with_clock(&mut self, layer: &'static str, n: usize, clock_ahead_ms: i64) {
        let log = self.folder.path().join(format!("{layer}-{n}.log"));
        let (http, other) = (free_port(), free_port());
        let process = Process { layer, http, other, log, child: None, clock_ahead_ms, stopped: None };
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
            "serve" | "kappa" => Some("--postgres"),
            "speed" => Some("--flight"),
            _ => None,
        };
        if let Some(flag) = other {
            command.arg(flag).arg(format!("127.0.0.1:{}", process.other));
        }
        command.env("DOVETAIL_KAFKA_BROKERS", &backends.brokers);
        command.env("DOVETAIL_CATALOG_URL", &backends.catalog).env("DOVETAIL_STORE_URL", &backends.store);
        command.env("AWS_ENDPOINT_URL", format!("http://{}", backends.s3.address));
        command.env("DOVETAIL_TEST_CLOCK_AHEAD_MS", process.clock_ahead_ms.to_string());
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
        let give_up = Instant::now() + WAIT_MAX;
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
        let process = self.processes.get_mut(&(layer, n)).unwrap();
        // SIGKILL ends a stopped process as well.
        process.stopped = None;
        if let Some(mut child) = process.child.take() {
            child.kill().await.unwrap();
        }
        sleep(pause).await;
        self.launch(layer, n);
    }

    /// Stops a process, unless its twin is stopped: then nothing would be left of the layer.
    fn stop(&mut self, layer: &'static str, n: usize, lasting: Duration) -> bool {
        let layers = self.processes.iter().filter(|((of, _), _)| *of == layer);
        if layers.clone().any(|(_, process)| process.stopped.is_some()) {
            return false;
        }
        self.signal(layer, n, "STOP");
        self.processes.get_mut(&(layer, n)).unwrap().stopped = Some(Instant::now() + lasting);
        true
    }

    /// Continues the processes that have been stopped for long enough, or all.
    pub(crate) fn wake(&mut self, all: bool) {
        let due = |process: &Process| process.stopped.is_some_and(|until| all || until <= Instant::now());
        let names: Vec<_> = self.processes.iter().filter(|(_, p)| due(p)).map(|(name, _)| *name).collect();
        for (layer, n) in names {
            self.signal(layer, n, "CONT");
            self.processes.get_mut(&(layer, n)).unwrap().stopped = None;
            eprintln!("          {layer} {n} goes on");
        }
    }

    /// A number of a process of `layer`.
    fn any(&self, layer: &'static str, random: &mut StdRng) -> usize {
        let among = self.processes.keys().filter(|(of, _)| *of == layer).count();
        random.random_range(1..=among)
    }

    /// Which process leads the batch layer, as far as they know.
    async fn leader(&self) -> Option<usize> {
        let http = reqwest::Client::new();
        for n in 1..=2 {
            let asked = http.get(format!("{}/metrics", self.url("batch", n))).timeout(Duration::from_secs(1));
            let Ok(answer) = asked.send().await else { continue };
            if answer.text().await.is_ok_and(|text| text.lines().any(|line| line == "dovetail_batch_leader 1")) {
                return Some(n);
            }
        }
        None
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
            FleetFault::Broker => {
                self.backends.dev("kafka", &["restart", "1"]).await;
                "the broker was restarted".to_owned()
            }
            FleetFault::Postgres => {
                self.backends.dev("postgres", &["restart"]).await;
                "PostgreSQL was restarted".to_owned()
            }
            FleetFault::S3 => {
                self.backends.dev("s3", &["restart"]).await;
                "the S3 store was restarted".to_owned()
            }
            FleetFault::Partition => {
                let (brokers, name) = (self.backends.brokers.clone(), self.backends.topic.clone());
                let topic = Topic { brokers, name, _undisturbed: None };
                let partitions = topic.partitions() + 1;
                topic.grow_to(partitions).await;
                format!("the topic was given {partitions} partitions")
            }
            FleetFault::Requests(requests) => {
                self.trouble(requests, lasting).await;
                format!("the S3 store {} for {lasting:.1?}", requests.does)
            }
            FleetFault::Client => {
                let file = self.clients.kill_one(random).await;
                format!("the client that ingests {file} was killed")
            }
            FleetFault::Kill(layer) => {
                let n = self.any(layer, random);
                self.restart(layer, n, pause).await;
                format!("{layer} {n} was killed, and started after {pause:.1?}")
            }
            FleetFault::KillLeader => {
                let n = self.leader().await.unwrap_or_else(|| self.any("batch", random));
                self.restart("batch", n, pause).await;
                format!("the leader, batch {n}, was killed, and started after {pause:.1?}")
            }
            FleetFault::Stop(layer) => {
                let n = match layer {
                    "batch" => self.leader().await.unwrap_or_else(|| self.any("batch", random)),
                    layer => self.any(layer, random),
                };
                match self.stop(layer, n, STOPPED) {
                    true => format!("{layer} {n} was stopped, and goes on after {STOPPED:.0?}"),
                    false => format!("a {layer} is stopped already"),
                }
            }
        }
    }

    /// Requests to the S3 store meet a fault for a while, and the next faults come meanwhile.
    async fn trouble(&mut self, Requests { fault, method, does }: Requests, lasting: Duration) {
        // The end of an earlier trouble would be the end of this one.
        self.trouble.shutdown().await;
        let s3 = Arc::clone(&self.backends.s3);
        s3.faults.set(fault, move |of| method.is_none_or(|method| of == method));
        self.trouble.spawn(async move {
            sleep(lasting).await;
            eprintln!("          the S3 store {does}: {} requests met it, and it is over", s3.faults.met());
            s3.faults.heal();
        });
    }

    /// Waits until nothing goes wrong any more, and all processes are ready.
    pub(crate) async fn calm(&mut self) {
        self.wake(true);
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

    /// Has a file of the folder sent, through a serving process, by a client that `tend_ingest` starts.
    pub(crate) fn send(&mut self, stream: &'static str, file: &str, through: usize) {
        self.send_by(("serve", through), stream, file);
    }

    /// The same, by way of a process of any layer.
    pub(crate) fn send_by(&mut self, (layer, n): (&'static str, usize), stream: &'static str, file: &str) {
        let server = self.url(layer, n);
        self.clients.add(stream, file, server);
    }

    /// Ingests all of a file of the folder.
    pub(crate) async fn ingest(&self, stream: &str, file: &str) {
        let ingested = self.clients.command(stream, file, &self.url("serve", 1)).output().await.unwrap();
        assert!(ingested.status.success(), "{file}: {}", said(&ingested));
    }

    /// Starts the clients that do not run and are not done, each at `rate` records a second.
    pub(crate) fn tend_ingest(&mut self, rate: Option<f64>) {
        self.clients.tend(rate);
    }

    /// The rest of the files, as fast as it goes.
    pub(crate) async fn finish_ingest(&mut self) {
        self.clients.finish().await;
    }

    /// A full run that publishes: another one may be in progress.
    pub(crate) async fn recompute_full(&self) {
        let client = self.client("serve", 1);
        let give_up = Instant::now() + WAIT_MAX;
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

/// The reason of a failure is in the logs, which are deleted with the folder.
impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (layer, n) in self.processes.keys() {
                eprintln!("== {layer} {n}\n{}", last_of(&self.log(layer, *n)));
            }
        }
    }
}
