//! Statements sent as text, one or several at a time.

use std::fmt::Debug;

use async_trait::async_trait;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::query::SimpleQueryHandler;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::Sink;

use super::cancelled::cancellable;
use super::connection::Service;
use super::respond::{rows, tell_missing, wire_error};
use super::session::run;
use crate::sql::check;

#[async_trait]
impl SimpleQueryHandler for Service {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statements = self.serving.dialect.parse(query).map_err(|error| wire_error(error, query))?;
        if statements.is_empty() {
            return Ok(vec![Response::EmptyQuery]);
        }
        // All are looked at before the first one runs.
        statements.iter().try_for_each(|s| check(s).map(drop)).map_err(|error| wire_error(error, query))?;
        let mut responses = vec![];
        for statement in &statements {
            responses.push(Box::pin(self.statement(client, statement, query)).await?);
        }
        Ok(responses)
    }
}

impl Service {
    async fn statement<C>(&self, client: &mut C, statement: &Statement, sql: &str) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if let Some(response) = self.session_statement(client, statement).await {
            return response;
        }
        let settings = self.settings(client.metadata());
        let answer = self.serving.start(statement, &settings, None, "postgres").await;
        let answer = answer.map_err(|error| wire_error(error, sql))?;
        tell_missing(client, &answer.as_of).await?;
        let options = FormatOptions::from_client_metadata(client.metadata());
        let response = rows(answer, &Format::UnifiedText, options).await?;
        Ok(Response::Query(cancellable(client, response)))
    }

    /// Runs a statement that concerns the session: settings, transactions, cursors.
    pub(super) async fn session_statement(
        &self,
        client: &mut dyn HookClient,
        statement: &Statement,
    ) -> Option<PgWireResult<Response>> {
        let transaction = client.transaction_status();
        if let Some(response) = run(statement, client.metadata_mut(), transaction) {
            return Some(response);
        }
        self.cursor_statement(client, statement).await
    }
}
