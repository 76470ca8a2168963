//! `COPY (query) TO STDOUT`: an answer as text, CSV or in binary, a row a message.

mod format;

use datafusion::sql::sqlparser::ast::{CopySource, Statement};
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use futures::{Sink, SinkExt, StreamExt};

use self::format::CopyFormat;
use super::connection::WireService;
use super::values::{Columns, Style};
use super::wire_error::{session_error, wire_error};

impl WireService {
    /// Sends the rows. An error among them ends the copy, as in PostgreSQL: the rows sent are incomplete.
    pub(super) async fn copy<C>(&self, client: &mut C, statement: &Statement) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Statement::Copy { source, options, legacy_options, .. } = statement else {
            return Err(session_error("XX000", "this is no `COPY`"));
        };
        let format = CopyFormat::of(options, legacy_options)?;
        let query = match source {
            CopySource::Query(query) => Statement::Query(query.clone()),
            CopySource::Table { table_name, columns } => {
                let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
                let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
                let sql = format!("SELECT {columns} FROM {table_name}");
                self.serving.dialect.parse_one(&sql).map_err(|error| wire_error(error, ""))?
            }
        };
        let style = Style::of(client.metadata());
        let mut answer = self.answer(client, &query, "", None).await?;
        let names: Vec<String> = answer.schema.fields().iter().map(|field| field.name().clone()).collect();
        let writer = format.writer(&names)?;
        let mut batch = answer.batches.next().await.transpose().map_err(|error| wire_error(error, ""))?;

        let width = i16::try_from(names.len());
        let width = width.map_err(|_| session_error("54011", "an answer has at most 32767 columns"))?;
        let code = writer.code();
        let formats = vec![i16::from(code); names.len()];
        client.feed(PgWireBackendMessage::CopyOutResponse(CopyOutResponse::new(code, width, formats))).await?;
        let mut beginning = writer.beginning();
        if writer.begins_alone() && !beginning.is_empty() {
            client.feed(PgWireBackendMessage::CopyData(CopyData::new(beginning.split().freeze()))).await?;
        }
        let mut rows = 0;
        while let Some(ready) = batch {
            let columns = Columns::of(&ready)?;
            for row in 0..columns.rows() {
                writer.row(columns.all(), row, style, &mut beginning)?;
                client.feed(PgWireBackendMessage::CopyData(CopyData::new(beginning.split().freeze()))).await?;
            }
            rows += columns.rows();
            batch = answer.batches.next().await.transpose().map_err(|error| wire_error(error, ""))?;
        }
        beginning.extend_from_slice(writer.end());
        if !beginning.is_empty() {
            client.feed(PgWireBackendMessage::CopyData(CopyData::new(beginning.freeze()))).await?;
        }
        client.feed(PgWireBackendMessage::CopyDone(CopyDone::new())).await?;
        Ok(Response::Execution(Tag::new("COPY").with_rows(rows)))
    }
}
