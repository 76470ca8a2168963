//! Rows as JSON, NDJSON, CSV or Arrow, batch by batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, LineDelimited, WriterBuilder};
use dovetail_core::sql::in_calendar;
use serde_json::json;

use super::failed::Failed;
use crate::error::{QueryError, Reason};
use crate::sql::query::Answer;

/// The format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerFormat {
    /// `{"as_of": [..], "columns": [{"name", "type"}], "rows": [{..}]}`, followed by `"error": {..}` if one occurs.
    Json,
    Ndjson,
    Csv,
    Arrow,
}

impl AnswerFormat {
    /// The first known type of those accepted; JSON when any will do.
    pub(super) fn accepted(accept: Option<&str>) -> Result<Self, QueryError> {
        let Some(accept) = accept else { return Ok(Self::Json) };
        for wanted in accept.split(',').filter_map(|range| range.split(';').next()) {
            match wanted.trim() {
                "application/json" | "application/*" | "*/*" | "" => return Ok(Self::Json),
                "application/x-ndjson" | "application/jsonl" => return Ok(Self::Ndjson),
                "text/csv" | "text/*" => return Ok(Self::Csv),
                "application/vnd.apache.arrow.stream" => return Ok(Self::Arrow),
                _ => {}
            }
        }
        Err(QueryError::new(Reason::Unsupported, format!("`{accept}` cannot be written")).with_hint(
            "accept application/json, application/x-ndjson, text/csv or application/vnd.apache.arrow.stream",
        ))
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// Writes one answer; its output is sent as it comes.
pub(super) struct AnswerWriter {
    schema: SchemaRef,
    kind: WriterState,
}

enum WriterState {
    Json { head: Option<String>, rows: bool },
    Ndjson,
    Csv { header: bool },
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl AnswerWriter {
    pub(super) fn new(format: AnswerFormat, answer: &Answer) -> Result<Self, QueryError> {
        let schema = distinct_names(&answer.schema);
        let kind = match format {
            AnswerFormat::Json => WriterState::Json { head: Some(head(&schema, answer)), rows: false },
            AnswerFormat::Ndjson => WriterState::Ndjson,
            AnswerFormat::Csv => WriterState::Csv { header: false },
            AnswerFormat::Arrow => {
                WriterState::Arrow(Box::new(StreamWriter::try_new(vec![], &schema).map_err(unwritable)?))
            }
        };
        Ok(Self { schema, kind })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), batch.columns().to_vec(), &options);
        let batch = batch.map_err(unwritable)?;
        if batch.num_rows() == 0 {
            return Ok(vec![]);
        }
        if matches!(self.kind, WriterState::Json { .. } | WriterState::Ndjson) {
            // JSON would contain the error as a cell.
            batch.columns().iter().try_for_each(in_calendar).map_err(|error| unwritable(error.into()))?;
        }
        match &mut self.kind {
            WriterState::Json { head, rows } => {
                let mut out = head.take().unwrap_or_default().into_bytes();
                let array = json_array(&batch)?;
                // `[{..},{..}]` without its brackets.
                let inside = array.get(1..array.len().saturating_sub(1)).unwrap_or_default();
                if std::mem::replace(rows, true) {
                    out.push(b',');
                }
                out.extend_from_slice(inside);
                Ok(out)
            }
            WriterState::Ndjson => {
                let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(vec![]);
                writer.write(&batch).map_err(unwritable)?;
                writer.finish().map_err(unwritable)?;
                Ok(writer.into_inner())
            }
            WriterState::Csv { header } => {
                let first = !std::mem::replace(header, true);
                csv(&batch, first)
            }
            WriterState::Arrow(writer) => {
                writer.write(&batch).map_err(unwritable)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    /// The end of an answer that fails after its first rows, if the format can express it.
    pub(super) fn fail(self, error: &QueryError) -> Option<Vec<u8>> {
        let error = Failed::from(error).json();
        match self.kind {
            WriterState::Json { .. } => Some(format!("],\"error\":{error}}}\n").into_bytes()),
            WriterState::Ndjson => Some(format!("{}\n", json!({ "error": error })).into_bytes()),
            WriterState::Csv { .. } | WriterState::Arrow(_) => None,
        }
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, QueryError> {
        match &mut self.kind {
            WriterState::Json { head, .. } => Ok([head.take().unwrap_or_default().as_bytes(), b"]}\n"].concat()),
            WriterState::Ndjson | WriterState::Csv { header: true } => Ok(vec![]),
            WriterState::Csv { header: false } => csv(&RecordBatch::new_empty(self.schema), true),
            WriterState::Arrow(writer) => {
                writer.finish().map_err(unwritable)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

fn head(schema: &Schema, answer: &Answer) -> String {
    let columns: Vec<_> =
        schema.fields().iter().map(|f| json!({ "name": f.name(), "type": f.data_type().to_string() })).collect();
    let as_of = serde_json::to_value(&answer.as_of).unwrap_or_default();
    format!("{{\"as_of\":{as_of},\"columns\":{},\"rows\":[", serde_json::Value::from(columns))
}

fn json_array(batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(vec![]);
    writer.write(batch).map_err(unwritable)?;
    writer.finish().map_err(unwritable)?;
    Ok(writer.into_inner())
}

fn csv(batch: &RecordBatch, header: bool) -> Result<Vec<u8>, QueryError> {
    let batch = nested_as_json(batch).map_err(unwritable)?;
    let mut out = vec![];
    let mut writer = arrow::csv::WriterBuilder::new().with_header(header).build(&mut out);
    writer.write(&batch).map_err(unwritable)?;
    drop(writer);
    Ok(out)
}

/// Replaces lists, structs and maps by their JSON, since a cell of CSV is one text.
///
/// # Errors
/// When a value has no JSON.
pub fn nested_as_json(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if batch.columns().iter().all(|column| !column.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let (mut fields, mut columns) = (vec![], vec![]);
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column = match field.data_type().is_nested() {
            true => json_texts(column)?,
            false => Arc::clone(column),
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn json_texts(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    const BEFORE: &str = "{\"c\":";
    let schema = Arc::new(Schema::new(vec![Field::new("c", column.data_type().clone(), true)]));
    let alone = RecordBatch::try_new(schema, vec![Arc::clone(column)])?;
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(vec![]);
    writer.write(&alone)?;
    writer.finish()?;
    let lines = String::from_utf8(writer.into_inner()).unwrap_or_default();
    let values = lines.lines().map(|line| line.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix('}')));
    let texts: StringArray = values.enumerate().map(|(row, value)| value.filter(|_| column.is_valid(row))).collect();
    Ok(Arc::new(texts))
}

/// The schema with distinct names, which JSON objects need: the second `x` becomes `x_2`.
fn distinct_names(schema: &SchemaRef) -> SchemaRef {
    let mut seen = std::collections::HashMap::<String, usize>::new();
    let fields = schema.fields().iter().map(|field| {
        let n = seen.entry(field.name().clone()).or_default();
        *n += 1;
        match *n {
            1 => field.as_ref().clone(),
            n => Field::clone(field).with_name(format!("{}_{n}", field.name())),
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn unwritable(error: ArrowError) -> QueryError {
    QueryError::new(Reason::Unsupported, format!("the answer cannot be written: {error}"))
        .with_hint("cast the column to a type that this format has, for example VARCHAR")
}
