//! The slices with which a job begins: those of its last checkpoint, or empty ones up to its start.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use dovetail_core::catalog::{Catalog, Checkpoint, Job};
use dovetail_core::manifest::{StateFile, ViewStates};
use dovetail_core::name::{Generation, JobName, ViewName};
use dovetail_core::offsets::{OffsetRange, Offsets};
use dovetail_core::realtime::Slice;
use dovetail_core::store::Store;
use dovetail_core::view::{RowError, RowErrors, View};
use dovetail_core::{state_file, view_error_file};
use tracing::warn;

use crate::checkpoint::JobView;
use crate::error::JobError;

/// The state of a job at its start.
#[derive(Debug, Default)]
pub(crate) struct RestoredJob {
    /// The slices of each view, at most one a partition.
    pub(crate) slices: HashMap<ViewName, Vec<Slice>>,
    /// The views of the checkpoint.
    pub(crate) last: BTreeMap<ViewName, ViewStates>,
    /// Its number; none without a checkpoint.
    pub(crate) number: Option<Generation>,
}

/// Reads the last checkpoint of `job` that can be read; a damaged one is passed over with a warning, because the log has
/// everything that came since an earlier one. Without any, the job begins at its start. A view whose definition means something else since, such as after an upgrade,
/// begins at the start of the job.
pub(crate) async fn restore(
    job: &Job,
    views: &[JobView],
    catalog: &Catalog,
    store: &Store,
) -> Result<RestoredJob, JobError> {
    let checkpoints = catalog.checkpoints().await?.into_iter().filter(|checkpoint| checkpoint.job == job.name);
    for checkpoint in checkpoints {
        match of(job, Some(&checkpoint), views, catalog, store).await {
            Err(error) if error.is_damage() => {
                metrics::counter!("dovetail_checkpoints_damaged_total", "job" => job.name.to_string()).increment(1);
                warn!(job = %job.name, checkpoint = %checkpoint.number, %error, "a checkpoint cannot be used: the one before is");
            }
            restored => return restored,
        }
    }
    of(job, None, views, catalog, store).await
}

async fn of(
    job: &Job,
    checkpoint: Option<&Checkpoint>,
    views: &[JobView],
    catalog: &Catalog,
    store: &Store,
) -> Result<RestoredJob, JobError> {
    let mut restored = RestoredJob::default();
    if let Some(checkpoint) = checkpoint {
        restored.number = Some(checkpoint.number);
        restored.last = catalog.checkpoint_manifest(checkpoint)?.views;
        restored.last.retain(|name, states| {
            let same = views.iter().any(|of| of.view.name == *name && of.view.fingerprint == states.fingerprint);
            if !same {
                warn!(job = %job.name, view = %name, "the checkpoint is of another definition: the view is folded anew");
            }
            same
        });
        for of in views {
            if let Some(states) = restored.last.get(&of.view.name) {
                let read = Reading { job: &job.name, number: checkpoint.number, store };
                restored.slices.insert(of.view.name.clone(), read.slices(&of.view, states).await?);
            }
        }
    }
    for of in views {
        let starts = job.starts.get(&of.topic).cloned().unwrap_or_default();
        restored.slices.entry(of.view.name.clone()).or_insert_with(|| empty_up_to(&starts));
    }
    Ok(restored)
}

fn empty_up_to(starts: &Offsets) -> Vec<Slice> {
    starts.iter().map(|(partition, offset)| Slice::empty(partition, OffsetRange::new(0, offset.max(0)))).collect()
}

struct Reading<'r> {
    job: &'r JobName,
    number: Generation,
    store: &'r Store,
}

impl Reading<'_> {
    /// The states as slices. They are merged over all partitions: the first partition that is not empty has them all,
    /// the others have empty slices of their ranges.
    async fn slices(&self, view: &Arc<View>, states: &ViewStates) -> Result<Vec<Slice>, JobError> {
        let state = Arc::new(self.states(view, states).await?);
        let errors = Arc::new(self.errors(states).await?);
        let mut slices: Vec<Slice> = vec![];
        for (partition, end) in states.cut.0.iter().filter(|&(_, end)| end > 0) {
            let range = OffsetRange::new(0, end);
            slices.push(match slices.is_empty() {
                true => Slice { partition, range, state: Arc::clone(&state), errors: Arc::clone(&errors) },
                false => Slice::empty(partition, range),
            });
        }
        Ok(slices)
    }

    async fn states(&self, view: &Arc<View>, states: &ViewStates) -> Result<Vec<RecordBatch>, JobError> {
        let mut batches = vec![];
        for file in states.state_files() {
            let content = self.store.get(&file.path.as_str().into()).await?;
            let (of, view, named) = (states.clone(), Arc::clone(view), file.clone());
            let decode = move || state_file::read(&view, &of, &named, content)?.collect::<Result<Vec<_>, _>>();
            let read = tokio::task::spawn_blocking(decode).await?;
            batches.extend(read.map_err(|source| self.damaged(file, source))?);
        }
        Ok(batches)
    }

    async fn errors(&self, states: &ViewStates) -> Result<RowErrors, JobError> {
        let mut listed = vec![];
        for file in &states.errors.files {
            let content = self.store.get(&file.path.as_str().into()).await?;
            let failed = |why: String| JobError::DamagedErrors {
                job: self.job.clone(),
                number: self.number,
                path: file.path.clone(),
                why,
            };
            for batch in view_error_file::read(content).map_err(|error| failed(error.to_string()))? {
                listed.extend(rows(&batch.map_err(|error| failed(error.to_string()))?));
            }
        }
        Ok(RowErrors { tally: states.errors.tally, listed })
    }

    fn damaged(&self, file: &StateFile, source: state_file::StateFileError) -> JobError {
        JobError::Damaged { job: self.job.clone(), number: self.number, path: file.path.clone(), source }
    }
}

fn rows(batch: &RecordBatch) -> Vec<RowError> {
    let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
    let row = |row: usize| RowError {
        partition: batch.column(0).as_primitive::<Int32Type>().value(row),
        offset: batch.column(1).as_primitive::<Int64Type>().value(row),
        expression: text(2, row),
        error: text(3, row),
        value: text(4, row),
    };
    (0..batch.num_rows()).map(row).collect()
}
