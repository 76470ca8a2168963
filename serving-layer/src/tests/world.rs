//! A pipeline in memory: rows by partition, a speed layer that folds them when asked, generations on demand.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use async_trait::async_trait;
use dovetail_core::catalog::{Catalog, NewRun};
use dovetail_core::clock::Clock;
use dovetail_core::manifest::{StateFile, ViewStates};
use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::offsets::{Cut, OffsetRange, Offsets};
use dovetail_core::realtime::{Realtime, RealtimeError, RealtimeView, Slice, Stall};
use dovetail_core::state_file;
use dovetail_core::store::{self, Store};
use dovetail_core::view::{Folder, Planner, View, sort_state};
use dovetail_ingestion::log::Log;
use dovetail_testkit::fixtures::{folded, new_run, no_states, pipeline, publish, stream};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use crate::{Answer, LandingAt, LandingReport, QueryError, Serving, ServingConfig, ServingParts};

pub(super) const PIPELINE: &str = "
CREATE EXTERNAL TABLE clicks (user_id VARCHAR, page VARCHAR, ms BIGINT)
STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2');
CREATE VIEW by_page AS SELECT page, count(*) AS clicks, sum(ms) AS total FROM clicks GROUP BY page;
CREATE VIEW by_user AS SELECT user_id, count(*) AS clicks, approx_distinct(page) AS pages FROM clicks GROUP BY user_id;
CREATE VIEW everything AS SELECT count(*) AS clicks, max(ms) AS longest FROM clicks;
CREATE VIEW slow AS SELECT user_id, page, ms FROM clicks WHERE ms > 100;
CREATE VIEW busy AS SELECT page FROM by_page WHERE clicks > 1;
";

/// A record: user, page, milliseconds.
pub(super) type Click = (&'static str, &'static str, i64);

/// A speed layer that holds all rows and folds whatever is asked for.
#[derive(Debug)]
pub(super) struct Rows {
    views: Vec<Arc<View>>,
    pub(super) partitions: Mutex<BTreeMap<i32, Vec<RecordBatch>>>,
    /// Starts below which it reports that it is catching up.
    pub(super) reached: Mutex<Option<Cut>>,
    /// Offsets at which slices are cut, besides the start and the head.
    pub(super) boundaries: Mutex<HashSet<i64>>,
    /// Partitions that nobody holds.
    pub(super) gone: Mutex<HashSet<i32>>,
    /// Partitions that it has never heard of.
    pub(super) unknown: Mutex<HashSet<i32>>,
    /// Partitions that it sends from the log's start, whatever the requested start.
    pub(super) from_start: Mutex<HashSet<i32>>,
    /// Whether the second slice of a partition is one that nothing can be made of.
    pub(super) spoiled: AtomicBool,
    /// Partitions for which a reader has no room.
    pub(super) no_room: Mutex<HashSet<i32>>,
    /// Number of merges that have begun.
    pub(super) merges: AtomicUsize,
}

impl Rows {
    async fn fold(&self, view: &Arc<View>, partition: i32, range: OffsetRange) -> Vec<RecordBatch> {
        let rows = self.partitions.lock().unwrap()[&partition].clone();
        let mut folder = Folder::new(view).unwrap();
        for offset in range.start..range.end {
            folder.fold(&rows[offset as usize]).await.unwrap();
        }
        folder.take_state().unwrap()
    }

    fn ends(&self) -> Offsets {
        self.partitions.lock().unwrap().iter().map(|(&p, rows)| (p, rows.len() as i64)).collect()
    }
}

#[async_trait]
impl Realtime for Rows {
    async fn read(&self, view: &ViewName, start: &Cut) -> Result<RealtimeView, RealtimeError> {
        let found = self.views.iter().find(|v| v.name == *view);
        let view = found.ok_or_else(|| RealtimeError::UnknownView(view.clone()))?;
        if let Some(reached) = &*self.reached.lock().unwrap()
            && start != reached
        {
            let view = view.name.clone();
            return Err(RealtimeError::CatchingUp { view, partition: 0, head: 7, behind: 35 });
        }
        let gone = self.gone.lock().unwrap().clone();
        let unknown = self.unknown.lock().unwrap().clone();
        let is_held = |partition: &i32| !gone.contains(partition) && !unknown.contains(partition);
        let head: Offsets = self.ends().iter().filter(|(partition, _)| is_held(partition)).collect();
        let mut start = Cut(head.partitions().map(|partition| (partition, start.get(partition))).collect());
        for &partition in &*self.from_start.lock().unwrap() {
            start.0.set(partition, 0);
        }
        let mut slices = vec![];
        for (partition, end) in head.iter() {
            let mut cuts: Vec<i64> = self.boundaries.lock().unwrap().iter().copied().collect();
            cuts.retain(|&cut| start.get(partition) < cut && cut < end);
            cuts.push(end);
            cuts.sort_unstable();
            let mut from = start.get(partition);
            for cut in cuts {
                let range = OffsetRange::new(from, cut);
                let mut state = self.fold(view, partition, range).await;
                if self.spoiled.load(Ordering::Relaxed) && from > start.get(partition) {
                    state = state.into_iter().map(spoil).collect();
                }
                let state = Arc::new(state);
                slices.push(Slice { partition, range, state, errors: Arc::default() });
                from = cut;
            }
        }
        let missing = gone.into_iter().map(|partition| {
            let why = "speed layer `b` was last heard 3.0 s ago".to_owned();
            (partition, RealtimeError::Missing { view: view.name.clone(), partitions: vec![partition], why })
        });
        Ok(RealtimeView { start, head, slices, missing: missing.collect() })
    }

