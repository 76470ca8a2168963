//! `dovetail query`, and the commands that are a query.

use std::io::Read;
use std::process::ExitCode;

use anyhow::Result;

use crate::args::{OutputFormat, Server};
use crate::client::Client;
use crate::output;

pub(super) async fn run(sql: &str, server: &Server, format: OutputFormat) -> Result<ExitCode> {
    let mut text = sql.to_owned();
    if sql == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text)?;
    }
    let (schema, batches) = Client::new(&server.server)?.query(&text).await?;
    output::print(&schema, &batches, format)?;
    Ok(ExitCode::SUCCESS)
}
