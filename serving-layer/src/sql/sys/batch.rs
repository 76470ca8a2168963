//! `sys.batch_runs`, `sys.generations` and `sys.drift`.

use arrow::array::RecordBatch;
use dovetail_core::catalog::{Drift, GenerationRow, Run};
use dovetail_core::manifest::{Manifest, ViewStates};

use super::column::{self, Column, count, float, instant, int64, text};
use crate::error::QueryError;
use crate::snapshot::layers::Layers;

/// Number of latest rows in each of these tables.
const LATEST: u32 = 1000;

pub(super) const RUNS: &[Column<Run>] = &[
    int64("id", |run: &Run| Some(run.id)).required(),
    text("kind", |run: &Run| Some(run.kind.as_str().to_owned())).required(),
    text("started_by", |run: &Run| Some(run.trigger.as_str().to_owned())).required(),
    text("state", |run: &Run| Some(run.state.as_str().to_owned())).required(),
    text("views", |run: &Run| Some(run.views.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")))
        .required(),
    instant("started", |run: &Run| Some(run.started_ms)).required(),
    instant("finished", |run: &Run| run.finished_ms),
    int64("rows", |run: &Run| count(run.rows)).required(),
    int64("segments", |run: &Run| count(run.segments)).required(),
    int64("generation", |run: &Run| run.generation.map(|generation| generation.0.cast_signed())),
    text("cuts", |run: &Run| serde_json::to_string(&run.cuts).ok()).required(),
    text("error", |run: &Run| run.error.clone()),
    text("owner", |run: &Run| Some(run.owner.clone())).required(),
];

pub(super) async fn runs(layers: &Layers) -> Result<RecordBatch, QueryError> {
    column::batch(RUNS, &layers.catalog.runs(LATEST).await?)
}

/// A generation with the content of its manifest, if that can be read.
pub(super) struct Published {
    row: GenerationRow,
    manifest: Option<Manifest>,
    state: &'static str,
}

pub(super) const GENERATIONS: &[Column<Published>] = &[
    int64("generation", |of: &Published| Some(of.row.generation.0.cast_signed())).required(),
    int64("run_id", |of: &Published| Some(of.row.run_id)).required(),
    text("state", |of: &Published| Some(of.state.to_owned())).required(),
    instant("published", |of: &Published| Some(of.row.published_ms)).required(),
    instant("retired", |of: &Published| of.row.retired_ms),
    int64("views", |of: &Published| count(of.manifest.as_ref()?.views.len() as u64)),
    int64("bytes", |of: &Published| count(bytes(of.manifest.as_ref()?))),
    text("manifest_path", |of: &Published| Some(of.row.manifest_path.clone())).required(),
];

fn bytes(manifest: &Manifest) -> u64 {
    manifest.views.values().flat_map(ViewStates::all_files).map(|file| file.bytes).sum()
}

pub(super) async fn generations(layers: &Layers) -> Result<RecordBatch, QueryError> {
    let current = layers.catalog.current().await?.map(|row| row.generation);
    let served = layers.served().generation();
    let published = |row: GenerationRow| {
        let state = match row.retired_ms {
            Some(_) => "retired",
            None if row.generation == served => "served",
            None if Some(row.generation) == current => "current",
            None => "kept",
        };
        Published { manifest: Manifest::from_json(&row.manifest).ok(), state, row }
    };
    let rows: Vec<Published> = layers.catalog.generations(LATEST).await?.into_iter().map(published).collect();
    column::batch(GENERATIONS, &rows)
}

pub(super) const DRIFT: &[Column<Drift>] = &[
    int64("run_id", |drift: &Drift| Some(drift.run_id)).required(),
    int64("generation", |drift: &Drift| Some(drift.generation.0.cast_signed())).required(),
    text("view", |drift: &Drift| Some(drift.view.to_string())).required(),
    float("drift", |drift: &Drift| Some(drift.drift).filter(|rows| !rows.is_nan())),
    int64("compared_rows", |drift: &Drift| count(drift.compared_rows)).required(),
    text("detail", |drift: &Drift| Some(drift.detail.clone())).required(),
];

pub(super) async fn drift(layers: &Layers) -> Result<RecordBatch, QueryError> {
    column::batch(DRIFT, &layers.catalog.drifts(LATEST).await?)
}