    fn head(&self, _view: &ViewName) -> Result<Offsets, RealtimeError> {
        Ok(self.ends())
    }

    fn stalled(&self, _view: &ViewName) -> Vec<(i32, Stall)> {
        let partitions = self.no_room.lock().unwrap();
        partitions.iter().map(|&partition| (partition, Stall::no_room("no room: it does not fit"))).collect()
    }

    fn keep_boundary(&self, _view: &ViewName, _at: &Offsets) {
        self.merges.fetch_add(1, Ordering::Relaxed);
    }
}

/// The state with texts where numbers should be: a merge of it meets a bug.
fn spoil(state: RecordBatch) -> RecordBatch {
    let text = |column: &ArrayRef| match column.data_type() {
        DataType::Int64 => Arc::new(StringArray::from(vec!["?"; column.len()])) as ArrayRef,
        _ => Arc::clone(column),
    };
    let columns: Vec<ArrayRef> = state.columns().iter().map(text).collect();
    let fields = columns.iter().enumerate().map(|(i, c)| Field::new(format!("c{i}"), c.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
}

/// Looks until it is so, for at most 30 seconds.
pub(super) async fn until(what: &str, look: impl Fn() -> bool) {
    let give_up = std::time::Instant::now() + Duration::from_secs(30);
    while !look() {
        assert!(std::time::Instant::now() < give_up, "not in 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Landing that waits for the disk in the first partition.
#[derive(Debug)]
struct FirstIsStalled;

impl LandingReport for FirstIsStalled {
    fn at(&self, stream: &StreamName, partition: i32) -> Option<LandingAt> {
        assert_eq!(stream.as_str(), "clicks");
        Some(match partition {
            0 => LandingAt { state: "stalled".to_owned(), error: Some("the disk is full".to_owned()) },
            _ => LandingAt { state: "landing".to_owned(), error: None },
        })
    }
}

pub(super) struct World {
    pub(super) serving: Arc<Serving>,
    pub(super) rows: Arc<Rows>,
    pub(super) catalog: Catalog,
    pub(super) store: Store,
    pub(super) folder: TempDir,
    views: Vec<Arc<View>>,
}

pub(super) fn config() -> ServingConfig {
    ServingConfig {
        query_timeout: Duration::from_secs(30),
        query_memory: 64 << 20,
        total_memory: 256 << 20,
        state_cache_bytes: 64 << 20,
        max_queries: 8,
        max_connections: 8,
        catch_up: Duration::from_millis(60),
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(PIPELINE, config()).await
    }

    pub(super) async fn with(sql: &str, config: ServingConfig) -> Self {
        Self::made(sql, config, None).await
    }

    pub(super) async fn on(log: Arc<dyn Log>) -> Self {
        Self::made(PIPELINE, config(), Some(log)).await
    }

    async fn made(sql: &str, config: ServingConfig, log: Option<Arc<dyn Log>>) -> Self {
        let pipeline = pipeline(sql);
        let mut planner = Planner::new(&pipeline).await.unwrap();
        let mut planned = vec![];
        for view in &pipeline.views {
            planned.push(planner.plan(view).await.unwrap());
        }
        let views = folded(&planned);
        let rows = Arc::new(Rows {
            views: views.clone(),
            partitions: Mutex::new([(0, vec![]), (1, vec![])].into()),
            reached: Mutex::default(),
            boundaries: Mutex::default(),
            gone: Mutex::default(),
            unknown: Mutex::default(),
            from_start: Mutex::default(),
            spoiled: AtomicBool::default(),
            no_room: Mutex::default(),
            merges: AtomicUsize::default(),
        });
        let folder = TempDir::new().unwrap();
        let store = Store::local(folder.path()).unwrap();
        let catalog = Catalog::open("sqlite::memory:").await.unwrap();
        for partition in 0..2 {
            catalog.init_partition("Clicks", partition, 0).await.unwrap();
        }
        let parts = ServingParts {
            views: planned,
            streams: pipeline.streams.iter().cloned().map(Arc::new).collect(),
            lookups: planner.context().clone(),
            catalog: catalog.clone(),
            store: store.clone(),
            realtime: Some(Arc::clone(&rows) as Arc<dyn Realtime>),
            log,
            landing: Some(Arc::new(FirstIsStalled)),
            clock: Clock::manual(1_000),
            metrics: None,
            config,
        };
        let serving = Serving::new(parts).await.unwrap();
        Self { serving, rows, catalog, store, folder, views }
    }

    /// Appends one record, which every layer could read at once.
    pub(super) fn append(&self, partition: i32, (user, page, ms): Click) {
        let mut partitions = self.rows.partitions.lock().unwrap();
        let rows = partitions.get_mut(&partition).unwrap();
        rows.push(row(partition, rows.len() as i64, user, page, ms));
    }

    pub(super) fn append_all(&self, clicks: &[Click]) {
        for (i, click) in clicks.iter().enumerate() {
            self.append(i as i32 % 2, *click);
        }
    }

    /// Publishes a generation of the named views (all when empty) up to here, and serves it if it can be met.
    pub(super) async fn publish(&self, names: &[&str]) -> bool {
        self.publish_with(names, |state| state).await
    }

    /// As [`World::publish`], with states changed on their way.
    pub(super) async fn publish_with(&self, names: &[&str], change: impl Fn(RecordBatch) -> RecordBatch) -> bool {
        let cut = Cut(self.rows.ends());
        let generation = self.catalog.next_generation_number().await.unwrap();
        let mut views = BTreeMap::new();
        for view in self.views.iter().filter(|v| names.is_empty() || names.contains(&v.name.as_str())) {
            let mut states = vec![];
            for (partition, end) in cut.0.iter() {
                states.extend(self.rows.fold(view, partition, OffsetRange::new(0, end)).await);
            }
            let merged = sort_state(view, &view.merge(&states).unwrap()).unwrap();
            let merged: Vec<RecordBatch> = merged.into_iter().map(&change).collect();
            let path = store::path::states(generation, &view.name, 0);
            let about = state_file::about(view, &cut, generation);
            let bytes = parquet(&view.state_schema(), &merged, about);
            let rows = merged.iter().map(|s| s.num_rows() as u64).sum();
            let file = StateFile { path: path.to_string(), bytes: bytes.len() as u64, rows };
            self.catalog.stage(&[(path.as_ref(), file.bytes)], None).await.unwrap();
            self.store.put_new(&path, bytes.into()).await.unwrap();
            let states = ViewStates { rows, groups: rows, files: vec![file], ..no_states(view, "Clicks", &cut) };
            views.insert(view.name.clone(), states);
        }
        let run = self.start_run(vec![]).await;
        publish(&self.catalog, generation, run, views).await;
        self.serving.follow().await.unwrap()
    }

    pub(super) async fn start_run(&self, views: Vec<ViewName>) -> i64 {
        let run = NewRun { views, ..new_run(BTreeMap::new()) };
        self.catalog.start_run(&run).await.unwrap().id
    }

    pub(super) async fn ask(&self, sql: &str) -> Result<Answer, QueryError> {
        self.serving.query(sql).await
    }

    /// The answer's rows as text, `a|b` each.
    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        lines(&self.try_rows(sql).await.unwrap())
    }

    pub(super) async fn try_rows(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        self.ask(sql).await?.collect().await
    }

    pub(super) async fn error(&self, sql: &str) -> QueryError {
        match self.try_rows(sql).await {
            Err(error) => error,
            Ok(rows) => panic!("`{sql}` was answered:\n{}", pretty_format_batches(&rows).unwrap()),
        }
    }
}

pub(super) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = vec![];
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values =
                batch.columns().iter().map(|column| arrow::util::display::array_value_to_string(column, row).unwrap());
            lines.push(values.collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

pub(super) fn parquet(schema: &arrow::datatypes::SchemaRef, states: &[RecordBatch], about: Vec<KeyValue>) -> Vec<u8> {
    let mut bytes = vec![];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(about)).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(schema), Some(properties)).unwrap();
    for state in states {
        writer.write(state).unwrap();
    }
    writer.close().unwrap();
    bytes
}

/// One decoded record.
fn row(partition: i32, offset: i64, user: &str, page: &str, ms: i64) -> RecordBatch {
    let schema = stream(PIPELINE).decoded_schema();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![user])),
        Arc::new(StringArray::from(vec![page])),
        Arc::new(Int64Array::from(vec![ms])),
        Arc::new(arrow::array::Int32Array::from(vec![partition])),
        Arc::new(Int64Array::from(vec![offset])),
    ];
    for field in &schema.fields()[5..] {
        columns.push(arrow::array::new_null_array(field.data_type(), 1));
    }
    RecordBatch::try_new(schema, columns).unwrap()
}
