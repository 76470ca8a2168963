//! Comparison of the ledger of objects, the recorded objects, and the content of the store.

use std::collections::{BTreeMap, BTreeSet};

use object_store::path::Path;

use crate::catalog::{Catalog, CatalogError, ObjectState};
use crate::store::{Store, StoreError};

/// An error that kept the comparison from being made.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The catalog could not be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store could not be listed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lists the whole store and returns the faults, a line each. While nobody writes there are none, unless this program
/// has a bug or somebody else wrote to the store or the catalog.
///
/// | object | has to be |
/// |---|---|
/// | recorded: named by a segment or a kept generation | live, and in the store |
/// | live | recorded |
/// | in the store | in the ledger, and not as deleted |
pub async fn faults(catalog: &Catalog, store: &Store) -> Result<Vec<String>, LedgerError> {
    let (objects, recorded) = catalog.ledger().await?;
    let ledger: BTreeMap<String, ObjectState> = objects.into_iter().map(|object| (object.path, object.state)).collect();
    let stored = store.list_prefix(&Path::from("")).await?;
    let stored: BTreeSet<&str> = stored.iter().map(|object| object.location.as_ref()).collect();
    let mut faults = vec![];
    for path in &recorded {
        match ledger.get(path) {
            Some(ObjectState::Live) => {}
            Some(state) => faults.push(format!("`{path}` is recorded, the ledger says {state}")),
            None => faults.push(format!("`{path}` is recorded, the ledger does not know it")),
        }
        if !stored.contains(path.as_str()) {
            faults.push(format!("`{path}` is recorded, the store does not have it"));
        }
    }
    let live = ledger.iter().filter(|(_, state)| **state == ObjectState::Live);
    let unrecorded = live.filter(|(path, _)| !recorded.contains(*path));
    faults.extend(unrecorded.map(|(path, _)| format!("`{path}` is live, nothing names it")));
    for path in stored {
        match ledger.get(path) {
            None => faults.push(format!("`{path}` is in the store, the ledger does not know it")),
            Some(ObjectState::Deleted) => faults.push(format!("`{path}` is in the store, the ledger says deleted")),
            Some(_) => {}
        }
    }
    Ok(faults)
}
