//! An HTTP proxy that does to requests what a test says: for S3 stores. Each connection carries one request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 503, and the server hears nothing of it.
    Unavailable,
    /// 403, and the server hears nothing of it.
    Forbidden,
    /// No answer, and the server hears nothing of it.
    Stalls,
    /// The server does what it is asked for; its answer is lost.
    LosesAnswer,
    /// The connection ends, and the server hears nothing of it.
    Resets,
}

/// Requests to it go to the server, but for those that meet a fault. Ends when dropped.
pub(crate) struct Faults {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    server: SocketAddr,
    next: Mutex<Next>,
}

struct Next {
    fault: Fault,
    /// Which requests meet it: those of a method, or all.
    method: Option<&'static str>,
    left: u64,
    met: u64,
}

impl Faults {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let next = Next { fault: Fault::Resets, method: None, left: 0, met: 0 };
        let shared = Arc::new(Shared { server, next: Mutex::new(next) });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    /// The next `requests` of a method, or of any, meet `fault`.
    pub(crate) fn next(&self, fault: Fault, method: Option<&'static str>, requests: u64) {
        *self.shared.next.lock().unwrap() = Next { fault, method, left: requests, met: 0 };
    }

    /// Number of requests that have met the fault.
    pub(crate) fn met(&self) -> u64 {
        self.shared.next.lock().unwrap().met
    }
}

impl Shared {
    fn fault_of(&self, method: &str) -> Option<Fault> {
        let mut next = self.next.lock().unwrap();
        let meets = next.left > 0 && next.method.is_none_or(|of| of == method);
        meets.then(|| {
            next.left -= 1;
            next.met += 1;
            next.fault
        })
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut requests = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        while requests.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        // Either end may hang up; the test sees what comes of it.
        requests.spawn(async move { drop(carry(client, &shared).await) });
    }
}

async fn carry(mut client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (head, body) = read_request(&mut client).await?;
    let method = head.split(' ').next().unwrap_or_default();
    let fault = shared.fault_of(method);
    match fault {
        Some(Fault::Resets) => return Ok(()),
        Some(Fault::Stalls) => return client.read_to_end(&mut vec![]).await.map(drop),
        Some(Fault::Unavailable) => return refuse(&mut client, "503 Service Unavailable", "SlowDown").await,
        Some(Fault::Forbidden) => return refuse(&mut client, "403 Forbidden", "AccessDenied").await,
        Some(Fault::LosesAnswer) | None => {}
    }
    let mut server = TcpStream::connect(shared.server).await?;
    server.write_all(for_one_request(&head).as_bytes()).await?;
    server.write_all(&body).await?;
    let mut answer = vec![];
    server.read_to_end(&mut answer).await?;
    match fault {
        Some(_) => Ok(()),
        None => client.write_all(&answer).await,
    }
}

/// The lines before the body, and the body.
async fn read_request(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut read = vec![];
    let end = loop {
        if let Some(at) = read.windows(4).position(|part| part == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut body = read.split_off(end);
    let head = String::from_utf8_lossy(&read).into_owned();
    let mut lengths = head.lines().filter_map(|line| line.split_once(':'));
    let length = lengths.rfind(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map_or(0, |(_, value)| value.trim().parse().unwrap());
    let read = body.len();
    body.resize(length, 0);
    client.read_exact(&mut body[read..]).await?;
    Ok((head, body))
}

/// The head of a request after whose answer the connection ends, for both sides.
fn for_one_request(head: &str) -> String {
    let is_connection = |line: &&str| line.to_ascii_lowercase().starts_with("connection:");
    let lines = head.trim_end().split("\r\n").filter(|line| !is_connection(line));
    let mut lines: Vec<&str> = lines.collect();
    lines.extend(["connection: close", "", ""]);
    lines.join("\r\n")
}

async fn refuse(client: &mut TcpStream, status: &str, code: &str) -> std::io::Result<()> {
    let body = format!("<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>");
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).await?;
    client.write_all(body.as_bytes()).await
}
