//! Statements of either protocol: queries, and those that concern the session.

use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::messages::startup::ParameterStatus;
use futures::{Sink, SinkExt};

use super::connection::WireService;
use super::respond::tell_missing;
use super::session::{answered, folded, run, told};
use super::wire_error::wire_error;
use crate::sql::query::{Answer, Binder};

impl WireService {
    /// Begins to answer a query. The client is first notified of missing parts of the answer.
    pub(super) async fn answer(
        &self,
        client: &mut dyn HookClient,
        statement: &Statement,
        sql: &str,
        binder: Option<Binder<'_>>,
    ) -> PgWireResult<Answer> {
        let statement = answered(statement.clone(), client.metadata_mut())?;
        let settings = self.settings(client.metadata());
        let answer = Box::pin(self.serving.start(&statement, &settings, binder, "postgres")).await;
        let answer = answer.map_err(|error| wire_error(error, sql))?;
        tell_missing(client, &answer.as_of).await?;
        Ok(answer)
    }

    /// Runs a statement that concerns the session: settings, transactions, cursors, `COPY`; `None` when it is a query.
    pub(super) async fn session_statement<C>(
        &self,
        client: &mut C,
        statement: &Statement,
        transaction: TransactionStatus,
        binder: Option<Binder<'_>>,
        format: Option<&Format>,
    ) -> Option<PgWireResult<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if let Some(response) = run(statement, client.metadata_mut(), transaction, &self.open) {
            if response.is_ok() {
                for (name, value) in told(statement, client.metadata()) {
                    let status = ParameterStatus::new(name.to_owned(), value);
                    if let Err(error) = client.feed(PgWireBackendMessage::ParameterStatus(status)).await {
                        return Some(Err(error.into()));
                    }
                }
            }
            return Some(response);
        }
        if let Statement::Copy { .. } = statement {
            return Some(self.copy(client, statement).await);
        }
        self.cursor_statement(client, statement, binder, format).await
    }

    /// Whether the statement rolls back to an existing savepoint, which ends the failed state of a transaction.
    pub(super) fn goes_back(&self, statement: &Statement) -> bool {
        matches!(statement, Statement::Rollback { savepoint: Some(name), .. } if self.open.has_savepoint(&folded(name)))
    }
}
