//! What happens when the code of a view changes, and what a view costs that is added after the fact.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use dovetail_api::jobs::{JobRequest, SwitchRequest};
use dovetail_api::runs::RecomputeRequest;
use dovetail_core::clock;
use dovetail_core::view::View;
use dovetail_report::figures::{Event, Side, Timeline};
use tokio::time::timeout;

use super::ask;
use super::bag::Bag;
use super::meanwhile::while_asking;
use super::server::MeasuredServer;
use super::workload::Workload;

/// The name of the job with the new code.
const JOB: &str = "changed";
/// Time of the same queries without a change, with which the change is compared.
const BEFORE: Duration = Duration::from_secs(1);
/// Time for the server to act on a command about jobs.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// A part of the clicks pipeline, with the column that is added to it.
const CLICKS_BEFORE: &str = "SELECT user_id, count(*) AS clicks, max(ts) AS last_seen,";
const CLICKS_AFTER: &str = "SELECT user_id, count(*) AS clicks, count(ms) AS timed, max(ts) AS last_seen,";
/// A view that the clicks pipeline does not have.
const CLICKS_ADDED: &str = "\nCREATE VIEW clicks_per_page_and_country AS\nSELECT page, country, count(*) AS clicks\n\
                            FROM clicks\nGROUP BY page, country;\n";

/// A pipeline with other code, and how its answer is known to be right.
#[derive(Debug, Clone)]
pub(super) struct NewCode {
    pub(super) text: String,
    /// The view that is new or has changed.
    pub(super) view: String,
    /// A number over it; `{view}` stands for its name.
    new: String,
    /// The same number over the old code.
    old: String,
    /// What was changed, for the report.
    pub(super) what: String,
}

impl NewCode {
    /// A view has another column; where the pipeline is not known well enough for that, there is a copy of its first
    /// view under another name.
    pub(super) fn changed(text: &str, first: &View) -> Self {
        if !text.contains(CLICKS_BEFORE) {
            return Self::copy(text, first, "changed");
        }
        Self {
            text: text.replacen(CLICKS_BEFORE, CLICKS_AFTER, 1),
            view: "clicks_per_user".to_owned(),
            new: "SELECT sum(clicks) FROM {view} WHERE timed >= 0".to_owned(),
            old: "SELECT sum(clicks) FROM clicks_per_user".to_owned(),
            what: "the view `clicks_per_user` gets another column, `count(ms) AS timed`".to_owned(),
        }
    }

    /// There is another view.
    pub(super) fn added(text: &str, first: &View) -> Self {
        if !text.contains(CLICKS_BEFORE) {
            return Self::copy(text, first, "added");
        }
        Self {
            text: format!("{text}{CLICKS_ADDED}"),
            view: "clicks_per_page_and_country".to_owned(),
            new: "SELECT sum(clicks) FROM {view}".to_owned(),
            old: "SELECT sum(clicks) FROM clicks_per_user".to_owned(),
            what: "a view by page and country is added".to_owned(),
        }
    }

    fn copy(text: &str, first: &View, suffix: &str) -> Self {
        let view = format!("{}_{suffix}", first.name);
        Self {
            text: format!("{}\nCREATE VIEW {view} AS\n{};\n", text.trim_end(), first.sql.trim().trim_end_matches(';')),
            new: "SELECT count(*) FROM {view}".to_owned(),
            old: format!("SELECT count(*) FROM {}", first.name),
            what: format!("a copy of the view `{}` is added", first.name),
            view,
        }
    }

    fn new_in(&self, schema: &str) -> String {
        self.new.replace("{view}", &format!("{schema}{}", self.view))
    }
}

/// Seconds from the beginning.
struct Stages {
    right: f64,
    switched: f64,
    /// Processor seconds until the switch.
    cpu: f64,
    timeline: Timeline,
}

