//! A checkpoint: the states of all views of a job with the offsets that they reach, as create-only objects and one
//! change of the catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use dovetail_core::catalog::{Catalog, JobLease};
use dovetail_core::clock::Clock;
use dovetail_core::encode;
use dovetail_core::manifest::{LeftOut, Manifest, StateFile, ViewStates};
use dovetail_core::name::{Generation, ViewName};
use dovetail_core::offsets::Cut;
use dovetail_core::realtime::{Realtime, RealtimeView};
use dovetail_core::store::{Store, path};
use dovetail_core::view::{RowErrors, View, sort_state};
use dovetail_core::{state_file, view_error_file};
use dovetail_speed_layer::SpeedLayer;
use object_store::path::Path;
use parquet::errors::ParquetError;

use crate::error::JobError;

/// Size in bytes at which a file of states is closed, approximately.
const FILE_BYTES: usize = 64 << 20;
/// Number of states that are encoded before the size of the file is checked.
const ROWS_AT_ONCE: usize = state_file::ROWS;

/// A view of a job, and the topic of its stream.
#[derive(Debug, Clone)]
pub(crate) struct JobView {
    pub(crate) view: Arc<View>,
    pub(crate) topic: String,
}

/// The writer of a job's checkpoints.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    pub(crate) views: Vec<JobView>,
    pub(crate) layer: Arc<SpeedLayer>,
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) keep: usize,
    /// The views of the last checkpoint: one that has folded nothing since is not written again.
    pub(crate) last: BTreeMap<ViewName, ViewStates>,
}

/// The checkpoint that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) number: Generation,
    /// Bytes of the objects that were written for it.
    pub(crate) bytes: u64,
}

impl Checkpoints {
    /// Takes a checkpoint; none when no view has folded anything since the last one.
    ///
    /// # On a crash
    /// Before the change of the catalog the last checkpoint stays the last one. The objects are staged; upkeep deletes
    /// them when the time for staging is over. After it the checkpoint is recorded and its objects are live.
    pub(crate) async fn take(&mut self, lease: &JobLease) -> Result<Option<Taken>, JobError> {
        let mut changed = vec![];
        for of in &self.views {
            let states = self.layer.read(&of.view.name, &Cut::default()).await?.whole()?;
            let cut = Cut(states.head.clone());
            if self.last.get(&of.view.name).is_none_or(|last| last.cut != cut) {
                changed.push((of.clone(), states));
            }
        }
        if changed.is_empty() {
            return Ok(None);
        }
        let number = self.catalog.next_generation_number().await?;
        let mut written = vec![];
        let taken = self.write(lease, number, changed, &mut written).await;
        if taken.is_err() {
            // Left to the next collection if the catalog does not answer either.
            let paths: Vec<&str> = written.iter().map(|file: &StateFile| file.path.as_str()).collect();
            let _ = self.catalog.give_up(&paths).await;
        }
        taken.map(Some)
    }

    async fn write(
        &mut self,
        lease: &JobLease,
        number: Generation,
        changed: Vec<(JobView, RealtimeView)>,
        written: &mut Vec<StateFile>,
    ) -> Result<Taken, JobError> {
        let mut views = self.last.clone();
        for (of, states) in changed {
            let states = self.write_view(number, &of, states, written).await?;
            views.insert(of.view.name.clone(), states);
        }
        let engine = env!("CARGO_PKG_VERSION").to_owned();
        let created_ms = self.clock.now_ms();
        let manifest = Manifest { generation: number, run_id: 0, created_ms, engine, views };
        let text = manifest.to_json()?;
        let path = path::manifest(number);
        self.put(&path, Bytes::from(text.clone()), 0, written).await?;
        self.catalog.record_checkpoint(lease, number, path.as_ref(), &text, self.keep).await?;
        self.last = manifest.views;
        Ok(Taken { number, bytes: written.iter().map(|file| file.bytes).sum() })
    }

