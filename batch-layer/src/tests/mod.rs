//! A pipeline over an embedded log, an in-memory object store that can be made to fail, and what tests ask of them.

mod formats;
mod layer;
mod ledger;
mod several;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use dovetail_core::catalog::{Catalog, ObjectState, RunKind, Trigger};
use dovetail_core::clock::Clock;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::{Store, StoreSettings};
use dovetail_core::view::View;
use dovetail_ingestion::decoded_log::{DecodedLog, DecodedLogConfig};
use dovetail_ingestion::landed_records::LandedRecords;
use dovetail_ingestion::log::Log;
use dovetail_testkit::fixtures::{catalog_in, log_in, planned, records};
use dovetail_testkit::log::FakeLog;
use dovetail_testkit::store::FakeStore;
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{LandingConfig, RunConfig};
use crate::landing::{Board, LandingParts};
use crate::recompute::{RecomputeParts, Reporter, RunError, RunOutcome, RunRequest};
use crate::upkeep::Upkeep;
use crate::writer_id::WriterId;

pub(crate) const CLICKS: &str = "
CREATE EXTERNAL TABLE clicks (user_id BIGINT NOT NULL, page VARCHAR, ms DOUBLE)
STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2');
CREATE VIEW per_page AS SELECT page, count(*) AS n, sum(user_id) AS s, max(ms) AS m FROM clicks GROUP BY page;
CREATE VIEW total AS SELECT count(*) AS n, count(DISTINCT user_id) AS users FROM clicks;
CREATE VIEW slow AS SELECT _partition, _offset, page FROM clicks WHERE ms > 50;
";

const SETTINGS: StoreSettings = StoreSettings {
    timeout: Duration::from_secs(60),
    attempts: 1,
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(1),
};

pub(crate) struct Rig {
    folder: TempDir,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) fake: Arc<FakeStore>,
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) streams: Vec<Arc<Stream>>,
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) decoded_log: Arc<DecodedLog>,
}

