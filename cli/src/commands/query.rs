//! `dovetail query`, and the commands that are a query.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use dovetail_api::Client;

use crate::args::{OutputFormat, Server};
use crate::output;

pub(super) async fn run(sql: &str, generation: Option<u64>, server: &Server, format: OutputFormat) -> Result<ExitCode> {
    let mut text = sql.to_owned();
    if sql == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text)?;
    }
    let answered = Client::new(&server.server)?.query_as_of(&text, generation).await?;
    output::print(&answered.schema, &answered.batches, format)?;
    if let Some(errors) = answered.errors {
        eprintln!("records that fail are left out: {errors}; sys.view_errors lists them");
    }
    Ok(ExitCode::SUCCESS)
}

/// The number that `sql` returns; 0 when it is null or negative.
pub(super) async fn whole_number(client: &Client, sql: &str) -> Result<u64> {
    let (_, batches) = client.query(sql).await?;
    let column = batches.iter().find_map(|batch| (batch.num_rows() > 0).then(|| batch.columns().first()).flatten());
    let numbers = cast(column.context("there is no answer")?, &DataType::Int64)?;
    Ok(numbers
        .as_primitive::<Int64Type>()
        .iter()
        .next()
        .flatten()
        .map_or(0, |number| u64::try_from(number).unwrap_or(0)))
}