    async fn write_view(
        &self,
        number: Generation,
        of: &JobView,
        states: RealtimeView,
        written: &mut Vec<StateFile>,
    ) -> Result<ViewStates, JobError> {
        let view = &of.view;
        let cut = Cut(states.head.clone());
        let failed = |why: String| JobError::Write { view: view.name.clone(), why };
        let mut errors = RowErrors::default();
        for slice in &states.slices {
            errors.append(&slice.errors);
        }
        let (merging, about) = (Arc::clone(view), state_file::about(view, &cut, number));
        let encoded = tokio::task::spawn_blocking(move || encode_states(&merging, &states, about)).await?;
        let (mut files, mut groups) = (vec![], 0);
        for (n, (content, rows)) in (0..).zip(encoded.map_err(failed)?) {
            files.push(self.put(&path::states(number, &view.name, n), content, rows, written).await?);
            groups += rows;
        }
        let mut left_out = LeftOut { tally: errors.tally, files: vec![] };
        if !errors.listed.is_empty() {
            let content = encode_errors(&errors).map_err(|error| failed(error.to_string()))?;
            let rows = errors.listed.len() as u64;
            left_out.files.push(self.put(&path::errors(number, &view.name, 0), content, rows, written).await?);
        }
        Ok(ViewStates {
            fingerprint: view.fingerprint.clone(),
            stream: view.stream.clone(),
            topic: of.topic.clone(),
            rows: cut.0.iter().map(|(_, offset)| offset.unsigned_abs()).sum(),
            cut,
            groups,
            files,
            deltas: vec![],
            errors: left_out,
        })
    }

    /// Announces an object in the ledger, then puts it.
    ///
    /// # On a crash
    /// The object is staged, and may be in the store; upkeep deletes it when the time for staging is over.
    async fn put(
        &self,
        path: &Path,
        content: Bytes,
        rows: u64,
        written: &mut Vec<StateFile>,
    ) -> Result<StateFile, JobError> {
        let file = StateFile { path: path.to_string(), bytes: content.len() as u64, rows };
        written.push(file.clone());
        self.catalog.stage(&[(path.as_ref(), file.bytes)], None).await?;
        self.store.put_new(path, content).await?;
        Ok(file)
    }
}

/// All states merged, as files with their number of rows.
fn encode_states(
    view: &View,
    states: &RealtimeView,
    about: Vec<parquet::file::metadata::KeyValue>,
) -> Result<Vec<(Bytes, u64)>, String> {
    let all: Vec<RecordBatch> = states.slices.iter().flat_map(|slice| slice.state.iter().cloned()).collect();
    let merged = match view.is_aggregate() {
        true => view.merge(&all).and_then(|merged| sort_state(view, &merged)).map_err(|error| error.to_string())?,
        false => all,
    };
    let schema = view.state_schema();
    let new = || encode::states(&schema, view.group_columns(), about.clone());
    let (mut files, mut encoder, mut rows) = (vec![], None, 0);
    let failed = |error: ParquetError| error.to_string();
    for batch in &merged {
        let mut at = 0;
        while at < batch.num_rows() {
            let part = batch.slice(at, (batch.num_rows() - at).min(ROWS_AT_ONCE));
            at += part.num_rows();
            let mut open = encoder.take().map_or_else(&new, Ok).map_err(failed)?;
            open.write(&part).map_err(failed)?;
            rows += part.num_rows() as u64;
            if open.size() >= FILE_BYTES {
                files.push((encode::finish(open).map_err(failed)?, std::mem::take(&mut rows)));
            } else {
                encoder = Some(open);
            }
        }
    }
    if let Some(open) = encoder {
        files.push((encode::finish(open).map_err(failed)?, rows));
    }
    Ok(files)
}

fn encode_errors(errors: &RowErrors) -> Result<Bytes, ParquetError> {
    let mut encoder = encode::errors()?;
    encoder.write(&view_error_file::batch(&errors.listed)?)?;
    encode::finish(encoder)
}