impl Rig {
    pub(crate) async fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = log_in(folder.path());
        let clock = Clock::manual(1_000_000);
        let catalog = catalog_in(folder.path(), clock.clone()).await;
        let fake = FakeStore::in_memory();
        let store = Store::new(Arc::clone(&fake) as _).with_settings(SETTINGS);
        let (streams, views) = planned(sql).await;
        let stream = Arc::clone(&streams[0]);
        log.create_topic(&stream.topic, stream.options.partitions).await.unwrap();
        let decoded_log = decoded_log(&log, stream).await;
        Self { folder, log, fake, catalog, store, clock, streams, views, decoded_log }
    }

    /// The same log, catalog and store under another pipeline, as after a restart.
    pub(crate) async fn with_pipeline(self, sql: &str) -> Self {
        let (streams, views) = planned(sql).await;
        let decoded_log = decoded_log(&self.log, Arc::clone(&streams[0])).await;
        Self { streams, views, decoded_log, ..self }
    }

    /// The same, landing from a log that can be away.
    pub(crate) async fn on_fake_log(self) -> (Self, Arc<FakeLog>) {
        let fake = FakeLog::over(Arc::clone(&self.log));
        let log: Arc<dyn Log> = Arc::<FakeLog>::clone(&fake);
        let decoded_log = decoded_log(&log, Arc::clone(&self.streams[0])).await;
        (Self { decoded_log, ..self }, fake)
    }

    /// A store for one of several processes, which waits where a test says; the objects are the same.
    fn gated(&self) -> (Store, Arc<FakeStore>) {
        let gate = FakeStore::over(Arc::clone(&self.fake) as _);
        (Store::new(Arc::clone(&gate) as _).with_settings(SETTINGS), gate)
    }

    /// The ledger, what is recorded, and what the store holds are of one mind.
    pub(crate) async fn check_ledger(&self) {
        let faults = dovetail_core::ledger::faults(&self.catalog, &self.store).await.unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// Paths of the objects in one state.
    pub(crate) async fn objects(&self, state: ObjectState) -> Vec<String> {
        let objects = self.catalog.objects().await.unwrap();
        objects.into_iter().filter(|object| object.state == state).map(|object| object.path).collect()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn topic(&self) -> &str {
        &self.streams[0].topic
    }

    pub(crate) async fn append(&self, partition: i32, lines: &[String]) {
        self.log.append(self.topic(), partition, records(lines), None).await.unwrap();
    }

    /// `n` clicks to each partition, every 50th of them bad, several appends.
    pub(crate) async fn append_clicks(&self, from: usize, n: usize) {
        for partition in 0..2 {
            let lines: Vec<String> = (from..from + n).map(|i| click(i * 2 + partition)).collect();
            for lines in lines.chunks(37) {
                self.append(i32::try_from(partition).unwrap(), lines).await;
            }
        }
    }

    pub(crate) fn landing(&self, config: LandingConfig) -> Arc<LandingParts> {
        self.landing_on(self.store.clone(), config)
    }

    fn landing_on(&self, store: Store, config: LandingConfig) -> Arc<LandingParts> {
        Arc::new(LandingParts {
            catalog: self.catalog.clone(),
            store,
            clock: self.clock.clone(),
            config,
            writer: Arc::new(WriterId::default()),
            board: Board::new(),
            ends: broadcast::channel(1000).0,
            shutdown: CancellationToken::new(),
        })
    }

    /// Lands everything that is in the log.
    pub(crate) async fn land(&self) {
        let landing = self.landing(small_segments());
        let tracker = TaskTracker::new();
        landing
            .segment_writers(&self.decoded_log, 0..self.decoded_log.partitions(), None)
            .into_iter()
            .for_each(|segment_writer| drop(tracker.spawn(segment_writer.run())));
        self.landed().await;
        landing.shutdown.cancel();
        tracker.close();
        tracker.wait().await;
    }

    /// Returns once the landing has reached the log's end.
    pub(crate) async fn landed(&self) {
        let mut changes = self.catalog.changes();
        loop {
            let next = self.catalog.next_offsets(self.topic()).await.unwrap();
            let mut behind = false;
            for partition in 0..self.decoded_log.partitions().cast_signed() {
                let end = self.log.bounds(self.topic(), partition).await.unwrap().end;
                behind |= next.get(partition) < end;
            }
            if !behind {
                return;
            }
            changes.changed().await.unwrap();
        }
    }

    pub(crate) fn recompute(&self) -> RecomputeParts {
        RecomputeParts {
            streams: self.streams.iter().map(|stream| (stream.name.clone(), Arc::clone(stream))).collect(),
            views: self.views.clone(),
            catalog: self.catalog.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            config: runs(),
            reporter: Reporter::new(),
        }
    }

    pub(crate) fn upkeep(&self) -> Upkeep {
        Upkeep {
            streams: self.streams.clone(),
            views: self.views.clone(),
            log: None,
            catalog: self.catalog.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            config: runs(),
            writer: Arc::new(WriterId::default()),
            deleted_again: tokio::sync::Mutex::default(),
        }
    }

    /// Offsets of all records that the partition's segments hold, sorted.
    pub(crate) async fn landed_records(&self, partition: i32) -> Vec<i64> {
        let mut offsets = vec![];
        for segment in self.catalog.segments(self.topic()).await.unwrap() {
            if segment.partition == partition {
                let records = LandedRecords::open(&self.store, &segment).await.unwrap();
                offsets.extend(records.flat_map(|fetched| fetched.unwrap().offsets.values().to_vec()));
            }
        }
        offsets.sort_unstable();
        offsets
    }

    pub(crate) async fn run(&self, kind: RunKind) -> Result<RunOutcome, RunError> {
        let request = RunRequest { kind, views: None, trigger: Trigger::Demand };
        self.recompute().run(&request, None, &CancellationToken::new()).await
    }

    /// The answer of a published view, as sorted lines.
    pub(crate) async fn batch_answer(&self, view: &str) -> Vec<String> {
        let view = self.view(view);
        let (_, manifest) = self.recompute().current().await.unwrap();
        let states = &manifest.unwrap().views[&view.name];
        let states = crate::recompute::read_states(&self.store, view, states).await.unwrap();
        let finished = view.finish(&states, None).unwrap();
        let leaf = MemTable::try_new(view.leaf_schema(), vec![finished]).unwrap();
        let context = SessionContext::new();
        let plan = view.answer_plan(Arc::new(leaf)).unwrap();
        lines(&context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap())
    }

    /// The answer that plain DataFusion gives over everything in the log, as sorted lines.
    pub(crate) async fn one_shot_answer(&self, view: &str) -> Vec<String> {
        let table = MemTable::try_new(self.streams[0].decoded_schema(), vec![self.log_rows().await]).unwrap();
        let context = SessionContext::new();
        context.register_table(self.streams[0].name.as_str(), Arc::new(table)).unwrap();
        lines(&context.sql(&self.view(view).sql).await.unwrap().collect().await.unwrap())
    }

    /// Every row of the log that decodes.
    pub(crate) async fn log_rows(&self) -> Vec<RecordBatch> {
        let mut rows = vec![];
        for partition in 0..self.decoded_log.partitions().cast_signed() {
            let bounds = self.log.bounds(self.topic(), partition).await.unwrap();
            let mut at = bounds.start;
            while at < bounds.end {
                let decoded = self.decoded_log.read(partition, at).await.unwrap();
                at = decoded.range.end;
                rows.push(dovetail_core::stored::fitted(&decoded.rows, &self.streams[0].decoded_schema()).unwrap());
            }
        }
        rows
    }

    pub(crate) async fn check_answers(&self) {
        for view in &self.views {
            let name = view.name.as_str();
            assert_eq!(self.batch_answer(name).await, self.one_shot_answer(name).await, "{name}");
        }
    }

    pub(crate) fn view(&self, name: &str) -> &Arc<View> {
        self.views.iter().find(|view| view.name.as_str() == name).unwrap()
    }
}

pub(crate) fn click(i: usize) -> String {
    if i % 50 == 7 {
        return format!("{{\"user_id\": \"nobody {i}\"");
    }
    format!(r#"{{"user_id": {}, "page": "/p{}", "ms": {}.5}}"#, i % 97, i % 11, i % 101)
}

pub(crate) fn small_segments() -> LandingConfig {
    LandingConfig {
        segment_bytes: 4000,
        segment_age: Duration::from_millis(5),
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
        stop_grace: Duration::from_millis(200),
    }
}

pub(crate) fn runs() -> RunConfig {
    RunConfig {
        incremental: None,
        full: None,
        cores: 2,
        owner: "test".to_owned(),
        lease: Duration::from_secs(60),
        leader_lease: Duration::from_secs(2),
        keep_generations: 2,
        garbage_grace: Duration::from_secs(300),
        staging_limit: Duration::from_secs(3600),
        compact_to_bytes: 1 << 20,
        upkeep_every: Duration::from_secs(3600),
    }
}

pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let row = |batch: &RecordBatch, i| {
        let values = batch.columns().iter().map(|column| array_value_to_string(column, i).unwrap());
        values.collect::<Vec<_>>().join(" | ")
    };
    let mut lines: Vec<String> = batches.iter().flat_map(|b| (0..b.num_rows()).map(move |i| row(b, i))).collect();
    lines.sort();
    lines
}

async fn decoded_log(log: &Arc<dyn Log>, stream: Arc<Stream>) -> Arc<DecodedLog> {
    let config = DecodedLogConfig { batch_bytes: 2000, cache_bytes: 100_000 };
    Arc::new(DecodedLog::open(Arc::clone(log), stream, config).await.unwrap())
}

pub(crate) fn decoded_logs(rig: &Rig) -> HashMap<dovetail_core::name::StreamName, Arc<DecodedLog>> {
    [(rig.streams[0].name.clone(), Arc::clone(&rig.decoded_log))].into()
}
