//! Prepared statements: described once without a snapshot, planned anew on a fresh one each time they run.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::query::{
    ExtendedQueryHandler, send_describe_response, send_execution_response, send_partial_query_response,
};
use datafusion_postgres::pgwire::api::results::{DescribePortalResponse, Response, Tag};
use datafusion_postgres::pgwire::api::store::{Entry, PortalStore};
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionHandle, DEFAULT_NAME, PgWireConnectionState,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::extendedquery::{
    Bind, BindComplete, Describe, Execute, TARGET_TYPE_BYTE_PORTAL,
};
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use futures::future::{Either, select};
use futures::{Sink, SinkExt};

use super::bind;
use super::cancelled::cancellable;
use super::connection::WireService;
use super::describe::{Parser, Prepared, has_rows, zone};
use super::respond::rows;
use super::values::{Style, fields, same_on_the_wire};
use super::wire_error::wire_error;
use crate::error::{QueryError, Reason};
use crate::sql::query::Answer;

#[async_trait]
impl ExtendedQueryHandler for WireService {
    type Statement = Arc<Prepared>;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        Arc::clone(&self.parser)
    }

    /// The default handler, with a check of the message against the statement.
    async fn on_bind<C>(&self, client: &mut C, message: Bind) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let store = client.portal_store();
        match store.get_statement(message.statement_name.as_deref().unwrap_or(DEFAULT_NAME)) {
            Some(Entry::Value(statement)) => {
                let parameters = statement.statement.parameters.len();
                bind::check_counts(message.parameters.len(), message.parameter_format_codes.len(), parameters)?;
                let portal = Portal::try_new(&message, statement)?;
                fields(&portal.statement.statement.schema, &portal.result_column_format)?;
                store.put_portal(Arc::new(portal));
            }
            Some(Entry::Empty) => {
                bind::check_counts(message.parameters.len(), message.parameter_format_codes.len(), 0)?;
                store.put_empty_portal(message.portal_name.as_deref().unwrap_or(DEFAULT_NAME));
            }
            None => {
                let name = message.statement_name.unwrap_or_else(|| DEFAULT_NAME.to_owned());
                return Err(PgWireError::StatementNotFound(name));
            }
        }
        client.send(PgWireBackendMessage::BindComplete(BindComplete::new())).await?;
        Ok(())
    }

    /// The default handler, extended to cursors: they can be described as portals, which they are in PostgreSQL.
    async fn on_describe<C>(&self, client: &mut C, message: Describe) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        if message.target_type == TARGET_TYPE_BYTE_PORTAL
            && client.portal_store().get_portal(name).is_none()
            && let Ok(schema) = self.open.schema(name)
        {
            let described = DescribePortalResponse::new(fields(&schema, &Format::UnifiedText)?);
            return send_describe_response(client, &described).await;
        }
        self._on_describe(client, message).await
    }

    /// The default handler, but rows are sent as they come, so that an answer is never collected.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) if has_rows(&portal.statement.statement.statement) => portal,
            portal => {
                if let Some(Entry::Value(portal)) = portal
                    && client.transaction_status() == TransactionStatus::Error
                    && self.goes_back(&portal.statement.statement.statement)
                {
                    client.set_transaction_status(TransactionStatus::Transaction);
                }
                return self._on_execute(client, message).await;
            }
        };
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let most = usize::try_from(message.max_rows).unwrap_or(0);
        let state = portal.state();
        let mut state = state.lock().await;
        if matches!(*state, PortalExecutionState::Initial) {
            let cancelled = match client.session_extensions().get::<Arc<ConnectionHandle>>() {
                Some(handle) => Either::Left(handle.start_query().await),
                None => Either::Right(futures::future::pending()),
            };
            let response = match select(self.do_query(client, &portal, most), cancelled).await {
                Either::Left((response, _)) => response?,
                Either::Right(_) => return Err(PgWireError::QueryCanceled),
            };
            let Response::Query(rows) = response else { return Err(PgWireError::PortalNotStarted) };
            *state = PortalExecutionState::Suspended(rows);
        }
        let has_more = match &mut *state {
            PortalExecutionState::Suspended(rows) => send_partial_query_response(client, rows, most).await?,
            _ => {
                send_execution_response(client, Tag::new("SELECT").with_rows(0)).await?;
                false
            }
        };
        if !has_more {
            *state = PortalExecutionState::Finished;
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Arc<Prepared>>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        let settings = self.settings(client.metadata());
        let bind = |_: &LogicalPlan| -> Result<ParamValues, QueryError> {
            bind::values(portal, &prepared.parameters, zone(&settings))
        };
        let (status, format) = (client.transaction_status(), Some(&portal.result_column_format));
        let session = self.session_statement(client, &prepared.statement, status, Some(&bind), format);
        if let Some(response) = Box::pin(session).await {
            if let (Statement::Deallocate { name, .. }, Ok(_)) = (&prepared.statement, &response) {
                client.portal_store().rm_statement(&name.value);
            }
            return response;
        }
        let answer = self.answer(client, &prepared.statement, &prepared.sql, Some(&bind)).await?;
        check_told(&prepared.schema, &answer)?;
        let style = Style::of(client.metadata());
        let rows = rows(answer, &portal.result_column_format, style).await?;
        Ok(Response::Query(cancellable(client, rows)))
    }
}

/// Checks that the answer has the columns of the client's description: otherwise the client would misread the bytes.
fn check_told(told: &Schema, answer: &Answer) -> PgWireResult<()> {
    let (told, found) = (told.fields(), answer.schema.fields());
    let differing = told.iter().zip(found).find(|(a, b)| !same_on_the_wire(a.data_type(), b.data_type()));
    let message = match differing {
        Some((told, found)) => format!(
            "column `{}` is of type {}, the statement was described with {}: cast it, or the parameters",
            found.name(),
            crate::sql::parameters::name(found.data_type()),
            crate::sql::parameters::name(told.data_type()),
        ),
        None if told.len() != found.len() => {
            format!("the statement was described with {} columns and has {}", told.len(), found.len())
        }
        None => return Ok(()),
    };
    Err(wire_error(QueryError::new(Reason::Unsupported, message), ""))
}
