//! `dovetail status`.

use std::process::ExitCode;

use anyhow::Result;
use dovetail_api::Client;
use dovetail_api::layers::LayerInfo;
use dovetail_api::runs::RunProgress;

use crate::args::{OutputFormat, Server};
use crate::output;

const VIEWS: &str = "SELECT name, state, generation, cut, head, batch_groups, exactness, error FROM sys.views";
const PARTITIONS: &str = "SELECT stream, partition, first, landed, cut, head, log_end, lag_records, lag_ms, state, error \
                          FROM sys.partitions ORDER BY stream, partition";

pub(super) async fn run(server: &Server, format: OutputFormat) -> Result<ExitCode> {
    let client = Client::new(&server.server)?;
    if format == OutputFormat::Json {
        let status = client.status().await?;
        #[expect(clippy::print_stdout, reason = "the command's result")]
        {
            println!("{}", serde_json::to_string_pretty(&status)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    for sql in [VIEWS, PARTITIONS] {
        let (schema, batches) = client.query(sql).await?;
        output::print(&schema, &batches, format)?;
    }
    // Shown if it can be read: a serving process alone has all the rest.
    if let Ok(RunProgress { leader: Some(leader), .. }) = client.run_progress().await {
        eprintln!("the batch layer is led by {leader}");
    }
    for LayerInfo { layer, stream, partition, next, state, reason } in client.layers().await? {
        if let Some(reason) = reason {
            eprintln!("{layer} layer, {stream} partition {partition}: {state} at {next}: {reason}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
