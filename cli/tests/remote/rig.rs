//! A log and a catalog, members that fold, and a reader.

use std::collections::{BTreeMap, BTreeSet};
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
use dovetail_ingestion::log::Log;
use dovetail_serving_layer::{RemoteConfig, RemoteParts, RemoteRealtime, SpeedMember};
use dovetail_speed_layer::{FlightConfig, SpeedConfig, SpeedLayer, SpeedParts, serve};
use dovetail_testkit::fixtures::{catalog_in, click, log_in, name, new_run, no_states, planned, publish, records};
use dovetail_testkit::oracle;
use dovetail_testkit::waiting::eventually_ok;
use dovetail_testkit::wire::Wire;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const PARTITIONS: i32 = 4;

pub(crate) const CLICKS: &str = "
CREATE EXTERNAL TABLE clicks (user_id BIGINT NOT NULL, page VARCHAR, ms BIGINT)
STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '4');
CREATE VIEW per_page AS SELECT page, count(*) AS n, sum(user_id) AS s, max(ms) AS m FROM clicks GROUP BY page;
CREATE VIEW total AS SELECT count(*) AS n, count(DISTINCT user_id) AS users FROM clicks;
CREATE VIEW slow AS SELECT _partition, _offset, page FROM clicks WHERE ms > 50;
CREATE VIEW middle AS SELECT page, median(ms) AS m, approx_distinct(user_id) AS users FROM clicks GROUP BY page;
";

pub(crate) struct Rig {
    _folder: TempDir,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) catalog: Catalog,
    pub(crate) stream: Arc<Stream>,
    pub(crate) views: Vec<Arc<View>>,
    members: watch::Sender<Vec<SpeedMember>>,
    pub(crate) running: BTreeMap<&'static str, Running>,
    pub(crate) remote: Arc<RemoteRealtime>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

/// A member and the wire to it.
pub(crate) struct Running {
    runtime: Option<Runtime>,
    pub(crate) layer: Arc<SpeedLayer>,
    assignment: watch::Sender<Assignment>,
    shutdown: CancellationToken,
    pub(crate) wire: Wire,
}

impl Drop for Running {
    fn drop(&mut self) {
        // As a process that is killed: its tasks do not go on, its connections are closed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn config() -> RemoteConfig {
    RemoteConfig {
        stale_after: Duration::from_millis(400),
        idle: Duration::from_secs(60),
        starts: 5,
        memory_limit: 64 << 20,
    }
}

impl Rig {
    pub(crate) async fn new(config: RemoteConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = log_in(folder.path());
        let catalog = catalog_in(folder.path(), Clock::System).await;
        let (mut streams, views) = planned(CLICKS).await;
        let stream = streams.swap_remove(0);
        log.create_topic(&stream.topic, stream.options.partitions).await.unwrap();
        let (members, told) = watch::channel(vec![]);
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let parts = RemoteParts { views: views.clone(), members: told, config };
        let remote = RemoteRealtime::start(parts, &tracker, &shutdown);
        let running = BTreeMap::new();
        Self { _folder: folder, log, catalog, stream, views, members, running, remote, tracker, shutdown }
    }

    async fn decoded_log(&self) -> Arc<DecodedLog> {
        let config = DecodedLogConfig { batch_bytes: 450, cache_bytes: 200_000 };
        Arc::new(DecodedLog::open(Arc::clone(&self.log), Arc::clone(&self.stream), config).await.unwrap())
    }

    fn assignment(&self, partitions: &[i32]) -> Assignment {
        [(self.stream.name.clone(), partitions.iter().copied().collect::<BTreeSet<_>>())].into()
    }

    /// Starts a member with these partitions.
    pub(crate) async fn start(&mut self, id: &'static str, partitions: &[i32]) {
        let views = self.views.clone();
        self.start_with(id, partitions, views).await;
    }

    /// The same, with views of another pipeline.
    pub(crate) async fn start_other(&mut self, id: &'static str, partitions: &[i32], sql: &str) {
        let (_, views) = planned(sql).await;
        self.start_with(id, partitions, views).await;
    }

