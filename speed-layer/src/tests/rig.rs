//! A pipeline in a folder, and what a test asks of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::assignment::Assignment;
use dovetail_core::catalog::Catalog;
use dovetail_core::clock::Clock;
use dovetail_core::name::Generation;
use dovetail_core::offsets::Cut;
use dovetail_core::pipeline::Stream;
use dovetail_core::realtime::{Realtime, RealtimeError, RealtimeView};
use dovetail_core::view::View;
use dovetail_ingestion::decoded_log::{DecodedLog, DecodedLogConfig};
use dovetail_ingestion::log::{Log, LogError};
use dovetail_testkit::fixtures::{catalog_in, click, log_in, name, new_run, no_states, planned, publish, records};
use dovetail_testkit::log::{FakeLog, LogCall, LogFault};
use dovetail_testkit::oracle;
use dovetail_testkit::waiting::eventually;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{FoldState, PartitionStatus, SpeedConfig, SpeedLayer, SpeedParts};

pub(crate) const CLICKS: &str = "
CREATE EXTERNAL TABLE clicks (user_id BIGINT NOT NULL, page VARCHAR, ms BIGINT)
STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2');
CREATE VIEW per_page AS SELECT page, count(*) AS n, sum(user_id) AS s, max(ms) AS m FROM clicks GROUP BY page;
CREATE VIEW total AS SELECT count(*) AS n, count(DISTINCT user_id) AS users FROM clicks;
CREATE VIEW slow AS SELECT _partition, _offset, page FROM clicks WHERE ms > 50;
";

pub(crate) struct Rig {
    _folder: TempDir,
    pub(crate) log: Arc<FakeLog>,
    pub(crate) catalog: Catalog,
    pub(crate) stream: Arc<Stream>,
    pub(crate) views: Vec<Arc<View>>,
    /// The assigned partitions of the layer at its start.
    pub(crate) assignment: Option<watch::Receiver<Assignment>>,
    running: Option<Running>,
}

struct Running {
    layer: Arc<SpeedLayer>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

pub(crate) fn config() -> SpeedConfig {
    SpeedConfig { memory_limit: 1 << 30, seal_interval: Duration::ZERO, poll_interval: Duration::from_millis(5) }
}

/// Calls that ask for records or bounds.
fn asks(call: &LogCall) -> bool {
    matches!(call, LogCall::Bounds(_) | LogCall::Read(..))
}

impl Rig {
    pub(crate) async fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = FakeLog::over(log_in(folder.path()));
        let catalog = catalog_in(folder.path(), Clock::System).await;
        let (mut streams, views) = planned(sql).await;
        let stream = streams.swap_remove(0);
        log.create_topic(&stream.topic, stream.options.partitions).await.unwrap();
        Self { _folder: folder, log, catalog, stream, views, assignment: None, running: None }
    }

    /// A pipeline whose layer runs.
    pub(crate) async fn started(sql: &str) -> Self {
        let mut rig = Self::new(sql).await;
        rig.start(config()).await;
        rig
    }

    /// A decoded log of its own, which decodes about ten clicks at a time.
    pub(crate) async fn decoded_log(&self) -> Arc<DecodedLog> {
        let config = DecodedLogConfig { batch_bytes: 450, cache_bytes: 200_000 };
        let log = Arc::<FakeLog>::clone(&self.log);
        Arc::new(DecodedLog::open(log, Arc::clone(&self.stream), config).await.unwrap())
    }

    pub(crate) async fn start(&mut self, config: SpeedConfig) {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let parts = SpeedParts {
            views: self.views.clone(),
            decoded_logs: [(self.stream.name.clone(), self.decoded_log().await)].into(),
            catalog: self.catalog.clone(),
            assignment: self.assignment.clone(),
            config,
        };
        let layer = SpeedLayer::start(parts, &tracker, &shutdown).await.unwrap();
        self.running = Some(Running { layer, tracker, shutdown });
    }

