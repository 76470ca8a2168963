//! The put of a segment: its objects are in the ledger before they are in the store.

use bytes::Bytes;
use dovetail_core::catalog::{Catalog, CatalogError, Segment};
use dovetail_core::store::{Store, StoreError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stages a segment's objects, then puts them. A retry after any failure is safe.
///
/// # On a crash
/// The ledger has the paths as staged, and the store has none, some or all of the objects. Upkeep deletes them after
/// `batch.staging_limit`, also where the put arrives after this process has died.
pub(crate) async fn put_segment(
    catalog: &Catalog,
    store: &Store,
    segment: &Segment,
    rows: &Bytes,
    dead: Option<&Bytes>,
) -> Result<(), PutError> {
    let dead = segment.dead_path.as_deref().zip(dead);
    let objects: Vec<(&str, &Bytes)> = [(segment.path.as_str(), rows)].into_iter().chain(dead).collect();
    let announced: Vec<(&str, u64)> = objects.iter().map(|(path, content)| (*path, content.len() as u64)).collect();
    catalog.stage(&announced, None).await?;
    for (path, content) in objects {
        store.put_new(&path.into(), content.clone()).await?;
    }
    Ok(())
}
