//! A log and a catalog, members that fold, and a reader.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use dovetail_core::assignment::Owned;
use dovetail_core::catalog::{Catalog, NewRun, PublishedGeneration, RunKind, Trigger};
use dovetail_core::manifest::{LeftOut, Manifest, ViewStates};
use dovetail_core::meet::meet;
use dovetail_core::name::{Generation, ViewName};
use dovetail_core::offsets::{Cut, OffsetRange};
use dovetail_core::pipeline::{Pipeline, Stream};
use dovetail_core::realtime::{Realtime, RealtimeError, RealtimeView};
use dovetail_core::record::Records;
use dovetail_core::view::{Folder, Planned, Planner, View, compare_answers};
use dovetail_ingestion::decoded_log::{Feed, FeedConfig};
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::embedded::{EmbeddedLog, EmbeddedLogConfig};
use dovetail_serving_layer::{Member, RemoteConfig, RemoteParts, RemoteRealtime};
use dovetail_speed_layer::{FlightConfig, SpeedConfig, SpeedLayer, SpeedParts, serve};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::wire::Wire;

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
    members: watch::Sender<Vec<Member>>,
    pub(crate) running: BTreeMap<&'static str, Running>,
    pub(crate) remote: Arc<RemoteRealtime>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

/// A member and the wire to it.
pub(crate) struct Running {
    runtime: Option<Runtime>,
    pub(crate) layer: Arc<SpeedLayer>,
    owned: watch::Sender<Owned>,
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
        floors: 5,
        memory_limit: 64 << 20,
    }
}

pub(crate) fn cut(offsets: &[i64]) -> Cut {
    Cut((0..).zip(offsets.iter().copied()).collect())
}

pub(crate) fn name(view: &str) -> ViewName {
    ViewName::parse(view).unwrap()
}

