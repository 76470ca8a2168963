//! An HTTP proxy with faults, for S3 stores. Each connection carries one request.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::faults::Faults;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Fault {
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

/// A proxy that passes requests to the server, except those whose method meets a fault. It ends when dropped.
pub struct S3Proxy {
    pub address: SocketAddr,
    pub faults: Arc<Faults<String, S3Fault>>,
    _tasks: JoinSet<()>,
}

impl S3Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::new(Faults::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, Arc::clone(&faults)));
        Self { address, faults, _tasks: tasks }
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, faults: Arc<Faults<String, S3Fault>>) {
    let mut requests = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        while requests.try_join_next().is_some() {}
        let faults = Arc::clone(&faults);
        // Either end may hang up; the test sees what comes of it.
        requests.spawn(async move { drop(carry(client, server, &faults).await) });
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, faults: &Faults<String, S3Fault>) -> std::io::Result<()> {
    let (head, body) = read_request(&mut client).await?;
    let method = head.split(' ').next().unwrap_or_default().to_owned();
    faults.ask(method.clone());
    let fault = faults.of(&method);
    if fault.is_some() {
        faults.note_met();
    }
    match fault {
        Some(S3Fault::Resets) => return Ok(()),
        Some(S3Fault::Stalls) => return client.read_to_end(&mut vec![]).await.map(drop),
        Some(S3Fault::Unavailable) => return refuse(&mut client, "503 Service Unavailable", "SlowDown").await,
        Some(S3Fault::Forbidden) => return refuse(&mut client, "403 Forbidden", "AccessDenied").await,
        Some(S3Fault::LosesAnswer) | None => {}
    }
    let mut server = TcpStream::connect(server).await?;
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
