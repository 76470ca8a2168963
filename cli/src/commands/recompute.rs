//! `dovetail recompute`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::query::whole_number;
use super::shown::{Step, while_showing};
use crate::args::Recompute;
use crate::client::Client;
use crate::http::ProgressInfo;
use crate::output::counted;

/// What no generation holds, of streams that have views.
const ABOVE_THE_CUT: &str = "SELECT sum(log_end - coalesce(cut, first)) FROM sys.partitions WHERE head IS NOT NULL";

pub(super) async fn run(args: &Recompute) -> Result<ExitCode> {
    let client = Client::new(&args.server.server)?;
    if args.cancel {
        let cancelled: Value = client.delete("/v1/recompute").await?;
        let was = cancelled.get("cancelled").and_then(Value::as_bool).unwrap_or(false);
        eprintln!("{}", if was { "cancelled; what is published stays" } else { "no run is in progress" });
        return Ok(ExitCode::SUCCESS);
    }
    let body = json!({"views": args.views, "full": args.full});
    let before: ProgressInfo = client.get("/v1/recompute").await?;
    let look = async || {
        let progress: ProgressInfo = client.get("/v1/recompute").await.ok()?;
        let ProgressInfo { run_id, phase, segments_done, segments, rows_done, rows, .. } = progress;
        let what = format!("{phase} {segments_done}/{segments} segments");
        (run_id != before.run_id).then_some(Step { what, done: rows_done, total: rows })
    };
    let outcome: Value = while_showing("rows", run_or_cancel(&client, &body), look).await?;
    match outcome.get("generation").and_then(Value::as_u64) {
        Some(generation) => eprintln!(
            "published generation {generation}: {} rows of {} segments in {} ms (counted once for each view that reads them)",
            outcome["rows"], outcome["segments"], outcome["took_ms"]
        ),
        None => eprintln!("nothing new is landed since the current generation"),
    }
    let failed = outcome.get("failed").and_then(Value::as_str);
    if let Some(failed) = failed {
        eprintln!("views that could not be folded stay as they were published: {failed}");
    }
    // What it published does not depend on what can be told about it.
    if let Ok(records @ 1..) = whole_number(&client, ABOVE_THE_CUT).await {
        let stay = if records == 1 { "stays" } else { "stay" };
        eprintln!("{} above its cut {stay} with the speed layer until a later run", counted(records, "record"));
    }
    Ok(if failed.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Asks for a run and waits for it; Ctrl-C cancels it.
async fn run_or_cancel(client: &Client, body: &Value) -> Result<Value> {
    let run = client.post::<Value>("/v1/recompute", body);
    tokio::pin!(run);
    loop {
        tokio::select! {
            outcome = &mut run => return outcome,
            stop = tokio::signal::ctrl_c() => {
                stop?;
                let _: Value = client.delete("/v1/recompute").await?;
            }
        }
    }
}
