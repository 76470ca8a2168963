//! The PostgreSQL wire protocol, for psql, psycopg, SQLAlchemy and JDBC.

mod bind;
mod cancelled;
mod connection;
mod copy;
mod cursor;
mod cursor_statements;
mod describe;
mod extended;
mod open;
mod respond;
mod session;
mod simple;
mod statement;
mod values;
mod wire_error;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::api::ConnectionManager;
use datafusion_postgres::pgwire::tokio::process_socket;
use dovetail_core::clock;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use self::connection::Handlers;
use crate::serving::Serving;

/// Pause after a connection that could not be accepted.
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections on `listener` until `shutdown`, and returns when the last one has ended.
///
/// # Errors
/// None so far: a connection that fails ends alone.
pub async fn serve_postgres(
    serving: Arc<Serving>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let connections = TaskTracker::new();
    let manager = Arc::new(ConnectionManager::new());
    let places = Arc::new(Semaphore::new(serving.config.max_connections.max(1)));
    loop {
        let (socket, address) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Most likely no file descriptors are left: other connections will end.
                    warn!(%error, "connection was not accepted");
                    clock::sleep(ACCEPT_RETRY_PAUSE).await;
                    continue;
                }
            },
        };
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let handlers = Arc::new(Handlers::new(&serving, &manager, place.is_some()));
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            let _place = place;
            metrics::gauge!("dovetail_postgres_connections").increment(1.0);
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = Box::pin(process_socket(socket, None, handlers)) => {
                    if let Err(error) = ended {
                        debug!(%address, %error, "connection ended");
                    }
                }
            }
            metrics::gauge!("dovetail_postgres_connections").decrement(1.0);
        });
    }
    connections.close();
    connections.wait().await;
    Ok(())
}
