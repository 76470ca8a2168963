//! Rollback: an earlier generation becomes current again, if all its objects still exist.

use dovetail_core::catalog::{Catalog, CatalogError, GenerationRow};
use dovetail_core::manifest::{Manifest, ManifestError, ViewStates};
use dovetail_core::name::Generation;
use dovetail_core::store::{Store, StoreError};
use tracing::info;

/// The reason why a rollback failed. The fields are the facts that the message names.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// An object of the generation is missing.
    #[error("generation {generation} lacks the object `{path}`: choose another, or restore the object from a copy")]
    ObjectMissing { generation: Generation, path: String },
    /// There is no generation yet.
    #[error("nothing is published yet: there is nothing to roll back from")]
    NothingPublished,
    /// The generation is current already.
    #[error("generation {generation} is current already")]
    AlreadyCurrent { generation: Generation },
    /// The generation's manifest cannot be read.
    #[error("the manifest of generation {generation} cannot be used")]
    Manifest { generation: Generation, source: ManifestError },
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes `to` current; returns its row.
///
/// # On a crash
/// The change is one transaction: `to` is current or it is not, and nothing else has changed.
pub(crate) async fn rollback(catalog: &Catalog, store: &Store, to: Generation) -> Result<GenerationRow, RollbackError> {
    let current = catalog.current().await?.ok_or(RollbackError::NothingPublished)?.generation;
    if current == to {
        return Err(RollbackError::AlreadyCurrent { generation: to });
    }
    let row = catalog.generation(to).await?;
    if row.retired_ms.is_some() {
        return Err(CatalogError::Retired { generation: to }.into());
    }
    let manifest = Manifest::from_json(&row.manifest);
    let manifest = manifest.map_err(|source| RollbackError::Manifest { generation: to, source })?;
    for file in manifest.views.values().flat_map(ViewStates::all_files) {
        if !store.exists(&file.path.as_str().into()).await? {
            return Err(RollbackError::ObjectMissing { generation: to, path: file.path.clone() });
        }
    }
    catalog.rollback(to, current).await?;
    info!(from = %current, generation = %to, "rolled back");
    Ok(row)
}
