//! `dovetail recompute`.

use std::process::ExitCode;

use anyhow::Result;
use dovetail_api::Client;
use dovetail_api::runs::{RecomputeRequest, Recomputed, RunProgress};

use super::query::whole_number;
use super::shown::{ProgressStep, while_showing};
use crate::args::Recompute;
use crate::output::counted;

/// Number of records above the cut, in streams with views.
const ABOVE_THE_CUT: &str = "SELECT sum(log_end - coalesce(cut, first)) FROM sys.partitions WHERE head IS NOT NULL";

pub(super) async fn run(args: &Recompute) -> Result<ExitCode> {
    let client = Client::new(&args.server.server)?;
    if args.cancel {
        let was = client.cancel_run().await?.cancelled;
        eprintln!("{}", if was { "cancelled; what is published stays" } else { "no run is in progress" });
        return Ok(ExitCode::SUCCESS);
    }
    let request = RecomputeRequest { views: args.views.clone(), full: args.full };
    let before = client.run_progress().await?;
    let look = async || {
        let progress = client.run_progress().await.ok()?;
        let RunProgress { run_id, phase, segments_done, segments, rows_done, rows, .. } = progress;
        let what = format!("{phase} {segments_done}/{segments} segments");
        (run_id != before.run_id).then_some(ProgressStep { what, done: rows_done, total: rows })
    };
    let outcome = while_showing("rows", run_or_cancel(&client, &request), look).await?;
    match outcome.generation {
        Some(generation) => eprintln!(
            "published generation {generation}: {} rows of {} segments in {} ms (counted once for each view that reads them)",
            outcome.rows.unwrap_or_default(),
            outcome.segments.unwrap_or_default(),
            outcome.took_ms.unwrap_or_default()
        ),
        None => eprintln!("nothing new is landed since the current generation"),
    }
    if let Some(failed) = &outcome.failed {
        eprintln!("views that could not be folded stay as they were published: {failed}");
    }
    // The run is published even if this number cannot be read.
    if let Ok(records @ 1..) = whole_number(&client, ABOVE_THE_CUT).await {
        let stay = if records == 1 { "stays" } else { "stay" };
        eprintln!("{} above its cut {stay} with the speed layer until a later run", counted(records, "record"));
    }
    Ok(if outcome.failed.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Requests a run and waits for it; Ctrl-C cancels it.
async fn run_or_cancel(client: &Client, request: &RecomputeRequest) -> Result<Recomputed> {
    let run = client.recompute(request);
    tokio::pin!(run);
    loop {
        tokio::select! {
            outcome = &mut run => return Ok(outcome?),
            stop = tokio::signal::ctrl_c() => {
                stop?;
                client.cancel_run().await?;
            }
        }
    }
}
