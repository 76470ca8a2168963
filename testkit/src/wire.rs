//! A TCP proxy that a test pulls the plug of: for servers whose protocol does not matter here.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Through,
    /// Connections are closed, new ones at once.
    Down,
    /// Nothing moves, and nobody is told.
    Frozen,
}

/// Connections to it lead to the server. Ends when dropped.
pub struct Wire {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    server: SocketAddr,
    mode: watch::Sender<Mode>,
    /// How often all connections were broken.
    cuts: watch::Sender<u64>,
    turned_away: watch::Sender<u64>,
    /// Bytes that came from the server.
    passed: AtomicU64,
    /// The next message to the server with these bytes in it is carried; its answer is not, and the connection ends.
    unanswered: Mutex<Option<Vec<u8>>>,
}

impl Wire {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            mode: watch::Sender::new(Mode::Through),
            cuts: watch::Sender::new(0),
            turned_away: watch::Sender::new(0),
            passed: AtomicU64::new(0),
            unanswered: Mutex::new(None),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    /// As if the server had died.
    pub fn down(&self) {
        self.shared.mode.send_replace(Mode::Down);
        self.cut();
    }

    /// As if the server's machine had stopped.
    pub fn freeze(&self) {
        self.shared.mode.send_replace(Mode::Frozen);
    }

    pub fn up(&self) {
        self.shared.mode.send_replace(Mode::Through);
    }

    /// Breaks all connections; new ones can be made.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Returns once so many more connections were turned away because the server is down.
    pub async fn turned_away(&self, more: u64) {
        let mut turned_away = self.shared.turned_away.subscribe();
        let enough = *turned_away.borrow() + more;
        turned_away.wait_for(|&n| n >= enough).await.unwrap();
    }

    /// Bytes that came from the server so far.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// Loses the answer to the next message that has `bytes` in it.
    pub fn lose_answer_to(&self, bytes: &[u8]) {
        *self.shared.unanswered.lock().unwrap() = Some(bytes.to_vec());
    }

    /// Whether an answer is still to be lost.
    pub fn is_to_lose(&self) -> bool {
        self.shared.unanswered.lock().unwrap().is_some()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        let cuts = shared.cuts.subscribe();
        if *shared.mode.borrow() == Mode::Down {
            shared.turned_away.send_modify(|n| *n += 1);
            continue;
        }
        connections.spawn(carry(client, Arc::clone(&shared), cuts));
    }
}

async fn carry(client: TcpStream, shared: Arc<Shared>, mut cuts: watch::Receiver<u64>) {
    let Ok(server) = TcpStream::connect(shared.server).await else { return };
    let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
    let lost = AtomicBool::new(false);
    let question = |bytes: &[u8]| {
        lost.fetch_or(shared.is_unanswered(bytes), Ordering::SeqCst);
        true
    };
    let answer = |bytes: &[u8]| {
        shared.passed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        !lost.load(Ordering::SeqCst)
    };
    tokio::select! {
        _ = cuts.changed() => {}
        () = pass(client_in, server_out, shared.mode.subscribe(), question) => {}
        () = pass(server_in, client_out, shared.mode.subscribe(), answer) => {}
    }
}

/// Carries bytes on, as long as `look` lets it through and neither end hangs up.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    look: impl Fn(&[u8]) -> bool,
) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        mode.wait_for(|mode| *mode != Mode::Frozen).await.unwrap();
        let read = tokio::select! {
            biased;
            frozen = mode.wait_for(|mode| *mode == Mode::Frozen) => {
                frozen.unwrap();
                continue;
            }
            read = from.read(&mut bytes) => read,
        };
        match read {
            Ok(n) if n > 0 && look(&bytes[..n]) && to.write_all(&bytes[..n]).await.is_ok() => {}
            _ => return,
        }
    }
}

impl Shared {
    fn is_unanswered(&self, question: &[u8]) -> bool {
        let mut unanswered = self.unanswered.lock().unwrap();
        let found = unanswered.as_ref().is_some_and(|bytes| question.windows(bytes.len()).any(|part| part == bytes));
        if found {
            *unanswered = None;
        }
        found
    }
}
