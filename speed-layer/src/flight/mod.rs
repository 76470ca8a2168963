//! The Flight service for readers in other processes: sends the slices that the layer has, and then new ones.
//!
//! The protocol is in [`dovetail_core::realtime_wire`].

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

/// Bounds and intervals of the service; the command line has the defaults.
#[derive(Debug, Clone)]
pub struct FlightConfig {
    /// Least time between two rounds of a reader; best equal to the seal interval.
    pub interval: Duration,
    /// Longest time without a message to a reader: then a status shows that the layer lives.
    pub heartbeat: Duration,
    /// Greatest number of streams at a time, one per view and reader. More are refused.
    pub max_streams: usize,
}

/// Time for which a reader that takes nothing can delay the end.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Serves readers on `listener` until `shutdown`.
///
/// Nothing is queued for a reader: new slices are read from the layer when the reader takes them, so a slow reader gets
/// fewer and larger ones.
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