/// Changes the code and goes back to the old one.
pub(super) async fn measure(
    server: &mut MeasuredServer,
    workload: &Workload,
    asked: &str,
    bag: &mut Bag,
) -> Result<u64> {
    let history = ask::settle(server.side, &server.client).await?;
    let (client, gauge, code) = (server.client.clone(), server.gauge(), &workload.changed);
    let (memory, disk) = (gauge.resident_bytes(), gauge.disk_bytes());
    let (before, began) = (server.cpu_seconds(), clock::now_monotonic());
    let pause = async {
        clock::sleep(BEFORE).await;
        Ok(())
    };
    while_asking(&client, &gauge, asked, pause).await?;
    let usual = (server.cpu_seconds() - before) / began.elapsed().as_secs_f64();
    let expected = ask::number(&client, &code.old).await?;
    let (mut stages, meanwhile) = {
        let work = forward(server, workload, code, expected);
        while_asking(&client, &gauge, asked, work).await?
    };
    if !ask::is_exact(&client).await? {
        bail!("the new answer differs from a fold of the whole log");
    }
    let back = back(server, workload, code, expected).await?;
    stages.timeline.push(Event::span(stages.switched, stages.switched + back, "back to the old code"));
    bag.add("change.right", stages.right);
    bag.add("change.switched", stages.switched);
    bag.add("change.back", back);
    // A tick of the processor's clock is 10 ms: less than that is not seen.
    bag.add("change.extra_cpu", (stages.cpu - usual * stages.switched).max(0.01));
    bag.add("change.extra_memory", meanwhile.memory.saturating_sub(memory) as f64);
    bag.add("change.extra_disk", meanwhile.disk.saturating_sub(disk) as f64);
    bag.add_run("change.answers", meanwhile.answers_ms);
    bag.add_timeline("change.timeline", stages.timeline);
    Ok(history)
}

/// Adds a view and goes back.
pub(super) async fn measure_question(server: &mut MeasuredServer, workload: &Workload, bag: &mut Bag) -> Result<u64> {
    let history = ask::settle(server.side, &server.client).await?;
    let code = &workload.added;
    let expected = ask::number(&server.client, &code.old).await?;
    let stages = forward(server, workload, code, expected).await?;
    if !ask::is_exact(&server.client).await? {
        bail!("the added view differs from a fold of the whole log");
    }
    bag.add("question.right", stages.right);
    back(server, workload, code, expected).await?;
    Ok(history)
}

async fn forward(server: &mut MeasuredServer, workload: &Workload, code: &NewCode, expected: f64) -> Result<Stages> {
    match server.side {
        Side::Lambda => forward_lambda(server, workload, code, expected).await,
        Side::Kappa => forward_kappa(server, code, expected).await,
    }
}

/// The process is stopped and started with the new file, and computes the views from the landing.
async fn forward_lambda(
    server: &mut MeasuredServer,
    workload: &Workload,
    code: &NewCode,
    expected: f64,
) -> Result<Stages> {
    let new = workload.pipeline.with_file_name("new.sql");
    std::fs::write(&new, &code.text).with_context(|| format!("cannot write `{}`", new.display()))?;
    let (began, cpu) = (clock::now_monotonic(), server.cpu_seconds());
    let now = || began.elapsed().as_secs_f64();
    server.stop().await?;
    let stopped = now();
    server.pipeline = new;
    server.start().await?;
    let started = now();
    recompute(server).await?;
    let computed = now();
    ask::until(&server.client, &code.new_in(""), expected, ask::REACH_TIMEOUT).await?;
    let (right, cpu) = (now(), server.cpu_seconds() - cpu);
    let timeline = vec![
        Event::span(0.0, stopped, "the process with the old file stops"),
        Event::span(stopped, started, "the process with the new file starts"),
        Event::span(started, computed, "full recompute"),
        Event::at(right, "the new answer is right, and is what readers get"),
    ];
    Ok(Stages { right, switched: right, cpu, timeline })
}

