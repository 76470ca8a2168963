//! Batch states as they lie in the store, decoded once and shared by all queries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use dovetail_core::manifest::{StateFile, ViewStates};
use dovetail_core::state_file::{self, StateFileError};
use dovetail_core::store::Store;
use dovetail_core::view::View;
use object_store::path::Path;
use tokio::sync::OnceCell;

use crate::error::{QueryError, Reason};

/// The states of one batch view.
#[derive(Debug)]
pub(crate) struct States {
    /// The files they come from: equal ids are equal states.
    pub(crate) id: Arc<str>,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

impl States {
    /// What a view has before the first generation.
    pub(crate) fn none() -> Arc<Self> {
        Arc::new(Self { id: "".into(), batches: vec![], rows: 0, bytes: 0 })
    }
}

type Cell = Arc<OnceCell<Arc<States>>>;

/// Decoded states up to a number of bytes; what was not used for longest goes first.
#[derive(Debug)]
pub(crate) struct StateCache {
    store: Store,
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    cells: HashMap<Arc<str>, (Cell, u64)>,
    uses: u64,
}

impl Held {
    fn cell(&mut self, id: &Arc<str>) -> Cell {
        self.uses += 1;
        let (cell, used) = self.cells.entry(Arc::clone(id)).or_default();
        *used = self.uses;
        Arc::clone(cell)
    }

    fn bytes(&self) -> usize {
        self.cells.values().filter_map(|(cell, _)| cell.get()).map(|states| states.bytes).sum()
    }

    /// Lets go of the least recently used until the rest fits; those still being read stay.
    fn shrink(&mut self, limit: usize) {
        while self.bytes() > limit {
            let loaded = self.cells.iter().filter(|(_, (cell, _))| cell.initialized());
            let Some(oldest) = loaded.min_by_key(|(_, (_, used))| *used).map(|(id, _)| Arc::clone(id)) else { return };
            self.cells.remove(&oldest);
        }
    }
}

impl StateCache {
    pub(crate) fn new(store: Store, limit: usize) -> Self {
        Self { store, limit, held: Mutex::default() }
    }

    /// The states that a manifest names for `view`. Readers that come at once read them once.
    pub(crate) async fn get(&self, view: &Arc<View>, states: &ViewStates) -> Result<Arc<States>, QueryError> {
        let id = id(states);
        let cell = self.held().cell(&id);
        let found = cell.get_or_try_init(|| self.read(Arc::clone(&id), view, states)).await.cloned();
        let bytes = {
            let mut held = self.held();
            if found.is_err() && !cell.initialized() {
                held.cells.remove(&id);
            }
            held.shrink(self.limit);
            held.bytes()
        };
        metrics::gauge!("dovetail_state_cache_bytes").set(bytes as f64);
        found
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.held().bytes()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, id: Arc<str>, view: &Arc<View>, states: &ViewStates) -> Result<Arc<States>, QueryError> {
        let mut batches = vec![];
        for file in states.all_files() {
            let bytes = self.store.get(&Path::from(file.path.as_str())).await?;
            let (view, of, file) = (Arc::clone(view), states.clone(), file.clone());
            let decoded = SpawnedTask::spawn_blocking(move || decode(&view, &of, &file, bytes)).await;
            batches.extend(decoded.map_err(|_| QueryError::panicked())??);
        }
        if !states.deltas.is_empty() {
            // Once for all queries of the generation.
            let view = Arc::clone(view);
            let merged = SpawnedTask::spawn_blocking(move || view.merge(&batches)).await;
            batches = merged.map_err(|_| QueryError::panicked())??;
        }
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let bytes = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        Ok(Arc::new(States { id, batches, rows, bytes }))
    }
}

fn id(states: &ViewStates) -> Arc<str> {
    let paths: Vec<&str> = states.all_files().map(|file| file.path.as_str()).collect();
    format!("{} {}", states.fingerprint, paths.join(" ")).into()
}

fn decode(view: &View, states: &ViewStates, file: &StateFile, bytes: Bytes) -> Result<Vec<RecordBatch>, QueryError> {
    let failed = |error| damaged(view, file, &error);
    let mut batches = vec![];
    for batch in state_file::read(view, states, file, bytes).map_err(failed)? {
        batches.push(batch.map_err(failed)?);
    }
    Ok(batches)
}

fn damaged(view: &View, file: &StateFile, why: &StateFileError) -> QueryError {
    QueryError::new(
        Reason::Storage,
        format!("state file `{}` of view `{}` cannot be used: {why}", file.path, view.name),
    )
    .with_hint("restore the object from a copy, or run `dovetail recompute --full`")
}
