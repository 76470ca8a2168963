//! Collection: deletes objects that nothing names any more, once no reader can use them, and those whose writer is
//! gone. The ledger decides; the store is not listed.

use std::time::Duration;

use dovetail_core::catalog::{Catalog, ObjectState, Patience};
use dovetail_core::clock;
use dovetail_core::store::{Store, StoreError};
use futures::StreamExt;
use metrics::{counter, gauge};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Upkeep, UpkeepError};

/// Number of objects taken from the ledger at once.
const AT_ONCE: u32 = 1000;
/// Number of objects deleted at the same time.
const DELETES: usize = 8;

/// Every state, also those without an object at the moment.
const STATES: [ObjectState; 5] =
    [ObjectState::Staged, ObjectState::Live, ObjectState::Garbage, ObjectState::Deleting, ObjectState::Deleted];

/// What collection works on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Collector<'c> {
    catalog: &'c Catalog,
    store: &'c Store,
    patience: Patience,
    /// Time of the last repeated deletion of objects that were never recorded.
    deleted_again: &'c tokio::sync::Mutex<Option<Instant>>,
}

/// Collects for ever, for a process without a batch layer.
pub async fn collect_garbage(catalog: Catalog, store: Store, patience: Patience, every: Duration) {
    let deleted_again = tokio::sync::Mutex::default();
    let collector = Collector { catalog: &catalog, store: &store, patience, deleted_again: &deleted_again };
    loop {
        clock::sleep(every).await;
        if let Err(error) = collector.collect().await {
            warn!(%error, "could not delete garbage, trying again later");
        }
    }
}

impl Upkeep {
    /// See [`Collector::collect`].
    pub(crate) async fn collect(&self) -> Result<(), UpkeepError> {
        let patience = Patience { grace: self.config.garbage_grace, staging: self.config.staging_limit };
        let (catalog, store, deleted_again) = (&self.catalog, &self.store, &self.deleted_again);
        Collector { catalog, store, patience, deleted_again }.collect().await
    }
}

impl Collector<'_> {
    /// Deletes unneeded objects, and those that another process, living or dead, was about to delete.
    ///
    /// # On a crash
    /// Objects that are `deleting` may still be in the store. Nobody can record them any more, and the next process
    /// that collects deletes them, once more where that had been done.
    async fn collect(&self) -> Result<(), UpkeepError> {
        loop {
            let taken = self.catalog.take_garbage(self.patience, AT_ONCE).await?;
            // More than were taken: those that could not be deleted the last time do not block the others.
            let deleted = self.delete(self.catalog.deleting(2 * AT_ONCE).await?).await;
            self.catalog.deleted(&deleted.paths).await?;
            deleted.failed.map_or(Ok(()), Err)?;
            if taken < u64::from(AT_ONCE) {
                break;
            }
        }
        self.delete_again().await?;
        let late = self.delete(self.catalog.deleted_long_ago(AT_ONCE).await?).await;
        self.catalog.forget_deleted(&late.paths).await?;
        late.failed.map_or(Ok(()), Err)?;
        self.count_objects().await
    }

    /// Deletes objects again that were never recorded: their writer may have put them after the deletion and died
    /// before it could report that.
    ///
    /// # On a crash
    /// The objects stay `deleted` in the ledger, and the next collection deletes them again.
    async fn delete_again(&self) -> Result<(), UpkeepError> {
        let every = self.patience.staging;
        if self.deleted_again.lock().await.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        let again = self.delete(self.catalog.deleted_lately(AT_ONCE).await?).await;
        again.failed.map_or(Ok(()), Err)?;
        *self.deleted_again.lock().await = Some(clock::now_monotonic());
        Ok(())
    }

    async fn delete(&self, paths: Vec<String>) -> Deleted {
        let delete = |path: String| async {
            let done = self.store.delete(&path.as_str().into()).await;
            (path, done)
        };
        let mut done = futures::stream::iter(paths).map(delete).buffer_unordered(DELETES);
        let mut deleted = Deleted::default();
        while let Some((path, done)) = done.next().await {
            match done {
                Ok(()) => deleted.paths.push(path),
                Err(error) => {
                    warn!(path, %error, "an object could not be deleted, trying again later");
                    deleted.failed.get_or_insert(error);
                }
            }
        }
        counter!("dovetail_objects_deleted_total").increment(deleted.paths.len() as u64);
        deleted
    }

    async fn count_objects(&self) -> Result<(), UpkeepError> {
        let counts = self.catalog.object_counts().await?;
        for state in STATES {
            let count = counts.iter().find(|count| count.state == state);
            let objects = count.map_or(0, |count| count.objects);
            gauge!("dovetail_objects", "state" => state.as_str()).set(objects as f64);
        }
        Ok(())
    }
}

impl Upkeep {
    /// Lists the store once in a catalog's life: an earlier version kept no ledger, and a process of it that died may
    /// have left objects without a row. Objects put since are in the ledger before they are in the store.
    ///
    /// # On a crash
    /// The objects found are noted in one transaction, with the fact that the store was listed; without it the next
    /// process lists the store again.
    pub(crate) async fn list_store_once(&self) -> Result<(), UpkeepError> {
        if self.catalog.knows_the_store().await? {
            return Ok(());
        }
        let mut found = vec![];
        for prefix in dovetail_core::store::path::roots() {
            let objects = self.store.list_prefix(&prefix).await?;
            found.extend(objects.into_iter().map(|object| (object.location.to_string(), object.size)));
        }
        let unknown = self.catalog.note_found(&found).await?;
        info!(objects = found.len(), unknown, "listed the store for the ledger, once");
        Ok(())
    }
}

/// The result of deleting some objects.
#[derive(Default)]
struct Deleted {
    paths: Vec<String>,
    failed: Option<StoreError>,
}
