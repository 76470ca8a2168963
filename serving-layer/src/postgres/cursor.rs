//! Cursors: `DECLARE`, `FETCH` and `CLOSE`, as drivers use them to read large answers in parts.
//!
//! A cursor is a portal whose answer has begun. It keeps its snapshot and its turn, and its time runs from `DECLARE`:
//! when it is over, all of that is given back, whether anybody fetches or not.

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{CloseCursor, Declare, FetchDirection, Statement, Value, ValueWithSpan};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::results::{QueryResponse, Response};
use datafusion_postgres::pgwire::api::stmt::StoredStatement;
use datafusion_postgres::pgwire::api::store::{Entry, MemPortalStore, PortalStore};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{Stream, StreamExt};
use tokio::sync::OwnedMutexGuard;

use super::cancelled::cancellable;
use super::connection::Service;
use super::extended::Prepared;
use super::respond::{done, rows, session_error, tell_missing, wire_error};

impl Service {
    /// Runs a statement about cursors; `None` when it is about something else.
    pub(super) async fn cursor_statement(
        &self,
        client: &mut dyn HookClient,
        statement: &Statement,
    ) -> Option<PgWireResult<Response>> {
        Some(match statement {
            Statement::Declare { stmts } => self.declare(client, stmts).await,
            Statement::Fetch { name, direction, .. } => fetch(client, &name.value, direction),
            Statement::Close { cursor: CloseCursor::All } => {
                client.portal_store().clear_portals();
                Ok(done("CLOSE CURSOR ALL"))
            }
            Statement::Close { cursor: CloseCursor::Specific { name } } => {
                client.portal_store().rm_portal(&name.value);
                Ok(done("CLOSE CURSOR"))
            }
            _ => return None,
        })
    }

    async fn declare(&self, client: &mut dyn HookClient, cursors: &[Declare]) -> PgWireResult<Response> {
        for cursor in cursors {
            let (Some(name), Some(query)) = (cursor.names.first(), &cursor.for_query) else {
                return Err(session_error("42601", "write `DECLARE name CURSOR FOR SELECT ..`"));
            };
            let (name, statement) = (name.value.clone(), Statement::Query(query.clone()));
            let settings = self.settings(client.metadata());
            let options = FormatOptions::from_client_metadata(client.metadata());
            let plan = self.parser.plan(&statement, &settings).await.map_err(|error| wire_error(error, ""))?;
            let answer = Box::pin(self.serving.start(&statement, &settings, None, "postgres")).await;
            let answer = answer.map_err(|error| wire_error(error, ""))?;
            tell_missing(client, &answer.as_of).await?;
            let mut response = rows(answer, &Format::UnifiedText, options).await?;
            response.set_command_tag("FETCH");
            let prepared = (statement.to_string(), Some((statement, plan)));
            let stored = Arc::new(StoredStatement::new(name.clone(), prepared, vec![]));
            let portal = Portal::new_cursor(name, stored);
            portal.start(response).await;
            client.portal_store().put_portal(Arc::new(portal));
        }
        Ok(done("DECLARE CURSOR"))
    }
}

fn fetch(client: &dyn HookClient, name: &str, direction: &FetchDirection) -> PgWireResult<Response> {
    let most = match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => 1,
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => number(limit)?,
        FetchDirection::All | FetchDirection::ForwardAll => usize::MAX,
        _ => return Err(session_error("55000", "cursor can only scan forward")),
    };
    let Some(Entry::Value(portal)) = client.portal_store().get_portal(name) else { return Err(missing(name)) };
    let Ok(mut state) = portal.state().try_lock_owned() else {
        return Err(session_error("55006", format!("cursor \"{name}\" is being read by another statement")));
    };
    let fields = match &mut *state {
        PortalExecutionState::Suspended(rows) => rows.row_schema(),
        _ => Arc::default(),
    };
    let mut response = cancellable(client, QueryResponse::new(fields, taken(state, most)));
    response.set_command_tag("FETCH");
    Ok(Response::Query(response))
}

/// The next rows of a cursor, at most so many, each read when it is sent: they are not gathered.
fn taken(
    state: OwnedMutexGuard<PortalExecutionState>,
    most: usize,
) -> impl Stream<Item = PgWireResult<DataRow>> + Send + 'static {
    futures::stream::unfold(Some((state, most)), |left| async move {
        let (mut state, most) = left?;
        let PortalExecutionState::Suspended(rows) = &mut *state else { return None };
        match rows.data_rows().next().await {
            Some(row) => Some((row, (most > 1).then_some((state, most - 1)))),
            None => {
                *state = PortalExecutionState::Finished;
                None
            }
        }
    })
}

fn number(limit: &ValueWithSpan) -> PgWireResult<usize> {
    match &limit.value {
        Value::Number(number, _) => number.parse().ok().filter(|n| *n > 0),
        _ => None,
    }
    .ok_or_else(|| session_error("22023", format!("`FETCH {limit}`: write how many rows, at least 1")))
}

fn missing(name: &str) -> datafusion_postgres::pgwire::error::PgWireError {
    session_error("34000", format!("cursor \"{name}\" does not exist"))
}

/// What the rows of a `FETCH` look like: those of its cursor.
pub(super) fn fetched(statement: &Statement, store: &dyn std::any::Any) -> Option<PgWireResult<LogicalPlan>> {
    let Statement::Fetch { name, .. } = statement else { return None };
    let store = store.downcast_ref::<MemPortalStore<Prepared>>()?;
    Some(match store.get_portal(&name.value) {
        Some(Entry::Value(portal)) => match &portal.statement.statement.1 {
            Some((_, plan)) => Ok(plan.clone()),
            None => return None,
        },
        _ => Err(missing(&name.value)),
    })
}
