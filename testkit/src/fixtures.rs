//! Pipelines and records, and a log and a catalog in a folder of the test.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::catalog::{Catalog, NewRun, PublishedGeneration, RunKind, Trigger};
use dovetail_core::clock::Clock;
use dovetail_core::manifest::{LeftOut, Manifest, ViewStates};
use dovetail_core::name::{Generation, StreamName, ViewName};
use dovetail_core::offsets::Cut;
use dovetail_core::pipeline::{Pipeline, Stream};
use dovetail_core::record::Records;
use dovetail_core::view::{Planned, Planner, View};
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::embedded::{EmbeddedLog, EmbeddedLogConfig};

/// The embedded log in `folder`.
pub fn log_in(folder: &Path) -> Arc<dyn Log> {
    let config = EmbeddedLogConfig { queue_bytes: 1 << 20, tail_bytes: 1 << 20 };
    Arc::new(EmbeddedLog::open(&folder.join("log"), &config).unwrap())
}

/// URL of the catalog in `folder`, where processes keep theirs.
pub fn catalog_url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("catalog.db").display())
}

pub async fn catalog_in(folder: &Path, clock: Clock) -> Catalog {
    Catalog::open_by(&catalog_url(folder), clock).await.unwrap()
}

pub fn pipeline(sql: &str) -> Pipeline {
    Pipeline::parse(sql, Path::new("/test.sql")).unwrap()
}

/// The first stream of a pipeline.
pub fn stream(sql: &str) -> Arc<Stream> {
    Arc::new(pipeline(sql).streams.swap_remove(0))
}

/// The streams of a pipeline, and those of its views that are folded.
pub async fn planned(sql: &str) -> (Vec<Arc<Stream>>, Vec<Arc<View>>) {
    let pipeline = pipeline(sql);
    let mut planner = Planner::new(&pipeline).await.unwrap();
    let mut views = vec![];
    for definition in &pipeline.views {
        views.push(planner.plan(definition).await.unwrap());
    }
    (pipeline.streams.into_iter().map(Arc::new).collect(), folded(&views))
}

pub fn folded(views: &[Planned]) -> Vec<Arc<View>> {
    let folded = views.iter().filter_map(|view| match view {
        Planned::Folded(view) => Some(Arc::clone(view)),
        Planned::Derived(_) => None,
    });
    folded.collect()
}

/// One record a line, without keys.
pub fn records<L: AsRef<[u8]>>(lines: &[L]) -> Records {
    Records::from_values(1_000, lines.iter().map(AsRef::as_ref))
}

/// A record of `clicks (user_id BIGINT, page VARCHAR, ms BIGINT)`.
pub fn click(i: usize) -> String {
    format!(r#"{{"user_id": {}, "page": "/p{}", "ms": {}}}"#, i % 97, i % 11, i % 101)
}

pub fn cut(offsets: &[i64]) -> Cut {
    Cut((0..).zip(offsets.iter().copied()).collect())
}

pub fn name(view: &str) -> ViewName {
    ViewName::parse(view).unwrap()
}

/// A full run of all views on demand.
pub fn new_run(cuts: BTreeMap<StreamName, Cut>) -> NewRun {
    NewRun {
        kind: RunKind::Full,
        trigger: Trigger::Demand,
        views: vec![],
        cuts,
        owner: "test".to_owned(),
        lease: Duration::from_secs(100),
        basis: None,
        moment: None,
    }
}

/// The states of `view` below a cut, without files.
pub fn no_states(view: &View, topic: &str, cut: &Cut) -> ViewStates {
    ViewStates {
        fingerprint: view.fingerprint.clone(),
        stream: view.stream.clone(),
        topic: topic.to_owned(),
        cut: cut.clone(),
        rows: 0,
        groups: 0,
        files: vec![],
        deltas: vec![],
        errors: LeftOut::default(),
    }
}

/// Publishes these states as the result of the run.
pub async fn publish(catalog: &Catalog, generation: Generation, run_id: i64, views: BTreeMap<ViewName, ViewStates>) {
    let manifest = Manifest { generation, run_id, created_ms: 1, engine: "test".to_owned(), views };
    let published = PublishedGeneration {
        generation,
        run_id,
        manifest_path: dovetail_core::store::path::manifest(generation).to_string(),
        manifest: manifest.to_json().unwrap(),
        published_ms: 1,
        failed: None,
    };
    catalog.stage(&[(&published.manifest_path, 1)], Some(run_id)).await.unwrap();
    catalog.publish(&published, current(catalog).await).await.unwrap();
}

/// The current generation; 0 if there is none.
pub async fn current(catalog: &Catalog) -> Generation {
    catalog.current().await.unwrap().map_or_else(Generation::default, |row| row.generation)
}
