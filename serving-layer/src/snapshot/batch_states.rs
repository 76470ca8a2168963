//! Batch states from the store, decoded once and shared by all queries.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use dovetail_core::manifest::{StateFile, ViewStates};
use dovetail_core::state_file::{self, StateFileError};
use dovetail_core::store::Store;
use dovetail_core::view::View;
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::error::{QueryError, Reason};
use crate::memory::{Pool, Shared};
use crate::snapshot::cache::{Cache, Kind, Room};

/// The states of one batch view.
#[derive(Debug)]
pub(crate) struct States {
    /// Names of the files that they come from: equal ids are equal states.
    pub(crate) id: Arc<str>,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    /// Their bytes, which count until they are dropped.
    room: Option<Room>,
}

impl States {
    /// The states of a view before the first generation.
    pub(crate) fn none() -> Arc<Self> {
        Arc::new(Self { id: "".into(), batches: vec![], rows: 0, bytes: 0, room: None })
    }

    fn is_kept(&self) -> bool {
        self.room.as_ref().is_some_and(Room::is_kept)
    }
}

type Cell = OnceCell<Arc<States>>;

/// Reads states, or finds those read before: in the cache, or in use by other queries.
#[derive(Debug)]
pub(crate) struct StateCache {
    store: Store,
    cache: Arc<Cache>,
    /// Memory for decoding, besides its result.
    work: Arc<Pool>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// States that are being read.
    reading: HashMap<Arc<str>, Weak<Cell>>,
    /// States too large for the cache that are in use at the moment.
    lent: HashMap<Arc<str>, Weak<States>>,
}

impl StateCache {
    pub(crate) fn new(store: Store, cache: &Arc<Cache>, memory: &Shared) -> Self {
        Self { store, cache: Arc::clone(cache), work: Pool::of("states", memory), known: Mutex::default() }
    }

    /// The states of `view` in a manifest. Concurrent readers read them once.
    pub(crate) async fn get(&self, view: &Arc<View>, states: &ViewStates) -> Result<Arc<States>, QueryError> {
        let id = id(states);
        let cell = {
            let mut known = self.known();
            if let Some(found) = self.cache.states(&id).or_else(|| known.lent.get(&id).and_then(Weak::upgrade)) {
                return Ok(found);
            }
            known.reading.retain(|_, cell| cell.strong_count() > 0);
            known.lent.retain(|_, states| states.strong_count() > 0);
            let cell = known.reading.get(&id).and_then(Weak::upgrade).unwrap_or_default();
            known.reading.insert(Arc::clone(&id), Arc::downgrade(&cell));
            cell
        };
        let read = async {
            let states = self.read(Arc::clone(&id), view, states).await?;
            if states.is_kept() {
                self.cache.keep_states(&states);
            } else {
                self.known().lent.insert(Arc::clone(&id), Arc::downgrade(&states));
            }
            Ok(states)
        };
        cell.get_or_try_init(|| read).await.cloned()
    }

    fn known(&self) -> parking_lot::MutexGuard<'_, Known> {
        self.known.lock()
    }

    async fn read(&self, id: Arc<str>, view: &Arc<View>, states: &ViewStates) -> Result<Arc<States>, QueryError> {
        let mut batches = vec![];
        let mut room = self.cache.room(Kind::States, &view.name);
        for file in states.state_files() {
            // The object's memory while it is decoded.
            let object = self.work.take(&view.name, usize::try_from(file.bytes).unwrap_or(usize::MAX))?;
            let bytes = self.store.get(&Path::from(file.path.as_str())).await?;
            let (view, of, file, cache) = (Arc::clone(view), states.clone(), file.clone(), Arc::clone(&self.cache));
            let decoded = SpawnedTask::spawn_blocking(move || {
                let _object = object;
                let decoded = decode(&view, &of, &file, bytes, |bytes| cache.grow(&room, bytes))?;
                Ok::<_, QueryError>((decoded, room))
            });
            let (decoded, grown) = decoded.await.map_err(|_| QueryError::panicked())??;
            batches.extend(decoded);
            room = grown;
        }
        if !states.deltas.is_empty() {
            // Reserved once for all queries of the generation.
            let work = self.work.take(&view.name, room.bytes().saturating_mul(2))?;
            let view = Arc::clone(view);
            let merged = SpawnedTask::spawn_blocking(move || {
                let _work = work;
                view.merge(&batches)
            });
            batches = merged.await.map_err(|_| QueryError::panicked())??;
        }
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let bytes = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        room.shrink_to(bytes);
        self.cache.grow(&room, bytes - room.bytes())?;
        Ok(Arc::new(States { id, batches, rows, bytes, room: Some(room) }))
    }
}

fn id(states: &ViewStates) -> Arc<str> {
    let paths: Vec<&str> = states.state_files().map(|file| file.path.as_str()).collect();
    format!("{} {}", states.fingerprint, paths.join(" ")).into()
}

/// Decodes the states; the bytes of each batch are reserved before it is added.
fn decode(
    view: &View,
    states: &ViewStates,
    file: &StateFile,
    bytes: Bytes,
    taking: impl Fn(usize) -> Result<(), QueryError>,
) -> Result<Vec<RecordBatch>, QueryError> {
    let failed = |error| damaged(view, file, &error);
    let mut batches = vec![];
    for batch in state_file::read(view, states, file, bytes).map_err(failed)? {
        let batch = batch.map_err(failed)?;
        taking(batch.get_array_memory_size())?;
        batches.push(batch);
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
