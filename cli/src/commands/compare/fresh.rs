//! How soon is a record in an answer?

use std::time::Duration;

use anyhow::Result;
use dovetail_api::runs::RecomputeRequest;
use dovetail_core::clock;
use dovetail_report::figures::Side;

use super::bag::Bag;
use super::change::{recompute, start_job, stop_job, until_job_at_head};
use super::feed::Feed;
use super::probe::Probe;
use super::server::MeasuredServer;
use super::workload::Workload;
use super::{ask, scale::RunScale};

/// The name of the job that reads the log again meanwhile.
const JOB: &str = "again";

/// With nothing else going on.
pub(super) async fn idle(server: &MeasuredServer, probe: &Probe, scale: &RunScale, bag: &mut Bag) -> Result<()> {
    let ms = samples(server, probe, scale.probes).await?;
    bag.add_run("fresh.idle", ms);
    Ok(())
}

/// During batch runs, or over the time of some checkpoints.
pub(super) async fn background(server: &MeasuredServer, probe: &Probe, scale: &RunScale, bag: &mut Bag) -> Result<()> {
    let ms = match server.side {
        Side::Lambda => {
            let runs = async {
                loop {
                    server.client.recompute(&RecomputeRequest::default()).await?;
                    clock::sleep(Duration::from_millis(10)).await;
                }
            };
            let ms = while_going_on(samples(server, probe, scale.probes), runs).await?;
            until_no_run(server).await?;
            ms
        }
        Side::Kappa => {
            let (began, mut ms) = (clock::now_monotonic(), vec![]);
            while began.elapsed() < scale.checkpoint_every * 2 {
                ms.push(probe.seen_after_ms(&server.client, 0).await?);
                // Short of the pause, a checkpoint would be met by few of very many probes.
                clock::sleep(Duration::from_millis(50)).await;
            }
            ms
        }
    };
    bag.add_run("fresh.background", ms);
    Ok(())
}

/// While the whole history is read again.
pub(super) async fn replay(
    server: &MeasuredServer,
    workload: &Workload,
    probe: &Probe,
    scale: &RunScale,
    bag: &mut Bag,
) -> Result<()> {
    let ms = match server.side {
        Side::Lambda => {
            let runs = async {
                loop {
                    recompute(server).await?;
                }
            };
            let ms = while_going_on(samples(server, probe, scale.probes), runs).await?;
            until_no_run(server).await?;
            ms
        }
        Side::Kappa => {
            let jobs = async {
                loop {
                    start_job(server, JOB, &workload.text).await?;
                    until_job_at_head(server, JOB).await?;
                    stop_job(server, JOB).await?;
                }
            };
            let ms = while_going_on(samples(server, probe, scale.probes), jobs).await;
            // The job may be there or not, wherever the loop was left.
            let _ = stop_job(server, JOB).await;
            ms?
        }
    };
    bag.add_run("fresh.replay", ms);
    Ok(())
}

/// While records come in at half of the rate of catching up.
pub(super) async fn half_load(
    server: &MeasuredServer,
    workload: &Workload,
    probe: &Probe,
    scale: &RunScale,
    rate: f64,
    bag: &mut Bag,
) -> Result<()> {
    let mut feed = Feed::new(&server.client, workload.stream.name.as_str());
    let feeding = async {
        feed.send_paced(&workload.records, rate / 2.0, scale.load).await?;
        std::future::pending().await
    };
    let probing = async {
        let (began, mut ms) = (clock::now_monotonic(), vec![]);
        // The first moments are left out: the load has to be there.
        clock::sleep(scale.load / 5).await;
        while began.elapsed() < scale.load {
            ms.push(probe.seen_after_ms(&server.client, 0).await?);
        }
        Ok(ms)
    };
    let ms = while_going_on(probing, feeding).await?;
    bag.add_run("fresh.half_load", ms);
    ask::settle(server.side, &server.client).await?;
    Ok(())
}

async fn samples(server: &MeasuredServer, probe: &Probe, many: usize) -> Result<Vec<f64>> {
    let mut ms = Vec::with_capacity(many);
    for _ in 0..many {
        ms.push(probe.seen_after_ms(&server.client, 0).await?);
    }
    Ok(ms)
}

/// The result of `measuring`, while `other` goes on; an error of either.
async fn while_going_on<T>(
    measuring: impl Future<Output = Result<T>>,
    other: impl Future<Output = Result<std::convert::Infallible>>,
) -> Result<T> {
    tokio::select! {
        measured = measuring => measured,
        ended = other => match ended {
            Err(error) => Err(error),
            Ok(never) => match never {},
        },
    }
}

/// Waits for the end of a run that was left.
async fn until_no_run(server: &MeasuredServer) -> Result<()> {
    let began = clock::now_monotonic();
    loop {
        let phase = server.client.run_progress().await?.phase;
        if matches!(phase.as_str(), "idle" | "ended") {
            return Ok(());
        }
        anyhow::ensure!(began.elapsed() < ask::REACH_TIMEOUT, "a batch run does not end: it is {phase}");
        clock::sleep(ask::LOOK_INTERVAL).await;
    }
}
