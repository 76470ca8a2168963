//! A connection that passes on all bytes, unless it is set not to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Open,
    /// Nothing passes, and neither side gets an error.
    Stalled,
}

pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    pub(crate) flow: watch::Sender<Flow>,
    /// Bytes that came from the far end.
    pub(crate) passed: Arc<AtomicU64>,
    cut: watch::Sender<CancellationToken>,
    _open: tokio_util::sync::DropGuard,
}

impl Wire {
    pub(crate) async fn to(far: SocketAddr, tracker: &TaskTracker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (flow, flowing) = watch::channel(Flow::Open);
        let open = CancellationToken::new();
        let (cut, cuts) = watch::channel(open.child_token());
        let passed = Arc::new(AtomicU64::new(0));
        let (end, counted, tasks) = (open.clone(), Arc::clone(&passed), tracker.clone());
        tracker.spawn(async move {
            while let Some(Ok((near, _))) = end.run_until_cancelled(listener.accept()).await {
                let Ok(far) = TcpStream::connect(far).await else { continue };
                let cut = cuts.borrow().clone();
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                let up = pass(near_in, far_out, flowing.clone(), Arc::default());
                let down = pass(far_in, near_out, flowing.clone(), Arc::clone(&counted));
                tasks.spawn(async move {
                    cut.run_until_cancelled(async { tokio::join!(up, down) }).await;
                });
            }
        });
        Self { address, flow, passed, cut, _open: open.drop_guard() }
    }

    /// Breaks all connections; new ones can be made.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(CancellationToken::new()).cancel();
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
    passed: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        if flow.wait_for(|flow| *flow == Flow::Open).await.is_err() {
            return;
        }
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                passed.fetch_add(n as u64, Ordering::Relaxed);
                if to.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}
