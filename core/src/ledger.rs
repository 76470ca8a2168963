//! Whether the ledger of objects, what is recorded, and what the store holds are of one mind.

use std::collections::{BTreeMap, BTreeSet};

use object_store::path::Path;

use crate::catalog::{Catalog, CatalogError, ObjectState};
use crate::store::{Store, StoreError};

/// Why it could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is wrong, a line each; nothing while nobody writes, unless there is a fault in this program or somebody else
/// wrote to the store or the catalog. Lists the whole store.
///
/// | what | has to be |
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
