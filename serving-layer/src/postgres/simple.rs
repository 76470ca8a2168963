//! Statements sent as text, one or several at a time.

use std::fmt::Debug;

use async_trait::async_trait;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::query::SimpleQueryHandler;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::messages::simplequery::Query;
use futures::Sink;

use super::cancelled::cancellable;
use super::connection::WireService;
use super::respond::rows;
use super::session::after;
use super::values::Style;
use super::wire_error::{session_error, wire_error};
use crate::sql::statement::check;

#[async_trait]
impl SimpleQueryHandler for WireService {
    /// The default handler, but a rollback to a savepoint leaves the failed state.
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if client.transaction_status() == TransactionStatus::Error
            && let Ok(statements) = self.serving.dialect.parse(&query.query)
            && statements.first().is_some_and(|first| self.goes_back(first))
        {
            client.set_transaction_status(TransactionStatus::Transaction);
        }
        self._on_query(client, query).await
    }

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
        // All statements are checked before the first one runs.
        statements.iter().try_for_each(|s| check(s).map(drop)).map_err(|error| wire_error(error, query))?;
        if statements.len() > 1 && statements.iter().any(|statement| matches!(statement, Statement::Copy { .. })) {
            return Err(session_error("0A000", "send `COPY` as a statement of its own"));
        }
        let mut transaction = client.transaction_status();
        let mut responses = vec![];
        for statement in &statements {
            match Box::pin(self.statement(client, statement, query, transaction)).await {
                Ok(response) => {
                    transaction = after(transaction, &response);
                    responses.push(response);
                }
                Err(error) if responses.is_empty() => return Err(error),
                // Earlier statements keep their answers, and a transaction that was begun has failed.
                Err(error) => {
                    responses.push(Response::Error(Box::new(error.into())));
                    break;
                }
            }
        }
        Ok(responses)
    }
}

impl WireService {
    async fn statement<C>(
        &self,
        client: &mut C,
        statement: &Statement,
        sql: &str,
        transaction: TransactionStatus,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if let Some(response) = self.session_statement(client, statement, transaction, None, None).await {
            return response;
        }
        let answer = self.answer(client, statement, sql, None).await?;
        let style = Style::of(client.metadata());
        let rows = rows(answer, &Format::UnifiedText, style).await?;
        Ok(Response::Query(cancellable(client, rows)))
    }
}
