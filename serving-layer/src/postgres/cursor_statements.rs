//! Statements about cursors: `DECLARE`, `FETCH`, `MOVE` and `CLOSE`.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{CloseCursor, Declare, FetchDirection, Statement, Value, ValueWithSpan};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures::Stream;
use tokio::sync::OwnedMutexGuard;

use super::cancelled::cancellable;
use super::connection::WireService;
use super::cursor::Cursor;
use super::open::Holdability;
use super::respond::done;
use super::values::{Style, fields};
use super::wire_error::session_error;
use crate::sql::fetch::is_move;
use crate::sql::query::Binder;

impl WireService {
    /// Runs a statement about cursors; `None` for any other. `format` is the requested format of rows, `None` where the
    /// cursor decides.
    pub(super) async fn cursor_statement(
        &self,
        client: &mut dyn HookClient,
        statement: &Statement,
        binder: Option<Binder<'_>>,
        format: Option<&Format>,
    ) -> Option<PgWireResult<Response>> {
        Some(match statement {
            Statement::Declare { stmts } => self.declare(client, stmts, binder).await,
            Statement::Fetch { name, direction, into, .. } if is_move(into.as_ref()) => {
                self.pass(&name.value, direction).await
            }
            Statement::Fetch { name, direction, into: None, .. } => {
                let style = Style::of(client.metadata());
                let rows = self.fetch(&name.value, direction, format, style);
                rows.map(|rows| {
                    let mut rows = cancellable(client, rows);
                    rows.set_command_tag("FETCH");
                    Response::Query(rows)
                })
            }
            Statement::Fetch { .. } => Err(session_error("0A000", "`FETCH .. INTO` is not supported")),
            Statement::Close { cursor: CloseCursor::All } => {
                self.open.close_all();
                Ok(done("CLOSE CURSOR ALL"))
            }
            Statement::Close { cursor: CloseCursor::Specific { name } } => {
                self.open.close(&name.value).map(|()| done("CLOSE CURSOR"))
            }
            _ => return None,
        })
    }

    async fn declare(
        &self,
        client: &mut dyn HookClient,
        cursors: &[Declare],
        binder: Option<Binder<'_>>,
    ) -> PgWireResult<Response> {
        for cursor in cursors {
            let (Some(name), Some(query)) = (cursor.names.first(), &cursor.for_query) else {
                return Err(session_error("42601", "write `DECLARE name CURSOR FOR SELECT ..`"));
            };
            self.open.check_new(&name.value)?;
            let answer = self.answer(client, &Statement::Query(query.clone()), "", binder).await?;
            let begun = Cursor::begun(answer, cursor.binary == Some(true)).await?;
            let hold = if cursor.hold == Some(true) { Holdability::With } else { Holdability::Without };
            self.open.put(name.value.clone(), begun, hold);
        }
        Ok(done("DECLARE CURSOR"))
    }

    fn fetch(
        &self,
        name: &str,
        direction: &FetchDirection,
        format: Option<&Format>,
        style: Style,
    ) -> PgWireResult<QueryResponse> {
        let cursor = self.taken(name)?;
        let own = if cursor.is_binary { Format::UnifiedBinary } else { Format::UnifiedText };
        let fields = Arc::new(fields(&cursor.schema, format.unwrap_or(&own))?);
        let rows = taken(cursor, Arc::clone(&fields), style, most(direction)?);
        Ok(QueryResponse::new(fields, rows))
    }

    async fn pass(&self, name: &str, direction: &FetchDirection) -> PgWireResult<Response> {
        let passed = self.taken(name)?.skip(most(direction)?).await?;
        Ok(Response::Execution(Tag::new("MOVE").with_rows(passed)))
    }

    fn taken(&self, name: &str) -> PgWireResult<OwnedMutexGuard<Cursor>> {
        let cursor = self.open.cursor(name)?.try_lock_owned();
        cursor.map_err(|_| session_error("55006", format!("cursor \"{name}\" is being read by another statement")))
    }
}

/// The next rows of a cursor, at most `most`, each encoded when it is sent: they are not collected.
fn taken(
    cursor: OwnedMutexGuard<Cursor>,
    fields: Arc<Vec<FieldInfo>>,
    style: Style,
    most: usize,
) -> impl Stream<Item = PgWireResult<DataRow>> + Send + 'static {
    futures::stream::unfold(Some((cursor, most)), move |left| {
        let fields = Arc::clone(&fields);
        async move {
            let (mut cursor, most) = left.filter(|(_, most)| *most > 0)?;
            match cursor.take(&fields, style).await {
                Ok(row) => row.map(|row| (Ok(row), Some((cursor, most - 1)))),
                Err(error) => Some((Err(error), None)),
            }
        }
    })
}

/// The number of rows of a direction.
fn most(direction: &FetchDirection) -> PgWireResult<usize> {
    match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Ok(1),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => number(limit),
        FetchDirection::All | FetchDirection::ForwardAll => Ok(usize::MAX),
        _ => Err(session_error("55000", "cursor can only scan forward")),
    }
}

fn number(limit: &ValueWithSpan) -> PgWireResult<usize> {
    match &limit.value {
        Value::Number(number, _) => number.parse().ok().filter(|n| *n > 0),
        _ => None,
    }
    .ok_or_else(|| session_error("22023", format!("`FETCH {limit}`: write how many rows, at least 1")))
}
