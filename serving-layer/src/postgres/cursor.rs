//! A cursor: an answer that has begun, and the position in it.
//!
//! It keeps its snapshot and its permit to run, and its time counts from `DECLARE`: when that is over, all of it is
//! released, whether or not rows are fetched. Rows are encoded when they are fetched, in the requested format.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures::StreamExt;

use super::values::{Columns, Style};
use super::wire_error::wire_error;
use crate::sql::query::Answer;

/// An answer, and the position in it.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) schema: SchemaRef,
    pub(super) is_binary: bool,
    /// `None` once it has ended.
    answer: Option<Answer>,
    /// The batch computed last, and the index of its next row.
    ready: Option<(Columns, usize)>,
}

impl Cursor {
    /// Computes the first rows of the answer: until then the statement can be cancelled.
    pub(super) async fn begun(answer: Answer, is_binary: bool) -> PgWireResult<Self> {
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

    pub(super) async fn take(&mut self, fields: &[FieldInfo], style: Style) -> PgWireResult<Option<DataRow>> {
        let Some((columns, row)) = self.next_row().await? else { return Ok(None) };
        let taken = columns.row(*row, fields, style)?;
        *row += 1;
        Ok(Some(taken))
    }

    /// Skips up to `most` rows; returns their number.
    pub(super) async fn skip(&mut self, most: usize) -> PgWireResult<usize> {
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
