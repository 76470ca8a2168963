//! Cursors: `DECLARE`, `FETCH`, `MOVE` and `CLOSE`, as drivers use them to read large answers in parts.
//!
//! A cursor is an answer that has begun. It keeps its snapshot and its permit to run, and its time counts from
//! `DECLARE`: when that is over, all of it is released, whether or not rows are fetched. Rows are encoded when they are
//! fetched, in the requested format.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast::{CloseCursor, Declare, FetchDirection, Statement, Value, ValueWithSpan};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures::{Stream, StreamExt};
use tokio::sync::OwnedMutexGuard;

use super::cancelled::cancellable;
use super::connection::WireService;
use super::open::Holdability;
use super::respond::done;
use super::values::{Columns, Style, fields};
use super::wire_error::{session_error, wire_error};
use crate::sql::fetch::is_move;
use crate::sql::query::{Answer, Binder};

/// An answer, and the position in it.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) schema: SchemaRef,
    is_binary: bool,
    /// `None` once it has ended.
    answer: Option<Answer>,
    /// The batch computed last, and the index of its next row.
    ready: Option<(Columns, usize)>,
}

impl Cursor {
    /// Computes the first rows of the answer: until then the statement can be cancelled.
    async fn begun(answer: Answer, is_binary: bool) -> PgWireResult<Self> {
        let schema = Arc::clone(&answer.schema);
        let mut cursor = Self { schema, is_binary, answer: Some(answer), ready: None };
        cursor.next_row().await?;
        Ok(cursor)
    }

    /// The next row, as its batch and index; `None` at the end.
    async fn next_row(&mut self) -> PgWireResult<Option<(&Columns, &mut usize)>> {
        while self.ready.as_ref().is_none_or(|(columns, row)| *row >= columns.rows()) {
            self.ready = None;
            let Some(answer) = &mut self.answer else { return Ok(None) };
            match answer.batches.next().await {
                Some(Ok(batch)) => self.ready = Some((Columns::of(&batch)?, 0)),
                Some(Err(error)) => {
                    self.answer = None;
                    return Err(wire_error(error, ""));
                }
                None => self.answer = None,
            }
        }
        Ok(self.ready.as_mut().map(|(columns, row)| (&*columns, row)))
    }

    async fn take(&mut self, fields: &[FieldInfo], style: Style) -> PgWireResult<Option<DataRow>> {
        let Some((columns, row)) = self.next_row().await? else { return Ok(None) };
        let taken = columns.row(*row, fields, style)?;
        *row += 1;
        Ok(Some(taken))
    }

    /// Skips up to `most` rows; returns their number.
    async fn skip(&mut self, most: usize) -> PgWireResult<usize> {
        let mut skipped = 0;
        while skipped < most {
            let Some((columns, row)) = self.next_row().await? else { break };
            let now = (columns.rows() - *row).min(most - skipped);
            *row += now;
            skipped += now;
        }
        Ok(skipped)
    }
}

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
