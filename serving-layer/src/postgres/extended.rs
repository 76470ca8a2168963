//! Prepared statements: described once without a snapshot, planned anew on a fresh one each time they run.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::query::{
    ExtendedQueryHandler, send_execution_response, send_partial_query_response,
};
use datafusion_postgres::pgwire::api::results::{FieldInfo, Response, Tag};
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::store::{Entry, PortalStore};
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionHandle, DEFAULT_NAME, PgWireConnectionState, Type,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::extendedquery::{Execute, Parse, ParseComplete};
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::future::{Either, select};
use futures::{Sink, SinkExt};

use super::bind;
use super::cancelled::cancellable;
use super::connection::Service;
use super::cursor::fetched;
use super::respond::{rows, tell_missing, wire_error};
use super::session::{described, settings};
use crate::error::{QueryError, Reason};
use crate::serving::Serving;
use crate::session::Settings;
use crate::sql::{Does, check, planned};

/// The statement's text, and what it was parsed and planned to. (Cursors of `datafusion-postgres` fix this shape.)
pub(super) type Prepared = (String, Option<(Statement, LogicalPlan)>);

/// Parses and describes.
pub(super) struct Parser {
    pub(super) serving: Arc<Serving>,
}

impl Parser {
    async fn describe(&self, sql: &str, settings: &Settings) -> Result<Option<Prepared>, QueryError> {
        let mut statements = self.serving.dialect.parse(sql)?;
        let Some(statement) = statements.pop() else { return Ok(None) };
        if !statements.is_empty() {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(QueryError::new(Reason::Syntax, message));
        }
        let plan = match check(&statement)? {
            Does::Session => described(&statement),
            Does::Read => self.plan(&statement, settings).await?,
        };
        Ok(Some((sql.to_owned(), Some((statement, plan)))))
    }

    pub(super) async fn plan(&self, statement: &Statement, settings: &Settings) -> Result<LogicalPlan, QueryError> {
        let mut state = self.serving.template.state();
        if let Some(schema) = &settings.schema {
            let mut config = state.config().clone();
            config.options_mut().catalog.default_schema.clone_from(schema);
            state = SessionStateBuilder::new_from_existing(state).with_config(config).build();
        }
        let plan = Box::pin(planned(&state, statement.clone())).await;
        plan.map_err(|error| self.serving.with_table_hint(error))
    }
}

#[async_trait]
impl QueryParser for Parser {
    type Statement = Prepared;

    async fn parse_sql<C>(&self, client: &C, sql: &str, _types: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let settings = settings(client.metadata());
        self.describe(sql, &settings).await.map_err(|error| wire_error(error, sql))
    }

    fn get_parameter_types(&self, statement: &Prepared) -> PgWireResult<Vec<Type>> {
        statement.1.as_ref().map_or(Ok(vec![]), |(_, plan)| bind::wire_types(plan))
    }

    fn get_result_schema(&self, statement: &Prepared, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        let Some((statement, plan)) = &statement.1 else { return Ok(vec![]) };
        // A cursor's rows were encoded when it was declared, settings are always text.
        let format = format.filter(|_| check(statement).is_ok_and(|does| does == Does::Read));
        arrow_schema_to_pg_fields(plan.schema().as_arrow(), format.unwrap_or(&Format::UnifiedText), None)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Service {
    type Statement = Prepared;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        Arc::clone(&self.parser)
    }

    /// As usual, but a `FETCH` is described by its cursor.
    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match StoredStatement::parse(client, &message, self.query_parser()).await? {
            Some(mut stored) => {
                if let Some((statement, plan)) = &mut stored.statement.1
                    && let Some(fetched) = fetched(statement, client.portal_store().as_any())
                {
                    *plan = fetched?;
                }
                client.portal_store().put_statement(Arc::new(stored));
            }
            None => client.portal_store().put_empty_statement(message.name.as_deref().unwrap_or(DEFAULT_NAME)),
        }
        client.send(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    /// As usual, but rows are sent as they come: all of an answer is never gathered.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) if has_rows(&portal) => portal,
            _ => return self._on_execute(client, message).await,
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

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Prepared>, _max_rows: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (sql, Some((statement, _))) = &portal.statement.statement else { return Ok(Response::EmptyQuery) };
        if let Some(response) = self.session_statement(client, statement).await {
            return response;
        }
        let settings = self.settings(client.metadata());
        let bind = |plan: &LogicalPlan| -> Result<ParamValues, QueryError> { bind::values(portal, plan) };
        let answer = Box::pin(self.serving.start(statement, &settings, Some(&bind), "postgres")).await;
        let answer = answer.map_err(|error| wire_error(error, sql))?;
        tell_missing(client, &answer.as_of).await?;
        let options = FormatOptions::from_client_metadata(client.metadata());
        let response = rows(answer, &portal.result_column_format, options).await?;
        Ok(Response::Query(cancellable(client, response)))
    }
}

/// Whether the portal's statement is one whose rows may be many.
fn has_rows(portal: &Portal<Prepared>) -> bool {
    match &portal.statement.statement.1 {
        Some((Statement::Fetch { .. }, _)) => true,
        Some((statement, _)) => check(statement).is_ok_and(|does| does == Does::Read),
        None => false,
    }
}
