//! `dovetail demo`: everything in one process on a generated feed, and a view of the two layers while they work.
//!
//! ```text
//! feed ─► append ─► engine (up to here as in `dovetail up`) ─► SQL ─► look ─► panel ─► screen
//!                                                              └────► freshness
//! ```
//! The panel reads its content in SQL, as any client would.

mod feed;
mod footer;
mod fresh;
mod look;
mod panel;
mod place;
mod screen;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dovetail_core::clock;
use dovetail_core::name::StreamName;
use dovetail_ingestion::append::Appender;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::up::wait_for_stop;
use super::verify::{code, lines};
use crate::args::Demo;
use dovetail_server::config::Config;
use dovetail_server::jobs::verify::VerifyTracker;
use dovetail_server::jobs::verify::{served_views, verify};
use dovetail_server::process::engine::Engine;
use dovetail_server::process::plan::Plan;
use dovetail_server::process::roles::Roles;
use dovetail_server::process::running::{Running, runtimes};
use feed::Fed;
use look::DashboardData;
use panel::Frame;
use place::DataFolder;
use screen::Screen;

const STREAM: &str = "service_requests";
/// Interval of drawing the screen.
const DRAW_INTERVAL: Duration = Duration::from_millis(200);

pub(super) fn run(args: &Demo) -> Result<ExitCode> {
    let folder = DataFolder::new(args.data_dir.as_deref())?;
    let config = config(args, &folder);
    let (connections, work) = runtimes(&config)?;
    let handle = work.handle().clone();
    connections.block_on(async {
        let plan = Plan::load(&folder.pipeline()).await?;
        let running = Running::start(plan, Roles::All, &config, &handle).await?;
        let shown = show(args, &running).await;
        running.stop().await;
        shown
    })
}

/// The defaults, except for settings that make a demonstration worth watching. A `dovetail.toml` in the folder does not
/// apply.
fn config(args: &Demo, folder: &DataFolder) -> Config {
    let mut config = Config { data_dir: Some(folder.path().to_owned()), ..Config::default() };
    config.http.listen = Some(place::address(args.http.as_deref(), &config.http_listen(Roles::All)));
    config.postgres.listen = Some(place::address(args.postgres.as_deref(), config.postgres_listen()));
    config.landing.segment_age = (args.recompute / 2).clamp(Duration::from_millis(200), config.landing.segment_age);
    config.batch.schedule = format!("every {}", humantime::format_duration(args.recompute));
    config
}

/// The reason why the demonstration ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DemoEnd {
    /// The user stopped it.
    Stopped,
    /// `--exit-after`.
    Over,
}

async fn show(args: &Demo, running: &Running) -> Result<ExitCode> {
    let engine = &running.engine;
    let stop_feed = engine.shutdown().child_token();
    let (progress, fed) = watch::channel(Fed::default());
    let appender = appender(engine)?;
    let before = log_end(engine, &appender).await?;
    let feeding = engine.tracker().spawn(feed::run(args.clone(), appender, progress, before, stop_feed.clone()));
    let (samples, freshness) = watch::channel(None);
    let watching = fresh::run(Arc::clone(engine.serving()?), fed.clone(), samples, engine.shutdown().clone());
    engine.tracker().spawn(watching);

    let mut screen = Screen::new(args, running)?;
    let draw = draw(args, engine, &fed, &freshness, &mut screen);
    let end = tokio::select! {
        stopped = wait_for_stop() => stopped.map(|()| DemoEnd::Stopped),
        over = over(args, fed.clone()) => over.map(|()| DemoEnd::Over),
        drawn = draw => drawn.map(|()| DemoEnd::Stopped),
    };
    screen.finish()?;
    stop_feed.cancel();
    feeding.await?.context("the feed ended")?;
    match end? {
        DemoEnd::Stopped => {
            screen.say(&format!("stopped after {} records", panel::number(fed.borrow().appended)))?;
            Ok(ExitCode::SUCCESS)
        }
        DemoEnd::Over => prove(args, engine, &fed, &screen).await,
    }
}

fn appender(engine: &Engine) -> Result<Arc<Appender>> {
    let name = StreamName::parse(STREAM)?;
    engine.appenders.get(&name).cloned().with_context(|| format!("the pipeline has no stream `{STREAM}`"))
}

/// Number of records that the log has had.
async fn log_end(engine: &Engine, appender: &Appender) -> Result<i64> {
    let topic = &appender.stream().topic;
    let mut end = 0;
    for partition in 0..engine.log.partitions(topic).await?.cast_signed() {
        end += engine.log.bounds(topic, partition).await?.end;
    }
    Ok(end)
}

async fn draw(
    args: &Demo,
    engine: &Engine,
    fed: &watch::Receiver<Fed>,
    freshness: &watch::Receiver<Option<Duration>>,
    screen: &mut Screen,
) -> Result<()> {
    let began = clock::now_monotonic();
    let mut frame = Frame { events: args.events, ..Frame::default() };
    let mut ticks = interval(DRAW_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !screen.is_due() {
            continue;
        }
        frame.elapsed = began.elapsed();
        frame.fed = fed.borrow().clone();
        frame.freshness = *freshness.borrow();
        match DashboardData::take(engine.serving()?).await {
            Ok(look) => (frame.look, frame.trouble) = (look, None),
            Err(error) => frame.trouble = Some(format!("{error:#}")),
        }
        screen.draw(&frame)?;
    }
}

/// Waits until `--exit-after` is over, for ever without it; returns an error of the feed.
async fn over(args: &Demo, mut fed: watch::Receiver<Fed>) -> Result<()> {
    let Some(limit) = args.exit_after else {
        let ended = fed.wait_for(|fed| fed.done || fed.failed).await?.failed;
        return if ended { Ok(()) } else { std::future::pending().await };
    };
    // The end of the time is as good as the end of the feed.
    if let Ok(ended) = timeout(limit, fed.wait_for(|fed| fed.done || fed.failed)).await {
        ended?;
    }
    Ok(())
}

/// Folds the log again and compares, once both layers have records.
async fn prove(args: &Demo, engine: &Arc<Engine>, fed: &watch::Receiver<Fed>, screen: &Screen) -> Result<ExitCode> {
    let records = fed.borrow().log_end();
    settle(args, engine, records).await?;
    screen.say("verify: every view folded again from the log's beginning, and compared with what is served")?;
    let mut verdicts = vec![];
    for view in &served_views(engine).await? {
        let verdict = verify(engine, view, &VerifyTracker::default()).await?;
        for line in lines(&verdict) {
            screen.say(&line)?;
        }
        verdicts.push(verdict);
    }
    Ok(code(&verdicts))
}

/// Waits until all records are in the answers, and some of them in batch views.
async fn settle(args: &Demo, engine: &Engine, records: i64) -> Result<()> {
    let patience = Duration::from_secs(30) + args.recompute * 3;
    let serving = engine.serving()?;
    let settled = async {
        loop {
            let behind = fresh::head(serving).await.is_none_or(|head| head < records);
            if !behind && serving.generation().0 > 0 {
                return;
            }
            clock::sleep(Duration::from_millis(50)).await;
        }
    };
    if timeout(patience, settled).await.is_err() {
        bail!("the layers did not reach the log's end, record {records}, within {} s", patience.as_secs());
    }
    Ok(())
}

/// Sleeps, unless it is time to stop: then false.
async fn pause(duration: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = clock::sleep(duration) => true,
    }
}
