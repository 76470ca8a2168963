//! What does it cost to keep, and how long does it take to compute it again, at several lengths of history?

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dovetail_api::runs::RecomputeRequest;
use dovetail_core::clock;
use dovetail_report::figures::Side;
use tokio::time::timeout;

use super::ask;
use super::bag::Bag;
use super::change::{recompute, start_job, stop_job, until_job_at_head};
use super::crash::checkpointed;
use super::feed::Feed;
use super::proc;
use super::scale::RunScale;
use super::server::MeasuredServer;
use super::workload::{LENGTHS, Workload};

/// A history is written in so many parts: as many generations and checkpoints are kept.
const PARTS: usize = 3;
/// Records that the log still has.
const HELD: &str = "SELECT sum(log_end - coalesce(first, 0)) FROM sys.partitions";
/// The name of the job that reads the log again.
const JOB: &str = "again";
/// Interval of looks at the disk, and how many of them in a row have to see the same.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);
const SAME_LOOKS: usize = 3;
/// Time for the disk to settle.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Grows a history step by step, and measures at each.
pub(super) async fn measure(
    side: Side,
    folder: PathBuf,
    workload: &Workload,
    scale: &RunScale,
    bag: &mut Bag,
) -> Result<()> {
    let mut server = MeasuredServer::new(side, folder, &workload.pipeline, scale.settings_of_keeping())?;
    server.start().await?;
    let mut feed = Feed::new(&server.client, workload.stream.name.as_str());
    for length in LENGTHS {
        let until = (workload.shortest() * length) as usize;
        let part = (until - feed.sent as usize).div_ceil(PARTS).max(1);
        while (feed.sent as usize) < until {
            let from = feed.sent as usize;
            feed.send(&workload.records[from..(from + part).min(until)]).await?;
            publish(&server, feed.sent).await?;
        }
        let began = clock::now_monotonic();
        match side {
            Side::Lambda => recompute(&server).await?,
            Side::Kappa => {
                start_job(&server, JOB, &workload.text).await?;
                until_job_at_head(&server, JOB).await?;
            }
        }
        bag.add_point("change.rebuild", feed.sent, began.elapsed().as_secs_f64());
        if side == Side::Kappa {
            stop_job(&server, JOB).await?;
        }
        settle(&server).await;
        note(&server, feed.sent, bag);
    }
    bag.add("keeping.held", ask::number(&server.client, HELD).await?);
    server.stop().await
}

/// A batch run over everything, or a checkpoint of everything.
async fn publish(server: &MeasuredServer, records: u64) -> Result<()> {
    let client = &server.client;
    ask::until_head(client, records).await?;
    match server.side {
        Side::Lambda => {
            ask::until_landed(client, records).await?;
            let run = timeout(ask::REACH_TIMEOUT, client.recompute(&RecomputeRequest::default())).await;
            run.context("a batch run took too long")??;
        }
        Side::Kappa => {
            let began = clock::now_monotonic();
            while checkpointed(client).await? < records {
                ensure!(began.elapsed() < ask::REACH_TIMEOUT, "there is no checkpoint of all records");
                clock::sleep(ask::LOOK_INTERVAL * 3).await;
            }
        }
    }
    Ok(())
}

/// Waits until the disk stays as it is, for a while at most.
async fn settle(server: &MeasuredServer) {
    let (began, mut last, mut same) = (clock::now_monotonic(), u64::MAX, 0);
    while same < SAME_LOOKS && began.elapsed() < SETTLE_TIMEOUT {
        clock::sleep(LOOK_INTERVAL).await;
        let now = proc::disk_bytes(&server.data());
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
}

fn note(server: &MeasuredServer, records: u64, bag: &mut Bag) {
    let data = server.data();
    let bytes = |path: &str| proc::disk_bytes(&data.join(path)) as f64;
    let generations = bytes("store/generations");
    let (states, checkpoints) = match server.side {
        Side::Lambda => (generations, 0.0),
        Side::Kappa => (0.0, generations),
    };
    let landing = match server.side {
        Side::Lambda => bytes("store/segments"),
        Side::Kappa => 0.0,
    };
    for (figure, value) in [
        ("keeping.log", bytes("log")),
        ("keeping.landing", landing),
        ("keeping.states", states),
        ("keeping.checkpoints", checkpoints),
        ("keeping.memory", server.gauge().resident_bytes() as f64),
    ] {
        bag.add_point(figure, records, value);
    }
}
