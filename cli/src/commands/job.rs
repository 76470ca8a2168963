//! `dovetail jobs` and `dovetail job ..`: stream jobs.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dovetail_api::Client;
use dovetail_api::jobs::{JobInfo, JobRequest, SwitchRequest, Switched};
use dovetail_core::clock;

use super::query;
use super::shown::{ProgressStep, while_showing};
use crate::args::{JobCommand, OutputFormat, Server};
use crate::output::counted;

const JOBS: &str = "SELECT name, role, state, done, \"end\", round(rate) AS per_second, eta_seconds, bytes, checkpoint, \
                    holder, trouble FROM sys.jobs ORDER BY created, name";
/// Interval of checks whether a job is at the head of the log.
const WAIT_INTERVAL: Duration = Duration::from_millis(250);

pub(super) async fn list(server: &Server, format: OutputFormat) -> Result<ExitCode> {
    query::run(JOBS, None, server, format).await
}

pub(super) async fn run(command: JobCommand) -> Result<ExitCode> {
    match command {
        JobCommand::Start { pipeline, name, from, wait, server } => {
            let client = Client::new(&server.server)?;
            let text = std::fs::read_to_string(&pipeline);
            let text = text.with_context(|| format!("`{}` cannot be read", pipeline.display()))?;
            let job = client.start_job(&JobRequest { name, pipeline: text, from: Some(from) }).await?;
            eprintln!("job `{}` folds; its answers are in `{}.VIEW`", job.name, job.name);
            match job.trouble {
                Some(trouble) => bail!("job `{}`: {trouble}", job.name),
                None if wait => until_head(&client, &job.name).await?,
                None => {}
            }
        }
        JobCommand::Switch { name, force, server } => {
            let client = Client::new(&server.server)?;
            say(&client.switch_job(&SwitchRequest { job: Some(name), force }).await?);
        }
        JobCommand::Back { server } => {
            let client = Client::new(&server.server)?;
            say(&client.switch_job(&SwitchRequest { job: None, force: false }).await?);
        }
        JobCommand::Stop { name, server } => {
            let stopped = Client::new(&server.server)?.stop_job(&name).await?;
            eprintln!("job `{}` is stopped, and removed with its checkpoints", stopped.job);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn say(Switched { job, previous }: &Switched) {
    let job = job.as_deref().unwrap_or_default();
    eprintln!("readers get job `{job}`");
    if let Some(previous) = previous {
        eprintln!(
            "job `{previous}` goes on: `dovetail job back` returns to it, `dovetail job stop {previous}` ends it"
        );
    }
}

/// Waits until the job is at the head of the log.
async fn until_head(client: &Client, name: &str) -> Result<()> {
    let find = async || -> Result<JobInfo> {
        let job = client.jobs().await?.into_iter().find(|job| job.name == name);
        job.with_context(|| format!("job `{name}` was removed"))
    };
    let waiting = async {
        loop {
            let job = find().await?;
            match (job.state.as_str(), job.trouble) {
                ("head", _) => return Ok(job.done.unwrap_or_default()),
                (_, Some(trouble)) => bail!("job `{name}`: {trouble}"),
                _ => clock::sleep(WAIT_INTERVAL).await,
            }
        }
    };
    let look = async || {
        let job = find().await.ok()?;
        Some(ProgressStep { what: job.state, done: job.done?, total: job.end? })
    };
    let done = while_showing("records", waiting, look).await?;
    eprintln!("job `{name}` is at the head of the log: {}", counted(done, "record"));
    Ok(())
}
