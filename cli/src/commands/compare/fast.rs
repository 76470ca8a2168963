//! How fast are records taken in?

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dovetail_core::clock;
use dovetail_report::figures::Side;

use super::ask;
use super::bag::Bag;
use super::feed::Feed;
use super::scale::RunScale;
use super::server::MeasuredServer;
use super::shares::Parts;
use super::workload::Workload;

/// Writes all records into a log, and leaves the log in `folder`: every cold start begins with a copy of it.
pub(super) async fn write_log(folder: &Path, workload: &Workload) -> Result<()> {
    let mut server = MeasuredServer::new(Side::Kappa, folder.to_owned(), &workload.pipeline, vec![])?;
    server.start().await?;
    let mut feed = Feed::new(&server.client, workload.stream.name.as_str());
    feed.send(&workload.records).await?;
    ask::until_head(&server.client, feed.sent).await?;
    server.stop().await
}

/// Starts and stops a server with no records at all: what every start takes.
pub(super) async fn empty_start(
    side: Side,
    folder: PathBuf,
    workload: &Workload,
    scale: &RunScale,
) -> Result<ColdStart> {
    let mut server = MeasuredServer::new(side, folder, &workload.pipeline, scale.settings())?;
    let began = clock::now_monotonic();
    server.start().await?;
    ask::until_head(&server.client, 0).await?;
    let start = ColdStart { seconds: began.elapsed().as_secs_f64(), cpu: server.cpu_seconds() };
    server.stop().await?;
    Ok(start)
}

/// What a start without records takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColdStart {
    seconds: f64,
    cpu: f64,
}

/// Starts the server on a copy of the log, with a new catalog and nothing else; returns the records a second.
pub(super) async fn cold_start(
    server: &mut MeasuredServer,
    log: &Path,
    empty: ColdStart,
    parts: Option<Parts>,
    workload: &Workload,
    bag: &mut Bag,
) -> Result<f64> {
    copy_folder(&log.join("data").join("log"), &server.data().join("log"))?;
    let (began, records) = (clock::now_monotonic(), workload.longest());
    server.start().await?;
    ask::until_head(&server.client, records).await?;
    let rate = records as f64 / began.elapsed().as_secs_f64();
    ask::settle(server.side, &server.client).await?;
    let cpu = server.cpu_seconds();
    ensure!(cpu > empty.cpu, "{records} records took no more than a start without any: take more with `--events`");
    let cpu = (cpu - empty.cpu) / records as f64 * 1e6;
    bag.add("fast.start", empty.seconds);
    bag.add("fast.catch_up", rate);
    bag.add("fast.cpu", cpu);
    match parts {
        Some(parts) => parts.add(server.side, cpu, bag),
        None => bag.failed("fast.shares", "the parts of the processor time could not be run by themselves".to_owned()),
    }
    Ok(rate)
}

/// Copies a folder with all that is in it.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot create `{}`", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read `{}`", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &to)?,
            false => {
                std::fs::copy(entry.path(), &to).with_context(|| format!("cannot copy to `{}`", to.display()))?;
            }
        }
    }
    Ok(())
}
