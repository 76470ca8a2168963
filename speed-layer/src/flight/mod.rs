//! The layer as processes elsewhere read it: a Flight service that sends what it holds, and then what is new.
//!
//! What is sent, and how, is in [`dovetail_core::realtime_wire`].

mod encode;
mod sending;
mod service;

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use dovetail_core::clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use self::service::Service;
use crate::SpeedLayer;

/// Bounds and intervals; defaults live with the command line.
#[derive(Debug, Clone)]
pub struct FlightConfig {
    /// A reader is sent what is new at most this often; as often as states are sealed is best.
    pub interval: Duration,
    /// How often a reader is told that the layer lives, when nothing else does.
    pub heartbeat: Duration,
    /// Streams that are sent at the same time: one per view and reader. More are turned away.
    pub max_streams: usize,
}

/// How long a reader that takes nothing can hold up the end.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Serves readers on `listener` until `shutdown`.
///
/// Nothing is queued for a reader: what is new is read from the layer when the reader takes it, so a slow one gets
/// fewer and larger slices.
///
/// # Errors
/// When the listener fails; a connection that fails ends alone.
pub async fn serve(
    layer: Arc<SpeedLayer>,
    listener: TcpListener,
    config: FlightConfig,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let service = FlightServiceServer::new(Service::new(layer, config, shutdown.clone()));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let serving = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
    let late = async {
        shutdown.cancelled().await;
        clock::sleep(STOP_GRACE).await;
    };
    tokio::select! {
        served = serving => served,
        () = late => Ok(()),
    }
}
