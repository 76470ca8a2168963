//! This process as a writer of objects: no other process, living or dead, ever used its paths.

use std::sync::atomic::{AtomicU64, Ordering};

use dovetail_core::catalog::{Catalog, CatalogError};
use dovetail_core::store::path::Unique;
use tokio::sync::OnceCell;

#[derive(Debug, Default)]
pub(crate) struct WriterId {
    /// The writer's number, taken from the catalog when the first object is written.
    number: OnceCell<i64>,
    sequence: AtomicU64,
}

impl WriterId {
    /// The part of the next object's path that makes it this writer's own.
    pub(crate) async fn unique(&self, catalog: &Catalog) -> Result<Unique, CatalogError> {
        let writer = *self.number.get_or_try_init(|| catalog.next_writer_number()).await?;
        Ok(Unique { writer, sequence: self.sequence.fetch_add(1, Ordering::Relaxed) })
    }
}
