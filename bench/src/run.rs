//! Starting an engine for a section.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::embedded::EmbeddedLog;
use dovetail_server::config::Config;
use dovetail_server::process::engine::Engine;
use dovetail_server::process::plan::Plan;
use tokio::runtime::{Builder, Runtime};

use crate::BenchArgs;
use crate::input::{clicks, records};

/// A folder that is removed at the end, and the two runtimes of a process.
pub(crate) struct Bench {
    pub(crate) config: Config,
    pub(crate) serve: Runtime,
    pub(crate) work: Runtime,
    _temporary: Option<tempfile::TempDir>,
}

impl Bench {
    pub(crate) fn new(args: &BenchArgs, name: &str) -> Result<Self> {
        let temporary = match &args.folder {
            Some(_) => None,
            None => Some(tempfile::tempdir()?),
        };
        let folder = args.folder.clone().or_else(|| temporary.as_ref().map(|t| t.path().to_owned()));
        let folder = folder.context("no folder")?.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let mut config = Config { data_dir: Some(folder), ..Config::default() };
        config.batch.schedule = "never".to_owned();
        // What is measured ends with the last segment, which nothing else closes.
        config.landing.segment_age = Duration::from_secs(1);
        config.batch.compact_to = bytesize::ByteSize::b(0);
        let runtime = || Builder::new_multi_thread().worker_threads(config.cores()).enable_all().build();
        let (serve, work) = (runtime()?, runtime()?);
        Ok(Self { config, serve, work, _temporary: temporary })
    }

    /// Appends `events` generated records to the four partitions of `clicks`, before any layer runs.
    pub(crate) fn fill(&self, events: u64, seed: u64) -> Result<Duration> {
        const BATCH: usize = 10_000;
        let log = EmbeddedLog::open(&self.config.data_dir().join("log"), &self.config.log())?;
        let began = std::time::Instant::now();
        self.serve.block_on(async {
            log.create_topic("clicks", 4).await?;
            let mut generator = clicks(events, seed);
            loop {
                let round: Vec<_> = (0..4).map(|p| (p, records(&mut generator, BATCH))).collect();
                let empty = round.iter().all(|(_, r)| r.is_empty());
                let appends =
                    round.into_iter().filter(|(_, r)| !r.is_empty()).map(|(p, r)| log.append("clicks", p, r, None));
                futures::future::try_join_all(appends).await?;
                if empty {
                    return anyhow::Ok(());
                }
            }
        })?;
        log.close();
        Ok(began.elapsed())
    }

    pub(crate) fn start(&self, pipeline: &str) -> Result<Arc<Engine>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(pipeline);
        self.serve.block_on(async {
            let plan = Plan::load(&path).await.map_err(|e| anyhow::anyhow!("{e}"))?;
            Ok(Arc::new(Engine::start(plan, &self.config, None, self.work.handle()).await?))
        })
    }

    pub(crate) fn stop(&self, engine: Arc<Engine>) {
        self.serve.block_on(engine.stop());
    }

    /// The pipeline over another topic than `clicks`.
    pub(crate) fn pipeline(&self, name: &str, topic: &str) -> Result<PathBuf> {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))?;
        let path = self.folder().join(name);
        std::fs::create_dir_all(self.folder())?;
        std::fs::write(&path, text.replace("kafka://clicks", &format!("kafka://{topic}")))?;
        Ok(path)
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.config.data_dir()
    }
}

/// Records that all partitions have folded.
pub(crate) fn folded(engine: &Engine) -> i64 {
    engine.speed().map(|speed| speed.status()).unwrap_or_default().iter().map(|s| s.head).sum()
}

/// Resident memory of this process, MiB.
pub(crate) fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Processor time of this process so far, seconds.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
