//! `dovetail status`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use crate::args::{OutputFormat, Server};
use crate::client::Client;
use crate::http::{LayerInfo, ProgressInfo};
use crate::output;

const VIEWS: &str = "SELECT name, state, generation, cut, head, batch_groups, exactness, error FROM sys.views";
const PARTITIONS: &str = "SELECT stream, partition, first, landed, cut, head, log_end, lag_records, lag_ms, state, error \
                          FROM sys.partitions ORDER BY stream, partition";

pub(super) async fn run(server: &Server, format: OutputFormat) -> Result<ExitCode> {
    let client = Client::new(&server.server)?;
    if format == OutputFormat::Json {
        let status: Value = client.get("/v1/status").await?;
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
    // Told where it can be: a serving process alone answers all the rest.
    if let Ok(ProgressInfo { leader: Some(leader), .. }) = client.get("/v1/recompute").await {
        eprintln!("the batch layer is led by {leader}");
    }
    let layers: Vec<LayerInfo> = client.get("/v1/layers").await?;
    for LayerInfo { layer, stream, partition, next, state, reason } in layers {
        if let Some(reason) = reason {
            eprintln!("{layer} layer, {stream} partition {partition}: {state} at {next}: {reason}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