    /// Stops the layer, which takes no time.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.shutdown.cancel();
        running.tracker.close();
        tokio::time::timeout(Duration::from_secs(2), running.tracker.wait()).await.unwrap();
    }

    pub(crate) fn layer(&self) -> &Arc<SpeedLayer> {
        &self.running.as_ref().unwrap().layer
    }

    pub(crate) fn view(&self, name: &str) -> &Arc<View> {
        self.views.iter().find(|view| view.name.as_str() == name).unwrap()
    }

    pub(crate) async fn append(&self, partition: i32, lines: &[String]) {
        self.log.append(&self.stream.topic, partition, records(lines), None).await.unwrap();
    }

    /// Clicks `from .. to` to the partition, in appends of seven.
    pub(crate) async fn append_clicks(&self, partition: i32, from: usize, to: usize) {
        let lines: Vec<String> = (from..to).map(click).collect();
        for lines in lines.chunks(7) {
            self.append(partition, lines).await;
        }
    }

    pub(crate) async fn log_end(&self, partition: i32) -> i64 {
        self.log.log().bounds(&self.stream.topic, partition).await.unwrap().end
    }

    /// The log gives no records; whoever waits for some goes on waiting,
    pub(crate) fn log_goes_away(&self) {
        self.log.faults.set(LogFault::fails(|| LogError::Store("no route to the log".into())), asks);
    }

    /// or is told.
    pub(crate) fn log_breaks_off(&self) {
        let which = |call: &LogCall| asks(call) || matches!(call, LogCall::WaitPast(..));
        self.log.faults.set(LogFault::fails(|| LogError::Store("no route to the log".into())), which);
    }

    /// How often the log was asked for records or bounds.
    pub(crate) fn asked(&self) -> usize {
        self.log.faults.count(asks)
    }

    /// Notes a run with this cut.
    pub(crate) async fn start_run(&self, cut: &Cut) -> i64 {
        let run = new_run([(self.stream.name.clone(), cut.clone())].into());
        self.catalog.start_run(&run).await.unwrap().id
    }

    /// Publishes a generation with a cut for each view.
    pub(crate) async fn publish(&self, cuts: &[(&str, &Cut)]) -> Generation {
        let run = self.start_run(cuts[0].1).await;
        self.publish_run(run, cuts).await
    }

    pub(crate) async fn publish_all(&self, cut: &Cut) -> Generation {
        let cuts: Vec<(&str, &Cut)> = self.views.iter().map(|view| (view.name.as_str(), cut)).collect();
        self.publish(&cuts).await
    }

    pub(crate) async fn publish_run(&self, run_id: i64, cuts: &[(&str, &Cut)]) -> Generation {
        let generation = self.catalog.next_generation_number().await.unwrap();
        let views = cuts.iter().map(|(view, cut)| {
            let view = self.view(view);
            (view.name.clone(), no_states(view, &self.stream.topic, cut))
        });
        publish(&self.catalog, generation, run_id, views.collect::<BTreeMap<_, _>>()).await;
        generation
    }

    pub(crate) async fn current(&self) -> Generation {
        dovetail_testkit::fixtures::current(&self.catalog).await
    }

    pub(crate) async fn try_read(&self, view: &str, start: &Cut) -> Result<RealtimeView, RealtimeError> {
        self.layer().read(&name(view), start).await?.whole()
    }

    /// Reads as soon as the layer can be read from the start `start`.
    pub(crate) async fn read(&self, view: &str, start: &Cut) -> RealtimeView {
        eventually(&format!("{view} to be read from {start}"), async || match self.try_read(view, start).await {
            Ok(realtime) => Some(realtime),
            // It may not have heard yet of what changes that.
            Err(RealtimeError::UnknownView(view)) => panic!("{view}"),
            Err(_) => None,
        })
        .await
    }

    /// Reads once the log's end is reached.
    pub(crate) async fn read_all(&self, view: &str, start: &Cut) -> RealtimeView {
        eventually(&format!("{view} to be read to the log's end"), async || {
            let realtime = self.read(view, start).await;
            for (partition, head) in realtime.head.iter() {
                if head < self.log_end(partition).await {
                    return None;
                }
            }
            Some(realtime)
        })
        .await
    }

    /// Reads until the layer cannot be read from the start `start` any more.
    pub(crate) async fn refused(&self, view: &str, start: &Cut) -> RealtimeError {
        eventually(&format!("{view} to be refused from {start}"), async || self.try_read(view, start).await.err()).await
    }

    /// As [`oracle::check_meets`].
    pub(crate) async fn check(&self, view: &str, cut: &Cut, realtime: &RealtimeView) {
        let decoded_log = self.decoded_log().await;
        oracle::check_meets(self.view(view), &decoded_log, cut, realtime).await;
    }

    /// Reads every view up to the log's end and checks it.
    pub(crate) async fn check_all(&self, cut: &Cut) {
        for view in &self.views {
            let realtime = self.read_all(view.name.as_str(), cut).await;
            self.check(view.name.as_str(), cut, &realtime).await;
        }
    }

    pub(crate) fn status(&self, partition: usize) -> PartitionStatus {
        self.layer().status()[partition].clone()
    }

    /// Waits until the partition's state is as asked for.
    pub(crate) async fn state(&self, partition: usize, wanted: impl Fn(&FoldState) -> bool) -> FoldState {
        eventually("another state", async || Some(self.status(partition).state).filter(&wanted)).await
    }
}
