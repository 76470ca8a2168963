//! The message handlers of a connection.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::StartupHandler;
use datafusion_postgres::pgwire::api::auth::noop::NoopStartupHandler;
use datafusion_postgres::pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::{ClientInfo, ConnectionManager, PgWireServerHandlers};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::Sink;

use super::describe::Parser;
use super::open::Open;
use super::session::{begin, settings};
use crate::serving::Serving;
use crate::sql::settings::Settings;
use crate::sql::turn::SharedTurn;

/// Handlers of one connection.
pub(super) struct Handlers {
    service: Arc<Service>,
    startup: Arc<Startup>,
    cancel: Arc<DefaultCancelHandler>,
}

/// Answers statements.
pub(super) struct Service {
    pub(super) serving: Arc<Serving>,
    pub(super) parser: Arc<Parser>,
    pub(super) open: Arc<Open>,
    turn: SharedTurn,
}

impl Service {
    /// The settings of the session for a statement of this connection.
    pub(super) fn settings(&self, metadata: &HashMap<String, String>) -> Settings {
        Settings { turn: self.turn.clone(), ..settings(metadata) }
    }
}

/// Admits every client while there is a free place.
pub(super) struct Startup {
    manager: Arc<ConnectionManager>,
    has_place: bool,
    most: usize,
}

impl Handlers {
    pub(super) fn new(serving: &Arc<Serving>, manager: &Arc<ConnectionManager>, has_place: bool) -> Self {
        let open = Arc::new(Open::default());
        let parser = Arc::new(Parser { serving: Arc::clone(serving), open: Arc::clone(&open) });
        let serving_here = Arc::clone(serving);
        Self {
            service: Arc::new(Service { serving: serving_here, parser, open, turn: SharedTurn::default() }),
            startup: Arc::new(Startup {
                manager: Arc::clone(manager),
                has_place,
                most: serving.config.max_connections,
            }),
            cancel: Arc::new(DefaultCancelHandler::new(Arc::clone(manager))),
        }
    }
}

#[async_trait]
impl NoopStartupHandler for Startup {
    fn connection_manager(&self) -> Option<Arc<ConnectionManager>> {
        Some(Arc::clone(&self.manager))
    }

    async fn post_startup<C>(&self, client: &mut C, _message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !self.has_place {
            let message = format!("too many connections: `query.connections` allows {}", self.most);
            let info = ErrorInfo::new("FATAL".to_owned(), "53300".to_owned(), message);
            return Err(PgWireError::UserError(Box::new(info)));
        }
        begin(client.metadata_mut())
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.service)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.service)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.startup)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.cancel)
    }
}
