//! Where the processor time of taking records in goes: the parts of it, each run by itself.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dovetail_batch_layer::{BatchConfig, BatchLayer, BatchParts, LandingStatus};
use dovetail_core::clock::{self, Clock};
use dovetail_core::view::Folder;
use dovetail_ingestion::decoded_log::DecodedLog;
use dovetail_ingestion::formats::Decoder;
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::embedded::{EmbeddedLog, EmbeddedLogConfig};
use dovetail_report::figures::Side;
use dovetail_server::config::Config;
use dovetail_server::process::backends::Backends;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ask;
use super::bag::Bag;
use super::fast::copy_folder;
use super::proc;
use super::workload::Workload;

/// Age of segments while landing runs alone.
const SEGMENT_AGE: Duration = Duration::from_millis(500);
/// Time for landing to end.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of one read, and of the log's buffers.
const READ_BYTES: usize = 4 << 20;
const BUFFER_BYTES: usize = 64 << 20;
/// Records that are looked at, at most: they are all in memory.
const RECORDS_MAX: i64 = 500_000;

/// Processor seconds for a million records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    fetch: f64,
    decode: f64,
    fold: f64,
    land: f64,
}

impl Parts {
    /// Reads the log in `folder`, decodes what was read, and folds what was decoded into all views.
    pub(super) async fn measure(folder: &Path, workload: &Workload) -> Result<Self> {
        let config = EmbeddedLogConfig { queue_bytes: BUFFER_BYTES, tail_bytes: BUFFER_BYTES };
        // Landing reads and decodes for itself: that is not part of its share.
        let land = land(folder, workload).await?;
        let log = EmbeddedLog::open(&folder.join("data").join("log"), &config)?;
        let topic = &workload.stream.topic;
        let before = own_cpu_seconds().await?;
        let (mut fetched, mut records) = (vec![], 0);
        for partition in 0..log.partitions(topic).await?.cast_signed() {
            let bounds = log.bounds(topic, partition).await?;
            let mut at = bounds.start;
            while at < bounds.end && records < RECORDS_MAX {
                let read = log.read(topic, partition, at, READ_BYTES).await?;
                if read.range.end <= at {
                    bail!("the log of `{topic}` partition {partition} ends at {at}, before {}", bounds.end);
                }
                records += read.range.end - at;
                at = read.range.end;
                fetched.push((partition, read));
            }
        }
        let fetch = own_cpu_seconds().await? - before;
        let mut decoder = Decoder::new(Arc::clone(&workload.stream))?;
        let before = own_cpu_seconds().await?;
        let mut decoded = vec![];
        for (partition, read) in &fetched {
            decoded.push(decoder.decode(*partition, read)?);
        }
        let decode = own_cpu_seconds().await? - before;
        let before = own_cpu_seconds().await?;
        for view in &workload.views {
            let mut folder = Folder::new(view)?;
            for part in &decoded {
                folder.fold(&part.rows).await?;
            }
        }
        let fold = own_cpu_seconds().await? - before;
        let millions = records as f64 / 1e6;
        let land = land * (records as f64 / workload.longest() as f64) - fetch - decode;
        Ok(Self { fetch: fetch / millions, decode: decode / millions, fold: fold / millions, land: land / millions })
    }

    /// Adds the shares of a process that used `cpu` processor seconds for a million records.
    pub(super) fn add(self, side: Side, cpu: f64, bag: &mut Bag) {
        let land = match side {
            Side::Lambda => self.land,
            Side::Kappa => 0.0,
        };
        if self.fetch + self.decode + self.fold + land > cpu {
            let why = "the parts took longer by themselves than the whole process; something else was busy meanwhile";
            bag.failed("fast.shares", why.to_owned());
            return;
        }
        bag.add("fast.shares.fetch", self.fetch / cpu);
        bag.add("fast.shares.decode", self.decode / cpu);
        bag.add("fast.shares.fold", self.fold / cpu);
        match land >= 0.0 {
            true => bag.add("fast.shares.land", land / cpu),
            false => {
                let why = "landing by itself took no longer than reading and decoding by themselves";
                bag.failed("fast.shares.land", why.to_owned());
            }
        }
    }
}

/// The processor seconds of this process. The kernel adds up those of a running thread now and then, and always when
/// the thread waits: it does so first.
async fn own_cpu_seconds() -> Result<f64> {
    clock::sleep(Duration::from_millis(1)).await;
    proc::own_cpu_seconds()
}

/// Lands the whole log in this process, with nothing else; returns the processor seconds.
async fn land(folder: &Path, workload: &Workload) -> Result<f64> {
    let alone = folder.join("landing");
    copy_folder(&folder.join("data").join("log"), &alone.join("log"))?;
    let mut config = Config { data_dir: Some(alone), ..Config::default() };
    config.landing.segment_age = SEGMENT_AGE;
    let backends = Backends::open(&config).await?;
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let landed = land_with(&backends, &config, workload, &tracker, &shutdown).await;
    shutdown.cancel();
    tracker.close();
    let ended = timeout(END_TIMEOUT, tracker.wait()).await;
    backends.close().await;
    ended.context("landing does not end")?;
    landed
}

async fn land_with(
    backends: &Backends,
    config: &Config,
    workload: &Workload,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<f64> {
    let stream = &workload.stream;
    backends.log.create_topic(&stream.topic, stream.options.partitions).await?;
    if let Some(identity) = backends.log.identity(&stream.topic).await? {
        backends.catalog.recognise_topic(&stream.topic, &identity).await?;
    }
    let before = own_cpu_seconds().await?;
    let decoded_log = DecodedLog::open(Arc::clone(&backends.log), Arc::clone(stream), config.decoded_log()).await?;
    let parts = BatchParts {
        streams: vec![Arc::clone(stream)],
        views: workload.views.clone(),
        decoded_logs: HashMap::from([(stream.name.clone(), Arc::new(decoded_log))]),
        catalog: backends.catalog.clone(),
        store: backends.store.clone(),
        clock: Clock::System,
        assignment: None,
        trim: None,
        work: Handle::current(),
        config: BatchConfig { runs: None, ..config.batch()? },
    };
    let mut status = BatchLayer::start(parts, tracker, shutdown.clone()).landing_status();
    let all = |status: &LandingStatus| {
        let landed: i64 = status.values().map(|partition| partition.next_offset).sum();
        landed.unsigned_abs() >= workload.longest()
    };
    timeout(ask::REACH_TIMEOUT, status.wait_for(all)).await.context("not everything was landed in time")??;
    Ok(own_cpu_seconds().await? - before)
}