/// A second job reads the log again while the first goes on; then readers are switched.
async fn forward_kappa(server: &MeasuredServer, code: &NewCode, expected: f64) -> Result<Stages> {
    let client = &server.client;
    let (began, cpu) = (clock::now_monotonic(), server.cpu_seconds());
    let now = || began.elapsed().as_secs_f64();
    start_job(server, JOB, &code.text).await?;
    until_job_at_head(server, JOB).await?;
    let head = now();
    ask::until(client, &code.new_in(&format!("{JOB}.")), expected, ask::REACH_TIMEOUT).await?;
    let right = now();
    switch(server, Some(JOB)).await?;
    ask::until(client, &code.new_in(""), expected, ask::REACH_TIMEOUT).await?;
    let (switched, cpu) = (now(), server.cpu_seconds() - cpu);
    let timeline = vec![
        Event::span(0.0, head, "a second job reads the log again"),
        Event::at(right, "the new answer is right, beside the old one"),
        Event::span(right, switched, "readers are switched"),
    ];
    Ok(Stages { right, switched, cpu, timeline })
}

/// Goes back to the old code; returns the seconds until its answer is what readers get.
async fn back(server: &mut MeasuredServer, workload: &Workload, code: &NewCode, expected: f64) -> Result<f64> {
    let began = clock::now_monotonic();
    match server.side {
        Side::Lambda => {
            server.stop().await?;
            server.pipeline = workload.pipeline.clone();
            server.start().await?;
        }
        Side::Kappa => switch(server, None).await?,
    }
    ask::until(&server.client, &code.old, expected, ask::REACH_TIMEOUT).await?;
    let seconds = began.elapsed().as_secs_f64();
    if server.side == Side::Kappa {
        stop_job(server, JOB).await?;
    }
    Ok(seconds)
}

/// Gives readers the answers of `job`, or of the job before.
async fn switch(server: &MeasuredServer, job: Option<&str>) -> Result<()> {
    let request = SwitchRequest { job: job.map(str::to_owned), force: false };
    let switched = timeout(COMMAND_TIMEOUT, server.client.switch_job(&request)).await;
    switched.with_context(|| format!("the switch was not made within {COMMAND_TIMEOUT:?}"))??;
    Ok(())
}

/// A full recompute, until it is served.
pub(super) async fn recompute(server: &MeasuredServer) -> Result<()> {
    let request = RecomputeRequest { views: vec![], full: true };
    let run = timeout(ask::REACH_TIMEOUT, server.client.recompute(&request)).await;
    let run = run.with_context(|| format!("the recompute took more than {:?}", ask::REACH_TIMEOUT))??;
    match run.failed {
        Some(failed) => bail!("views could not be folded: {failed}"),
        None => Ok(()),
    }
}

/// Starts a job from the beginning of the log.
pub(super) async fn start_job(server: &MeasuredServer, name: &str, pipeline: &str) -> Result<()> {
    let request = JobRequest { name: name.to_owned(), pipeline: pipeline.to_owned(), from: None };
    let job = timeout(COMMAND_TIMEOUT, server.client.start_job(&request)).await;
    let job = job.with_context(|| format!("job `{name}` did not start within {COMMAND_TIMEOUT:?}"))??;
    match job.trouble {
        Some(trouble) => bail!("job `{name}`: {trouble}"),
        None => Ok(()),
    }
}

/// Waits until the job is at the head of the log.
pub(super) async fn until_job_at_head(server: &MeasuredServer, name: &str) -> Result<()> {
    let began = clock::now_monotonic();
    loop {
        let jobs = server.client.jobs().await?;
        let job = jobs.into_iter().find(|job| job.name == name);
        let job = job.with_context(|| format!("job `{name}` was removed"))?;
        if job.state == "head" {
            return Ok(());
        }
        if let Some(trouble) = job.trouble {
            bail!("job `{name}`: {trouble}");
        }
        if began.elapsed() > ask::REACH_TIMEOUT {
            bail!("job `{name}` was not at the head of the log after {:?}", ask::REACH_TIMEOUT);
        }
        clock::sleep(ask::LOOK_INTERVAL).await;
    }
}

/// Stops a job and removes it.
pub(super) async fn stop_job(server: &MeasuredServer, name: &str) -> Result<()> {
    let stopped = timeout(COMMAND_TIMEOUT, server.client.stop_job(name)).await;
    stopped.with_context(|| format!("job `{name}` did not stop within {COMMAND_TIMEOUT:?}"))??;
    Ok(())
}
