//! Ingesting clients, each with a file of its own: started again until it says that it is done.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::fleet::WAIT_MAX;
use crate::support::{dovetail, last_of};

struct Client {
    stream: &'static str,
    file: String,
    server: String,
    child: Option<Child>,
    done: bool,
}

pub(super) struct Clients {
    folder: PathBuf,
    clients: Vec<Client>,
}

impl Clients {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), clients: vec![] }
    }

    pub(super) fn add(&mut self, stream: &'static str, file: &str, server: String) {
        self.clients.push(Client { stream, file: file.to_owned(), server, child: None, done: false });
    }

    pub(super) fn command(&self, stream: &str, file: &str, server: &str) -> Command {
        let mut command = dovetail();
        command.args(["ingest", stream, "--server", server, "--from"]).arg(self.folder.join(file));
        command
    }

    /// Starts those that do not run and are not done.
    pub(super) fn tend(&mut self, rate: Option<f64>) {
        for i in 0..self.clients.len() {
            let client = &mut self.clients[i];
            if let Some(child) = &mut client.child {
                let Some(status) = child.try_wait().unwrap() else { continue };
                client.done = status.success();
                client.child = None;
            }
            if client.done {
                continue;
            }
            let client = &self.clients[i];
            let mut command = self.command(client.stream, &client.file, &client.server);
            if let Some(rate) = rate {
                command.args(["--rate", &format!("{rate:.1}")]);
            }
            let log = File::options().create(true).append(true).open(self.log()).unwrap();
            self.clients[i].child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        }
    }

    /// Kills one of them; returns its file.
    pub(super) async fn kill_one(&mut self, random: &mut StdRng) -> String {
        let i = random.random_range(0..self.clients.len());
        let client = &mut self.clients[i];
        if let Some(mut child) = client.child.take() {
            child.kill().await.unwrap();
        }
        client.file.clone()
    }

    /// Sends what is left as fast as it goes.
    pub(super) async fn finish(&mut self) {
        for client in &mut self.clients {
            if let Some(mut child) = client.child.take() {
                child.kill().await.unwrap();
            }
        }
        let give_up = Instant::now() + WAIT_MAX;
        while !self.clients.iter().all(|client| client.done) {
            let log = || last_of(&std::fs::read_to_string(self.log()).unwrap_or_default());
            assert!(Instant::now() < give_up, "the ingest does not end:\n{}", log());
            self.tend(None);
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("clients.log")
    }
}
