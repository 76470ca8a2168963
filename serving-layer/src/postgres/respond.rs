//! Answers and errors in the form of the wire protocol.

use super::wire_error::wire_error;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures::{Stream, StreamExt};

use super::values::{Columns, Style, fields};
use crate::error::QueryError;
use crate::snapshot::AsOf;
use crate::sql::query::Answer;

/// Notifies the client of missing partitions and of left-out records, before the rows.
pub(super) async fn tell_missing(client: &mut dyn HookClient, as_of: &[AsOf]) -> PgWireResult<()> {
    for view in as_of.iter().filter(|view| !view.missing.is_empty()) {
        let message = format!(
            "partial answer: view `{}` has nothing above the cut of partitions {:?}, which no speed layer holds",
            view.view, view.missing
        );
        notice(client, "WARNING", message).await?;
    }
    for view in as_of.iter().filter(|view| !view.errors.is_zero()) {
        let (name, errors) = (&view.view, view.errors.count);
        let message = format!("view `{name}` leaves out {errors} records that fail, see sys.view_errors");
        notice(client, "NOTICE", message).await?;
    }
    Ok(())
}

async fn notice(client: &mut dyn HookClient, severity: &str, message: String) -> PgWireResult<()> {
    let code = if severity == "NOTICE" { "00000" } else { "01000" };
    let mut info = ErrorInfo::new(severity.to_owned(), code.to_owned(), message);
    info.severity_nonlocalized = Some(severity.to_owned());
    client.send_message(PgWireBackendMessage::NoticeResponse(info.into())).await?;
    Ok(())
}

/// The response to a statement without rows.
pub(super) fn done(tag: &str) -> Response {
    Response::Execution(Tag::new(tag))
}

/// The answer's rows. The first are computed when this returns: until then the statement can be cancelled.
pub(super) async fn rows(mut answer: Answer, format: &Format, style: Style) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(fields(&answer.schema, format)?);
    let first = match answer.batches.next().await {
        Some(Err(error)) => return Err(wire_error(error, "")),
        first => first,
    };
    let batches = futures::stream::iter(first).chain(answer.batches);
    Ok(QueryResponse::new(Arc::clone(&fields), encoded(fields, style, batches)))
}

fn encoded(
    fields: Arc<Vec<FieldInfo>>,
    style: Style,
    batches: impl Stream<Item = Result<RecordBatch, QueryError>> + Send + 'static,
) -> impl Stream<Item = PgWireResult<DataRow>> + Send + 'static {
    batches.flat_map(move |batch| {
        let fields = Arc::clone(&fields);
        let columns = batch.map_err(|error| wire_error(error, "")).and_then(|batch| Columns::of(&batch));
        let rows: Box<dyn Iterator<Item = PgWireResult<DataRow>> + Send + Sync> = match columns {
            Ok(columns) => Box::new((0..columns.rows()).map(move |row| columns.row(row, &fields, style))),
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        futures::stream::iter(rows)
    })
}
