//! `dovetail recompute`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::args::Recompute;
use crate::client::Client;
use crate::http::ProgressInfo;

const STYLE: &str = "{msg} {bar:30} {pos}/{len} rows, {per_sec}, ETA {eta}";
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(args: &Recompute) -> Result<ExitCode> {
    let client = Client::new(&args.server.server)?;
    if args.cancel {
        let cancelled: Value = client.delete("/v1/recompute").await?;
        let was = cancelled.get("cancelled").and_then(Value::as_bool).unwrap_or(false);
        eprintln!("{}", if was { "cancelled; what is published stays" } else { "no run is in progress" });
        return Ok(ExitCode::SUCCESS);
    }
    let body = json!({"views": args.views, "full": args.full});
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(STYLE)?);
    let before: ProgressInfo = client.get("/v1/recompute").await?;
    let run = client.post::<Value>("/v1/recompute", &body);
    tokio::pin!(run);
    let outcome = loop {
        tokio::select! {
            outcome = &mut run => break outcome,
            () = tokio::time::sleep(LOOK) => {}
            stop = tokio::signal::ctrl_c() => {
                stop?;
                let _: Value = client.delete("/v1/recompute").await?;
            }
        }
        let progress: ProgressInfo = client.get("/v1/recompute").await?;
        if progress.run_id != before.run_id {
            bar.set_length(progress.rows);
            bar.set_position(progress.rows_done.max(bar.position()));
            bar.set_message(format!("{} {}/{} segments", progress.phase, progress.segments_done, progress.segments));
        }
    };
    bar.finish_and_clear();
    let outcome = outcome?;
    match outcome.get("generation").and_then(Value::as_u64) {
        Some(generation) => eprintln!(
            "published generation {generation}: {} rows of {} segments in {} ms",
            outcome["rows"], outcome["segments"], outcome["took_ms"]
        ),
        None => eprintln!("nothing new is landed since the current generation"),
    }
    Ok(ExitCode::SUCCESS)
}
