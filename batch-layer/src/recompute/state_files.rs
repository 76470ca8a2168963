//! States as Parquet files. Their metadata, and its check, are in [`dovetail_core::state_file`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::Bytes;
use dovetail_core::catalog::Catalog;
use dovetail_core::encode::{self, ParquetEncoder};
use dovetail_core::manifest::{Manifest, StateFile, ViewStates};
use dovetail_core::name::Generation;
use dovetail_core::offsets::Cut;
use dovetail_core::state_file::{self, StateFileError};
use dovetail_core::store::{Store, path};
use dovetail_core::view::{View, sort_state};
use parking_lot::Mutex;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::RunError;
use crate::recompute::repeated_change::patiently;

/// Size in bytes at which a file of states is closed, approximately.
const FILE_BYTES: usize = 64 << 20;

/// Objects that a run has written, or tried to: they are garbage if it does not publish.
#[derive(Debug, Default)]
pub(crate) struct WrittenObjects(Mutex<Vec<String>>);

impl WrittenObjects {
    fn add(&self, path: &str) {
        self.0.lock().push(path.to_owned());
    }

    /// Forgets the objects that a published manifest names, and the manifest itself: the rest belongs to views that
    /// failed.
    pub(crate) fn keep_only_unnamed(&self, manifest: &Manifest, path: &str) {
        let named = manifest.views.values().flat_map(ViewStates::all_files).map(|file| file.path.as_str());
        let named: BTreeSet<&str> = named.chain([path]).collect();
        self.0.lock().retain(|path| !named.contains(path.as_str()));
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

/// The destination of a run's objects.
#[derive(Debug)]
pub(crate) struct Output<'r> {
    pub(crate) catalog: &'r Catalog,
    pub(crate) store: &'r Store,
    pub(crate) run_id: i64,
    /// Time for which a request to the catalog is repeated while it is away.
    pub(crate) patience: Duration,
    pub(crate) generation: Generation,
    pub(crate) written: &'r WrittenObjects,
}

impl Output<'_> {
    /// Writes an object under a path that only this run has. The ledger has it before the store does, and keeps it as
    /// long as the run lives.
    ///
    /// # On a crash
    /// The object is staged and belongs to a run that is dead once its lease has passed; upkeep deletes it then.
    pub(crate) async fn put(&self, path: &object_store::path::Path, content: Bytes) -> Result<(), RunError> {
        self.written.add(path.as_ref());
        let announced = [(path.as_ref(), content.len() as u64)];
        patiently(self.patience, || self.catalog.stage(&announced, Some(self.run_id))).await?;
        Ok(self.store.put_new(path, content).await?)
    }
}

/// One view's files while they are written.
pub(crate) struct StateWriter<'r> {
    output: &'r Output<'r>,
    view: &'r View,
    about: Vec<KeyValue>,
    encoder: Option<ParquetEncoder>,
    files: Vec<StateFile>,
    /// Number of rows in the present file.
    rows: u64,
}

impl<'r> StateWriter<'r> {
    pub(crate) fn new(output: &'r Output<'r>, view: &'r View, cut: &Cut) -> Self {
        let about = state_file::about(view, cut, output.generation);
        Self { output, view, about, encoder: None, files: vec![], rows: 0 }
    }

    /// Adds states, encoded on a thread that does not fold, because it takes long.
    pub(crate) async fn add(&mut self, states: Vec<RecordBatch>) -> Result<(), RunError> {
        let rows: usize = states.iter().map(RecordBatch::num_rows).sum();
        if rows == 0 {
            return Ok(());
        }
        let (view, about) = (self.view, self.about.clone());
        let encoder = match self.encoder.take() {
            Some(encoder) => Ok(encoder),
            None => encode::states(&view.state_schema(), view.group_columns(), about),
        };
        let mut encoder = encoder.map_err(|error| self.failed(&error))?;
        let encoded = tokio::task::spawn_blocking(move || {
            states.iter().try_for_each(|state| encoder.write(state)).map(|()| encoder)
        });
        let encoder = encoded.await?.map_err(|error| self.failed(&error))?;
        let size = encoder.size();
        self.encoder = Some(encoder);
        self.rows += rows as u64;
        if size >= FILE_BYTES { self.close_file().await } else { Ok(()) }
    }

    /// Writes the last file and returns all of them.
    pub(crate) async fn finish(mut self) -> Result<Vec<StateFile>, RunError> {
        self.close_file().await?;
        Ok(self.files)
    }

    async fn close_file(&mut self) -> Result<(), RunError> {
        let Some(encoder) = self.encoder.take() else { return Ok(()) };
        let content = tokio::task::spawn_blocking(move || encode::finish(encoder)).await?;
        let content = content.map_err(|error| self.failed(&error))?;
        let n = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let path = path::states(self.output.generation, &self.view.name, n);
        let bytes = content.len() as u64;
        self.output.put(&path, content).await?;
        self.files.push(StateFile { path: path.to_string(), bytes, rows: std::mem::take(&mut self.rows) });
        Ok(())
    }

    fn failed(&self, error: &ParquetError) -> RunError {
        RunError::Fold { view: self.view.name.clone(), why: format!("its states cannot be encoded: {error}") }
    }
}

/// States of one view merged into one, sorted for Parquet.
pub(crate) fn merged(view: &View, states: &[RecordBatch]) -> datafusion::common::Result<Vec<RecordBatch>> {
    match states {
        // The state of a fold alone is merged already.
        [one] => sort_state(view, std::slice::from_ref(one)),
        several => sort_state(view, &view.merge(several)?),
    }
}

/// Reads a batch view's states into memory.
pub(crate) async fn read(store: &Store, view: &Arc<View>, states: &ViewStates) -> Result<Vec<RecordBatch>, RunError> {
    let mut batches = vec![];
    let (name, states) = (&view.name, Arc::new(states.clone()));
    for file in states.state_files() {
        let content = store.get(&file.path.as_str().into()).await;
        let content = content.map_err(|error| RunError::states(name, &file.path, error))?;
        let (view, of, path, file) = (Arc::clone(view), Arc::clone(&states), file.path.clone(), file.clone());
        let decode = move || state_file::read(&view, &of, &file, content)?.collect::<Result<Vec<_>, _>>();
        let read: Result<_, StateFileError> = tokio::task::spawn_blocking(decode).await?;
        batches.extend(read.map_err(|why| RunError::states(name, &path, why))?);
    }
    Ok(batches)
}
