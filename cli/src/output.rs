//! Printing results: a table for people, CSV and JSON for programs.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::datatypes::SchemaRef;
use arrow::json::ArrayWriter;
use arrow::util::pretty::pretty_format_batches_with_schema;
use dovetail_serving_layer::nested_as_json;

use crate::args::OutputFormat;

/// `1 row`, `2 rows`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Writes rows to standard output.
pub(crate) fn print(schema: &SchemaRef, batches: &[RecordBatch], format: OutputFormat) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        OutputFormat::Table => {
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            let table = pretty_format_batches_with_schema(Arc::clone(schema), batches)?;
            writeln!(out, "{table}\n({})", counted(rows as u64, "row"))?;
        }
        OutputFormat::Csv => {
            let mut writer = WriterBuilder::new().with_header(true).build(&mut out);
            writer.write(&nested_as_json(&RecordBatch::new_empty(Arc::clone(schema)))?)?;
            for batch in batches {
                writer.write(&nested_as_json(batch)?)?;
            }
        }
        OutputFormat::Json => {
            let mut writer = ArrayWriter::new(&mut out);
            writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
            drop(writer);
            writeln!(out)?;
        }
    }
    Ok(())
}
