//! A pipeline in a folder, and what a test asks of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use arrow::array::RecordBatch;
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
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::faulty::Faulty;
use crate::{FoldState, PartitionStatus, SpeedConfig, SpeedLayer, SpeedParts};
use dovetail_core::assignment::Owned;

pub(crate) const CLICKS: &str = "
CREATE EXTERNAL TABLE clicks (user_id BIGINT NOT NULL, page VARCHAR, ms BIGINT)
STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2');
CREATE VIEW per_page AS SELECT page, count(*) AS n, sum(user_id) AS s, max(ms) AS m FROM clicks GROUP BY page;
CREATE VIEW total AS SELECT count(*) AS n, count(DISTINCT user_id) AS users FROM clicks;
CREATE VIEW slow AS SELECT _partition, _offset, page FROM clicks WHERE ms > 50;
";

pub(crate) struct Rig {
    _folder: TempDir,
    pub(crate) log: Arc<Faulty>,
    pub(crate) catalog: Catalog,
    pub(crate) stream: Arc<Stream>,
    pub(crate) views: Vec<Arc<View>>,
    /// The assigned partitions of the layer at its start.
    pub(crate) owned: Option<watch::Receiver<Owned>>,
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

pub(crate) fn cut(offsets: &[i64]) -> Cut {
    Cut((0..).zip(offsets.iter().copied()).collect())
}

pub(crate) fn name(view: &str) -> ViewName {
    ViewName::parse(view).unwrap()
}

pub(crate) fn click(i: usize) -> String {
    format!(r#"{{"user_id": {}, "page": "/p{}", "ms": {}}}"#, i % 97, i % 11, i % 101)
}

impl Rig {
    pub(crate) async fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedLogConfig { queue_bytes: 1 << 20, tail_bytes: 1 << 20 };
        let inner: Arc<dyn Log> = Arc::new(EmbeddedLog::open(&folder.path().join("log"), &config).unwrap());
        let log = Arc::new(Faulty {
            inner,
            down: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            interrupted: Notify::new(),
        });
        let catalog = format!("sqlite:{}", folder.path().join("catalog.db").display());
        let catalog = Catalog::open(&catalog).await.unwrap();
        let pipeline = Pipeline::parse(sql, Path::new("/test.sql")).unwrap();
        let mut planner = Planner::new(&pipeline).await.unwrap();
        let mut views = vec![];
        for definition in &pipeline.views {
            if let Planned::Folded(view) = planner.plan(definition).await.unwrap() {
                views.push(view);
            }
        }
        let stream = Arc::new(pipeline.streams[0].clone());
        log.create_topic(&stream.topic, stream.options.partitions).await.unwrap();
        Self { _folder: folder, log, catalog, stream, views, owned: None, running: None }
    }

    /// A pipeline whose layer runs.
    pub(crate) async fn started(sql: &str) -> Self {
        let mut rig = Self::new(sql).await;
        rig.start(config()).await;
        rig
    }

    /// A decoded log of its own, which decodes about ten clicks at a time.
    pub(crate) async fn feed(&self) -> Arc<Feed> {
        let config = FeedConfig { batch_bytes: 450, cache_bytes: 200_000 };
        let log = Arc::<Faulty>::clone(&self.log);
        Arc::new(Feed::open(log, Arc::clone(&self.stream), config).await.unwrap())
    }

    pub(crate) async fn start(&mut self, config: SpeedConfig) {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let parts = SpeedParts {
            views: self.views.clone(),
            feeds: [(self.stream.name.clone(), self.feed().await)].into(),
            catalog: self.catalog.clone(),
            owned: self.owned.clone(),
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
        let records = Records::from_values(1_000, lines.iter().map(String::as_bytes));
        self.log.append(&self.stream.topic, partition, records, None).await.unwrap();
    }

    /// Clicks `from .. to` to the partition, in appends of seven.
    pub(crate) async fn append_clicks(&self, partition: i32, from: usize, to: usize) {
        let lines: Vec<String> = (from..to).map(click).collect();
        for lines in lines.chunks(7) {
            self.append(partition, lines).await;
        }
    }

    pub(crate) async fn log_end(&self, partition: i32) -> i64 {
        self.log.inner.bounds(&self.stream.topic, partition).await.unwrap().end
    }

    /// Notes a run with this cut.
    pub(crate) async fn start_run(&self, cut: &Cut) -> i64 {
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
            let states = ViewStates {
                fingerprint: view.fingerprint.clone(),
                stream: view.stream.clone(),
                topic: self.stream.topic.clone(),
                cut: (*cut).clone(),
                rows: 0,
                groups: 0,
                files: vec![],
                deltas: vec![],
                errors: LeftOut::default(),
            };
            (view.name.clone(), states)
        });
        let views: BTreeMap<_, _> = views.collect();
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

    pub(crate) async fn try_read(&self, view: &str, floor: &Cut) -> Result<RealtimeView, RealtimeError> {
        self.layer().read(&name(view), floor).await?.whole()
    }

    /// Reads as soon as the layer can be read from the start `floor`.
    pub(crate) async fn read(&self, view: &str, floor: &Cut) -> RealtimeView {
        eventually(async || match self.try_read(view, floor).await {
            Ok(realtime) => Some(realtime),
            // It may not have heard yet of what changes that.
            Err(RealtimeError::UnknownView(view)) => panic!("{view}"),
            Err(_) => None,
        })
        .await
    }

    /// Reads once the log's end is reached.
    pub(crate) async fn read_all(&self, view: &str, floor: &Cut) -> RealtimeView {
        eventually(async || {
            let realtime = self.read(view, floor).await;
            for (partition, head) in realtime.head.iter() {
                if head < self.log_end(partition).await {
                    return None;
                }
            }
            Some(realtime)
        })
        .await
    }

    /// Reads until the layer cannot be read from the start `floor` any more.
    pub(crate) async fn refused(&self, view: &str, floor: &Cut) -> RealtimeError {
        eventually(async || self.try_read(view, floor).await.err()).await
    }

    /// Checks that the slices read meet the batch states below `cut`, and that both together give the answer of one
    /// fold.
    pub(crate) async fn check(&self, view: &str, cut: &Cut, realtime: &RealtimeView) {
        let partitions = self.stream.options.partitions;
        meet(cut, realtime, partitions).unwrap();
        let view = self.view(view);
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
            self.check(view.name.as_str(), cut, &realtime).await;
        }
    }

    /// The state of `range`, from scratch.
    pub(crate) async fn fold(&self, view: &Arc<View>, partition: i32, range: OffsetRange) -> Vec<RecordBatch> {
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

    pub(crate) fn status(&self, partition: usize) -> PartitionStatus {
        self.layer().status()[partition].clone()
    }

    /// Waits until the partition's state is as asked for.
    pub(crate) async fn state(&self, partition: usize, wanted: impl Fn(&FoldState) -> bool) -> FoldState {
        eventually(async || Some(self.status(partition).state).filter(&wanted)).await
    }
}

/// Asks until there is an answer, for at most 20 seconds.
pub(crate) async fn eventually<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.expect("it did not come true in 20 seconds")
}
