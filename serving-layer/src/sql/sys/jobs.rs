//! `sys.jobs` and `sys.checkpoints`.

use arrow::array::RecordBatch;
use dovetail_core::catalog::{CatalogError, Checkpoint, CurrentJob, Job};
use dovetail_core::manifest::{Manifest, ViewStates};
use futures::future::join_all;

use super::column::{self, Column, count, float, instant, int64, text};
use crate::error::QueryError;
use crate::job_status::JobStatus;
use crate::snapshot::layers::Layers;

/// A job with its progress, where this process runs it.
#[derive(Debug, Clone)]
pub struct JobRow {
    /// The job as the catalog has it.
    pub job: Job,
    /// `current`, `previous` or `beside`.
    pub role: &'static str,
    /// Whether a process runs it.
    pub runs: bool,
    /// Number of its last checkpoint.
    pub checkpoint: Option<u64>,
    /// The reason why it could not be started here.
    pub failed: Option<String>,
    /// Its progress, if this process runs it.
    pub status: Option<JobStatus>,
}

pub(super) const JOBS: &[Column<JobRow>] = &[
    text("name", |row: &JobRow| Some(row.job.name.to_string())).required(),
    text("role", |row: &JobRow| Some(row.role.to_owned())).required(),
    text("state", |row: &JobRow| Some(row.state().to_owned())).required(),
    instant("created", |row: &JobRow| Some(row.job.created_ms)).required(),
    text("starts", |row: &JobRow| serde_json::to_string(&row.job.starts).ok()).required(),
    int64("done", |row: &JobRow| count(row.status.as_ref()?.done)),
    int64("end", |row: &JobRow| count(row.status.as_ref()?.end)),
    float("rate", |row: &JobRow| Some(row.status.as_ref()?.rate)),
    float("eta_seconds", |row: &JobRow| Some(row.status.as_ref()?.eta?.as_secs_f64())),
    int64("bytes", |row: &JobRow| count(row.status.as_ref()?.bytes)),
    int64("checkpoint", |row: &JobRow| count(row.checkpoint?)),
    text("holder", |row: &JobRow| Some(row.job.holder.clone()).filter(|holder| !holder.is_empty())),
    text("address", |row: &JobRow| Some(row.job.address.clone()).filter(|address| !address.is_empty())),
    text("trouble", JobRow::trouble),
];

impl JobRow {
    /// The reason why it does not run here, does not fold, or takes no checkpoints.
    pub fn trouble(&self) -> Option<String> {
        self.status.as_ref().and_then(|status| status.trouble.clone()).or_else(|| self.failed.clone())
    }

    /// `failed` to start here, `waiting` for a process, `elsewhere`, `replaying`, `stalled`, or at the `head` of the log.
    pub fn state(&self) -> &'static str {
        match &self.status {
            None if self.failed.is_some() => "failed",
            None if self.runs => "elsewhere",
            None => "waiting",
            Some(status) if status.trouble.is_some() => "stalled",
            Some(status) if status.done < status.end && status.eta.is_none_or(|eta| eta.as_millis() > 1000) => {
                "replaying"
            }
            Some(_) => "head",
        }
    }
}

/// All jobs, the oldest first.
pub(crate) async fn job_rows(layers: &Layers) -> Result<Vec<JobRow>, CatalogError> {
    let CurrentJob { job: current, previous, .. } = layers.catalog.current_job().await?;
    let (jobs, now_ms) = (layers.catalog.jobs().await?, layers.catalog.now_ms().await?);
    let checkpoints = layers.catalog.checkpoints().await?;
    let served = layers.jobs();
    let row = async |job: Job| {
        let report = served.all.get(&job.name).and_then(|layers| layers.report.as_ref());
        JobRow {
            role: match Some(&job.name) {
                name if name == current.as_ref() => "current",
                name if name == previous.as_ref() => "previous",
                _ => "beside",
            },
            runs: job.until_ms > now_ms,
            checkpoint: checkpoints.iter().find(|of| of.job == job.name).map(|of| of.number.0),
            failed: served.failed.get(&job.name).cloned(),
            status: match report {
                Some(report) => Some(report.now().await),
                None => None,
            },
            job,
        }
    };
    Ok(join_all(jobs.into_iter().map(row)).await)
}

pub(super) async fn jobs(layers: &Layers) -> Result<RecordBatch, QueryError> {
    column::batch(JOBS, &job_rows(layers).await?)
}

/// A checkpoint with the content of its manifest, if that can be read.
pub(super) struct CheckpointRow {
    row: Checkpoint,
    manifest: Option<Manifest>,
}

pub(super) const CHECKPOINTS: &[Column<CheckpointRow>] = &[
    int64("number", |of: &CheckpointRow| count(of.row.number.0)).required(),
    text("job", |of: &CheckpointRow| Some(of.row.job.to_string())).required(),
    instant("taken", |of: &CheckpointRow| Some(of.row.taken_ms)).required(),
    int64("views", |of: &CheckpointRow| count(of.manifest.as_ref()?.views.len() as u64)),
    int64("groups", |of: &CheckpointRow| count(of.manifest.as_ref()?.views.values().map(|v| v.groups).sum())),
    int64("bytes", |of: &CheckpointRow| count(bytes(of.manifest.as_ref()?))),
    text("offsets", |of: &CheckpointRow| {
        let views = &of.manifest.as_ref()?.views;
        serde_json::to_string(
            &views.iter().map(|(name, states)| (name, &states.cut)).collect::<std::collections::BTreeMap<_, _>>(),
        )
        .ok()
    }),
    text("manifest_path", |of: &CheckpointRow| Some(of.row.manifest_path.clone())).required(),
];

fn bytes(manifest: &Manifest) -> u64 {
    manifest.views.values().flat_map(ViewStates::all_files).map(|file| file.bytes).sum()
}

pub(super) async fn checkpoints(layers: &Layers) -> Result<RecordBatch, QueryError> {
    let all = layers.catalog.checkpoints().await?;
    let rows =
        all.into_iter().map(|row| CheckpointRow { manifest: layers.catalog.checkpoint_manifest(&row).ok(), row });
    column::batch(CHECKPOINTS, &rows.collect::<Vec<_>>())
}
