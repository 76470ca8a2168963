//! A TCP proxy that a test pulls the plug of: for servers whose protocol does not matter here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Through,
    /// Connections are closed, new ones at once.
    Down,
    /// Nothing moves.
    Frozen,
}

/// Connections to it lead to the server. Ends when dropped.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    server: SocketAddr,
    mode: watch::Sender<Mode>,
    turned_away: watch::Sender<u64>,
    /// The next message to the server with these bytes in it is carried; its answer is not, and the connection ends.
    unanswered: Mutex<Option<Vec<u8>>>,
}

impl Wire {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, turned_away) = (watch::Sender::new(Mode::Through), watch::Sender::new(0));
        let shared = Arc::new(Shared { server, mode, turned_away, unanswered: Mutex::new(None) });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    /// As if the server had died.
    pub(crate) fn down(&self) {
        self.shared.mode.send_replace(Mode::Down);
    }

    /// As if the server's machine had stopped.
    pub(crate) fn freeze(&self) {
        self.shared.mode.send_replace(Mode::Frozen);
    }

    pub(crate) fn up(&self) {
        self.shared.mode.send_replace(Mode::Through);
    }

    /// Returns once so many more connections were turned away because the server is down.
    pub(crate) async fn turned_away(&self, more: u64) {
        let mut turned_away = self.shared.turned_away.subscribe();
        let enough = *turned_away.borrow() + more;
        turned_away.wait_for(|&n| n >= enough).await.unwrap();
    }

    /// Loses the answer to the next message that has `bytes` in it.
    pub(crate) fn lose_answer_to(&self, bytes: &[u8]) {
        *self.shared.unanswered.lock().unwrap() = Some(bytes.to_vec());
    }

    /// Whether an answer is still to be lost.
    pub(crate) fn is_to_lose(&self) -> bool {
        self.shared.unanswered.lock().unwrap().is_some()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        if *shared.mode.borrow() == Mode::Down {
            shared.turned_away.send_modify(|n| *n += 1);
            continue;
        }
        connections.spawn(carry(client, Arc::clone(&shared)));
    }
}

async fn carry(mut client: TcpStream, shared: Arc<Shared>) {
    let mut mode = shared.mode.subscribe();
    let Ok(mut server) = TcpStream::connect(shared.server).await else { return };
    let (mut question, mut answer) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut lost = false;
    loop {
        let now = *mode.borrow_and_update();
        let frozen = now == Mode::Frozen;
        let done = tokio::select! {
            biased;
            () = std::future::ready(()), if now == Mode::Down => true,
            changed = mode.changed() => changed.is_err(),
            read = client.read(&mut question), if !frozen => match read {
                Ok(n) if n > 0 => {
                    lost |= shared.is_unanswered(&question[..n]);
                    server.write_all(&question[..n]).await.is_err()
                }
                _ => true,
            },
            read = server.read(&mut answer), if !frozen => match read {
                Ok(n) if n > 0 && !lost => client.write_all(&answer[..n]).await.is_err(),
                _ => true,
            },
        };
        if done {
            return;
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
