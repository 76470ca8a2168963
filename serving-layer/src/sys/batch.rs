//! `sys.batch_runs`, `sys.generations` and `sys.drift`.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use dovetail_core::manifest::{Manifest, ViewStates};

use super::column;
use crate::error::QueryError;
use crate::raw::{instant, schema};
use crate::serving::Inner;

/// The latest rows that each of these tables shows.
const LATEST: u32 = 1000;

pub(super) fn runs_schema() -> SchemaRef {
    schema(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("started_by", DataType::Utf8, false),
        Field::new("state", DataType::Utf8, false),
        Field::new("views", DataType::Utf8, false),
        instant("started", false),
        instant("finished", true),
        Field::new("rows", DataType::Int64, false),
        Field::new("segments", DataType::Int64, false),
        Field::new("generation", DataType::Int64, true),
        Field::new("cuts", DataType::Utf8, false),
        Field::new("error", DataType::Utf8, true),
        Field::new("owner", DataType::Utf8, false),
    ])
}

pub(super) async fn runs(inner: &Inner) -> Result<RecordBatch, QueryError> {
    let runs = inner.catalog.runs(LATEST).await?;
    let views =
        |names: &[dovetail_core::name::ViewName]| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    column::batch(
        runs_schema(),
        vec![
            column::int64(runs.iter().map(|r| Some(r.id))),
            column::text(runs.iter().map(|r| Some(r.kind.as_str()))),
            column::text(runs.iter().map(|r| Some(r.trigger.as_str()))),
            column::text(runs.iter().map(|r| Some(r.state.as_str()))),
            column::text(runs.iter().map(|r| Some(views(&r.views)))),
            column::instant(runs.iter().map(|r| Some(r.started_ms))),
            column::instant(runs.iter().map(|r| r.finished_ms)),
            column::count(runs.iter().map(|r| r.rows)),
            column::count(runs.iter().map(|r| r.segments)),
            column::int64(runs.iter().map(|r| r.generation.map(|g| g.0.cast_signed()))),
            column::text(runs.iter().map(|r| serde_json::to_string(&r.cuts).ok())),
            column::text(runs.iter().map(|r| r.error.as_ref())),
            column::text(runs.iter().map(|r| Some(&r.owner))),
        ],
    )
}

pub(super) fn generations_schema() -> SchemaRef {
    schema(vec![
        Field::new("generation", DataType::Int64, false),
        Field::new("run_id", DataType::Int64, false),
        Field::new("state", DataType::Utf8, false),
        instant("published", false),
        instant("retired", true),
        Field::new("views", DataType::Int64, true),
        Field::new("bytes", DataType::Int64, true),
        Field::new("manifest_path", DataType::Utf8, false),
    ])
}

pub(super) async fn generations(inner: &Inner) -> Result<RecordBatch, QueryError> {
    let rows = inner.catalog.generations(LATEST).await?;
    let current = inner.catalog.current().await?.map(|row| row.generation);
    let served = inner.served().generation();
    let manifests: Vec<Option<Manifest>> = rows.iter().map(|row| Manifest::from_json(&row.manifest).ok()).collect();
    let bytes = |m: &Manifest| {
        let files = m.views.values().flat_map(ViewStates::all_files);
        files.map(|file| file.bytes).sum::<u64>().cast_signed()
    };
    let state = |row: &dovetail_core::catalog::GenerationRow| match row.retired_ms {
        Some(_) => "retired",
        None if row.generation == served => "served",
        None if Some(row.generation) == current => "current",
        None => "kept",
    };
    column::batch(
        generations_schema(),
        vec![
            column::int64(rows.iter().map(|r| Some(r.generation.0.cast_signed()))),
            column::int64(rows.iter().map(|r| Some(r.run_id))),
            column::text(rows.iter().map(|r| Some(state(r)))),
            column::instant(rows.iter().map(|r| Some(r.published_ms))),
            column::instant(rows.iter().map(|r| r.retired_ms)),
            column::int64(manifests.iter().map(|m| m.as_ref().map(|m| m.views.len() as i64))),
            column::int64(manifests.iter().map(|m| m.as_ref().map(bytes))),
            column::text(rows.iter().map(|r| Some(&r.manifest_path))),
        ],
    )
}

pub(super) fn drift_schema() -> SchemaRef {
    schema(vec![
        Field::new("run_id", DataType::Int64, false),
        Field::new("generation", DataType::Int64, false),
        Field::new("view", DataType::Utf8, false),
        Field::new("drift", DataType::Float64, true),
        Field::new("compared_rows", DataType::Int64, false),
        Field::new("detail", DataType::Utf8, false),
    ])
}

pub(super) async fn drift(inner: &Inner) -> Result<RecordBatch, QueryError> {
    let drifts = inner.catalog.drifts(LATEST).await?;
    column::batch(
        drift_schema(),
        vec![
            column::int64(drifts.iter().map(|d| Some(d.run_id))),
            column::int64(drifts.iter().map(|d| Some(d.generation.0.cast_signed()))),
            column::text(drifts.iter().map(|d| Some(d.view.as_str()))),
            column::float(drifts.iter().map(|d| Some(d.drift).filter(|drift| !drift.is_nan()))),
            column::count(drifts.iter().map(|d| d.compared_rows)),
            column::text(drifts.iter().map(|d| Some(&d.detail))),
        ],
    )
}