fn click(i: usize) -> String {
    format!(r#"{{"user_id": {}, "page": "/p{}", "ms": {}}}"#, i % 97, i % 11, i % 101)
}

async fn planned(sql: &str) -> (Arc<Stream>, Vec<Arc<View>>) {
    let pipeline = Pipeline::parse(sql, Path::new("/test.sql")).unwrap();
    let mut planner = Planner::new(&pipeline).await.unwrap();
    let mut views = vec![];
    for definition in &pipeline.views {
        if let Planned::Folded(view) = planner.plan(definition).await.unwrap() {
            views.push(view);
        }
    }
    (Arc::new(pipeline.streams[0].clone()), views)
}

impl Rig {
    pub(crate) async fn new(config: RemoteConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let limits = EmbeddedLogConfig { queue_bytes: 1 << 20, tail_bytes: 1 << 20 };
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(&folder.path().join("log"), &limits).unwrap());
        let catalog = Catalog::open(&format!("sqlite:{}", folder.path().join("catalog.db").display())).await.unwrap();
        let (stream, views) = planned(CLICKS).await;
        log.create_topic(&stream.topic, stream.options.partitions).await.unwrap();
        let (members, told) = watch::channel(vec![]);
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let parts = RemoteParts { views: views.clone(), members: told, config };
        let remote = RemoteRealtime::start(parts, &tracker, &shutdown);
        let running = BTreeMap::new();
        Self { _folder: folder, log, catalog, stream, views, members, running, remote, tracker, shutdown }
    }

    async fn feed(&self) -> Arc<Feed> {
        let config = FeedConfig { batch_bytes: 450, cache_bytes: 200_000 };
        Arc::new(Feed::open(Arc::clone(&self.log), Arc::clone(&self.stream), config).await.unwrap())
    }

    fn owned(&self, partitions: &[i32]) -> Owned {
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
        let (owned, told) = watch::channel(self.owned(partitions));
        let shutdown = CancellationToken::new();
        let parts = SpeedParts {
            views,
            feeds: [(self.stream.name.clone(), self.feed().await)].into(),
            catalog: self.catalog.clone(),
            owned: Some(told),
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
        let wire = Wire::to(address, &self.tracker).await;
        self.running.insert(id, Running { runtime: Some(runtime), layer, owned, shutdown, wire });
        self.tell();
    }

    /// Reports the present members to the reader.
    pub(crate) fn tell(&self) {
        let members = self.running.iter();
        let members = members.map(|(id, r)| Member { id: (*id).to_owned(), address: r.wire.address.to_string() });
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
        self.running[id].owned.send_replace(self.owned(partitions));
    }

    pub(crate) async fn append(&self, partition: i32, from: usize, to: usize) {
        let lines: Vec<String> = (from..to).map(click).collect();
        for lines in lines.chunks(7) {
            let records = Records::from_values(1_000, lines.iter().map(String::as_bytes));
            self.log.append(&self.stream.topic, partition, records, None).await.unwrap();
        }
    }

    pub(crate) async fn log_end(&self, partition: i32) -> i64 {
        self.log.bounds(&self.stream.topic, partition).await.unwrap().end
    }

    pub(crate) async fn publish(&self, cut: &Cut) -> Generation {
        let run = NewRun {
            kind: RunKind::Full,
            trigger: Trigger::Demand,
            views: vec![],
            cuts: [(self.stream.name.clone(), cut.clone())].into(),
            owner: "test".to_owned(),
            lease: Duration::from_secs(100),
            basis: None,
            moment: None,
        };
        let run_id = self.catalog.start_run(&run).await.unwrap().id;
        let generation = self.catalog.next_generation_number().await.unwrap();
        let states = |view: &Arc<View>| ViewStates {
            fingerprint: view.fingerprint.clone(),
            stream: view.stream.clone(),
            topic: self.stream.topic.clone(),
            cut: cut.clone(),
            rows: 0,
            groups: 0,
            files: vec![],
            deltas: vec![],
            errors: LeftOut::default(),
        };
        let views = self.views.iter().map(|view| (view.name.clone(), states(view))).collect();
        let manifest = Manifest { generation, run_id, created_ms: 1, engine: "test".to_owned(), views };
        let published = PublishedGeneration {
            generation,
            run_id,
            manifest_path: format!("manifests/{generation}"),
            manifest: manifest.to_json().unwrap(),
            published_ms: 1,
            failed: None,
        };
        self.catalog.stage(&[(&published.manifest_path, 1)], Some(run_id)).await.unwrap();
        self.catalog.publish(&published, self.current().await).await.unwrap();
        generation
    }

    pub(crate) async fn current(&self) -> Generation {
        self.catalog.current().await.unwrap().map_or_else(Generation::default, |row| row.generation)
    }

    /// Everything of all partitions.
    pub(crate) async fn try_read(&self, view: &str, floor: &Cut) -> Result<RealtimeView, RealtimeError> {
        let realtime = self.remote.read(&name(view), floor).await?.whole()?;
        match realtime.head.partitions().count() {
            n if n == PARTITIONS as usize => Ok(realtime),
            _ => Err(RealtimeError::Missing { view: name(view), partitions: vec![], why: "nobody told".to_owned() }),
        }
    }

    pub(crate) async fn read(&self, view: &str, floor: &Cut) -> RealtimeView {
        eventually(&format!("{view} is read from {floor}"), async || self.try_read(view, floor).await).await
    }

    /// Reads once the log's end is reached.
    pub(crate) async fn read_all(&self, view: &str, floor: &Cut) -> RealtimeView {
        eventually(&format!("{view} is read to the log's end"), async || {
            let realtime = self.try_read(view, floor).await.map_err(|error| error.to_string())?;
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

    /// Checks that the slices read meet the batch states below `cut`, and that both together give the answer of one
    /// fold.
    pub(crate) async fn check(&self, view: &Arc<View>, cut: &Cut, realtime: &RealtimeView) {
        meet(cut, realtime, self.stream.options.partitions).unwrap();
        let (mut joined, mut whole) = (vec![], vec![]);
        for (partition, head) in realtime.head.iter() {
            joined.extend(self.fold(view, partition, OffsetRange::new(0, cut.get(partition))).await);
            whole.extend(self.fold(view, partition, OffsetRange::new(0, head)).await);
        }
        joined.extend(realtime.slices.iter().flat_map(|slice| slice.state.iter().cloned()));
        let (joined, whole) = (view.finish(&joined, None).unwrap(), view.finish(&whole, None).unwrap());
        let differences = compare_answers(&view.leaf_schema(), &joined, &whole, view.leaf_exactness()).unwrap();
        assert!(differences.is_empty(), "{} with cut {cut}, head {}: {differences:?}", view.name, realtime.head);
    }

    /// Reads every view up to the log's end and checks it.
    pub(crate) async fn check_all(&self, cut: &Cut) {
        for view in &self.views {
            let realtime = self.read_all(view.name.as_str(), cut).await;
            self.check(view, cut, &realtime).await;
        }
    }

    async fn fold(&self, view: &Arc<View>, partition: i32, range: OffsetRange) -> Vec<RecordBatch> {
        let feed = self.feed().await;
        let mut folder = Folder::new(view).unwrap();
        let mut at = range.start;
        while at < range.end {
            let decoded = feed.read(partition, at).await.unwrap().between(at, range.end);
            folder.fold(&decoded.rows).await.unwrap();
            at = decoded.range.end;
        }
        folder.take_state().unwrap()
    }

    pub(crate) async fn end(mut self) {
        self.running.clear();
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(Duration::from_secs(10), self.tracker.wait()).await.unwrap();
    }
}

/// Asks until there is an answer, for at most 30 seconds; then says what kept it.
pub(crate) async fn eventually<T, E: std::fmt::Display>(what: &str, ask: impl AsyncFn() -> Result<T, E>) -> T {
    let give_up = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(why) if std::time::Instant::now() > give_up => panic!("not in 30 s: {what}: {why}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}