    async fn start_with(&mut self, id: &'static str, partitions: &[i32], views: Vec<Arc<View>>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (assignment, told) = watch::channel(self.assignment(partitions));
        let shutdown = CancellationToken::new();
        let parts = SpeedParts {
            views,
            decoded_logs: [(self.stream.name.clone(), self.decoded_log().await)].into(),
            catalog: self.catalog.clone(),
            assignment: Some(told),
            config: SpeedConfig {
                memory_limit: 1 << 30,
                seal_interval: Duration::from_millis(2),
                poll_interval: Duration::from_millis(5),
            },
        };
        let stop = shutdown.clone();
        let started = runtime.spawn(async move {
            let layer = SpeedLayer::start(parts, &TaskTracker::new(), &stop).await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let config = FlightConfig {
                interval: Duration::from_millis(2),
                heartbeat: Duration::from_millis(50),
                max_streams: 64,
            };
            TaskTracker::new().spawn(serve(Arc::clone(&layer), listener, config, stop));
            (layer, address)
        });
        let (layer, address) = started.await.unwrap();
        let wire = Wire::to(address).await;
        self.running.insert(id, Running { runtime: Some(runtime), layer, assignment, shutdown, wire });
        self.tell();
    }

    /// Reports the present members to the reader.
    pub(crate) fn tell(&self) {
        let members = self.running.iter();
        let members = members.map(|(id, r)| SpeedMember { id: (*id).to_owned(), address: r.wire.address.to_string() });
        self.members.send_replace(members.collect());
    }

    /// Ends a member as `kill -9` would, without a report to the reader, which [`Self::tell`] makes.
    pub(crate) fn kill(&mut self, id: &str) {
        self.running.remove(id).unwrap();
    }

    /// Ends a member in good order.
    pub(crate) fn stop(&mut self, id: &str) {
        let running = self.running.remove(id).unwrap();
        running.shutdown.cancel();
        self.tell();
    }

    pub(crate) fn give(&self, id: &str, partitions: &[i32]) {
        self.running[id].assignment.send_replace(self.assignment(partitions));
    }

    pub(crate) async fn append(&self, partition: i32, from: usize, to: usize) {
        let lines: Vec<String> = (from..to).map(click).collect();
        for lines in lines.chunks(7) {
            self.log.append(&self.stream.topic, partition, records(lines), None).await.unwrap();
        }
    }

    pub(crate) async fn log_end(&self, partition: i32) -> i64 {
        self.log.bounds(&self.stream.topic, partition).await.unwrap().end
    }

    pub(crate) async fn publish(&self, cut: &Cut) -> Generation {
        let run = new_run([(self.stream.name.clone(), cut.clone())].into());
        let run_id = self.catalog.start_run(&run).await.unwrap().id;
        let generation = self.catalog.next_generation_number().await.unwrap();
        let views = self.views.iter().map(|view| (view.name.clone(), no_states(view, &self.stream.topic, cut)));
        publish(&self.catalog, generation, run_id, views.collect()).await;
        generation
    }

    pub(crate) async fn current(&self) -> Generation {
        dovetail_testkit::fixtures::current(&self.catalog).await
    }

    /// Everything of all partitions.
    pub(crate) async fn try_read(&self, view: &str, start: &Cut) -> Result<RealtimeView, RealtimeError> {
        let realtime = self.remote.read(&name(view), start).await?.whole()?;
        match realtime.head.partitions().count() {
            n if n == PARTITIONS as usize => Ok(realtime),
            _ => Err(RealtimeError::Missing { view: name(view), partitions: vec![], why: "nobody told".to_owned() }),
        }
    }

    pub(crate) async fn read(&self, view: &str, start: &Cut) -> RealtimeView {
        eventually_ok(&format!("{view} is read from {start}"), async || self.try_read(view, start).await).await
    }

    /// Reads once the log's end is reached.
    pub(crate) async fn read_all(&self, view: &str, start: &Cut) -> RealtimeView {
        eventually_ok(&format!("{view} is read to the log's end"), async || {
            let realtime = self.try_read(view, start).await.map_err(|error| error.to_string())?;
            for (partition, head) in realtime.head.iter() {
                let end = self.log_end(partition).await;
                if head < end {
                    return Err(format!("partition {partition} is at {head} of {end}"));
                }
            }
            Ok(realtime)
        })
        .await
    }

    /// As [`oracle::check_meets`].
    pub(crate) async fn check(&self, view: &Arc<View>, cut: &Cut, realtime: &RealtimeView) {
        let decoded_log = self.decoded_log().await;
        oracle::check_meets(view, &decoded_log, cut, realtime).await;
    }

    /// Reads every view up to the log's end and checks it.
    pub(crate) async fn check_all(&self, cut: &Cut) {
        for view in &self.views {
            let realtime = self.read_all(view.name.as_str(), cut).await;
            self.check(view, cut, &realtime).await;
        }
    }

    pub(crate) async fn end(mut self) {
        self.running.clear();
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(Duration::from_secs(10), self.tracker.wait()).await.unwrap();
    }
}
