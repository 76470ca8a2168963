//! The Flight service: one call, `DoGet`.

use std::sync::Arc;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use dovetail_core::realtime::RealtimeError;
use dovetail_core::realtime_wire::{RealtimeRequest, STARTS_MAX};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::FlightConfig;
use super::sending::Sending;
use crate::SpeedLayer;

pub(super) struct StatesService {
    layer: Arc<SpeedLayer>,
    config: FlightConfig,
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl StatesService {
    pub(super) fn new(layer: Arc<SpeedLayer>, config: FlightConfig, shutdown: CancellationToken) -> Self {
        let places = Arc::new(Semaphore::new(config.max_streams.max(1)));
        Self { layer, config, places, shutdown }
    }

    fn sending(&self, ticket: &Ticket) -> Result<(Sending, FlightData), Status> {
        let ask: RealtimeRequest = serde_json::from_slice(&ticket.ticket)
            .map_err(|error| Status::invalid_argument(format!("the ticket cannot be read: {error}")))?;
        if ask.starts.len() > STARTS_MAX {
            let message = format!("{} starts are requested, at most {STARTS_MAX} are served", ask.starts.len());
            return Err(Status::invalid_argument(message));
        }
        let Some(view) = self.layer.view(&ask.view) else {
            return Err(Status::failed_precondition(RealtimeError::UnknownView(ask.view).to_string()));
        };
        if view.fingerprint != ask.fingerprint {
            return Err(Status::failed_precondition(format!(
                "view `{}` is `{}` here and `{}` there: start both layers with the same version, pipeline and lookups",
                view.name, view.fingerprint, ask.fingerprint
            )));
        }
        let moved = self.layer.moved(view);
        let moved = moved.ok_or_else(|| Status::failed_precondition(format!("view `{}` has no stream", view.name)))?;
        let layer = (Arc::clone(&self.layer), Arc::clone(view), moved);
        Ok(Sending::new(layer, ask.starts, self.config.clone(), self.shutdown.clone()))
    }
}

#[async_trait]
impl FlightService for StatesService {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| {
            Status::resource_exhausted(format!("{} readers are served already", self.config.max_streams))
        })?;
        let (sending, schema) = self.sending(request.get_ref())?;
        let gauge = Gauge::new();
        let rest = futures::stream::unfold(Some((sending, place, gauge)), async |state| {
            let (mut sending, place, gauge) = state?;
            match sending.next().await {
                Ok(data) => Some((Ok(data), Some((sending, place, gauge)))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(futures::stream::once(async { Ok(schema) }).chain(rest).boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(only_do_get())
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(only_do_get())
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Err(only_do_get())
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(only_do_get())
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(only_do_get())
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Err(only_do_get())
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(only_do_get())
    }

    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        Err(only_do_get())
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(only_do_get())
    }
}

fn only_do_get() -> Status {
    Status::unimplemented("a speed layer answers DoGet only")
}

/// Counts the open streams.
struct Gauge;

impl Gauge {
    fn new() -> Self {
        metrics::gauge!("dovetail_flight_streams").increment(1.0);
        Self
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        metrics::gauge!("dovetail_flight_streams").decrement(1.0);
    }
}
