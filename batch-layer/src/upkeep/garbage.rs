//! Garbage: objects that nothing refers to are deleted once nobody can be reading them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dovetail_core::catalog::{CatalogError, RunState};
use dovetail_core::name::Generation;
use dovetail_core::store::path;
use metrics::{counter, gauge};
use object_store::ObjectMeta;
use object_store::path::Path;
use tracing::info;

use super::{Upkeep, UpkeepError};

impl Upkeep {
    /// Deletes what has been garbage for the time of grace.
    pub(super) async fn delete_garbage(&self) -> Result<(), UpkeepError> {
        let before_ms = self.clock.now_ms().saturating_sub(millis(self.config.garbage_grace));
        for path in self.catalog.garbage_before(before_ms).await? {
            self.store.delete(&path.as_str().into()).await?;
            self.catalog.forget_garbage(&path).await?;
            counter!("dovetail_garbage_deleted_total").increment(1);
        }
        let waiting = self.catalog.garbage_before(i64::MAX).await?;
        gauge!("dovetail_garbage_objects").set(waiting.len() as f64);
        Ok(())
    }

    /// Notes objects that were written but never recorded, as by a process that died in between.
    pub(super) async fn note_orphans(&self) -> Result<(), UpkeepError> {
        self.note_orphaned_segments().await?;
        self.note_orphaned_states().await
    }

    /// Generation numbers are handed out once: what lies below one that was not published, while no run is in
    /// progress, is of a run that died.
    async fn note_orphaned_states(&self) -> Result<(), UpkeepError> {
        if self.catalog.runs(1).await?.iter().any(|run| run.state == RunState::Running) {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let before_ms = now_ms.saturating_sub(millis(self.config.orphan_age));
        let mut published = BTreeMap::new();
        for object in self.store.list_prefix(&Path::from("generations")).await? {
            let Some(number) = generation(&object.location) else { continue };
            if let Entry::Vacant(unknown) = published.entry(number) {
                unknown.insert(self.is_published(Generation(number)).await?);
            }
            if !published[&number] && object.last_modified.timestamp_millis() < before_ms {
                self.catalog.add_garbage(object.location.as_ref(), now_ms).await?;
            }
        }
        Ok(())
    }

    async fn is_published(&self, generation: Generation) -> Result<bool, UpkeepError> {
        match self.catalog.generation(generation).await {
            Ok(_) => Ok(true),
            Err(CatalogError::Missing { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    ///
    /// An object whose range starts below the partition's next offset can never be landed any more: that is what the
    /// fence is for. Only a compaction may be about to record one, and it does not take as long as `orphan_age`.
    async fn note_orphaned_segments(&self) -> Result<(), UpkeepError> {
        let now_ms = self.clock.now_ms();
        let before_ms = now_ms.saturating_sub(millis(self.config.orphan_age));
        for stream in &self.streams {
            // The objects first: what is recorded meanwhile is then known to be.
            let folder = path::segments_of(&stream.topic);
            let objects = self.store.list_prefix(&folder).await?;
            let recorded = self.catalog.segments(&stream.topic).await?;
            let recorded: BTreeSet<&str> = recorded.iter().map(|segment| segment.path.as_str()).collect();
            let next = self.catalog.next_offsets(&stream.topic).await?;
            let next: BTreeMap<i32, i64> = next.iter().collect();
            for path in orphans(&objects, &recorded, &next, before_ms) {
                info!(%path, "found an object that was never recorded");
                self.catalog.add_garbage(path.as_ref(), now_ms).await?;
                self.catalog.add_garbage(&dead_twin(path), now_ms).await?;
            }
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Segments that are not recorded, never will be, and are older than `before_ms`.
pub(super) fn orphans<'o>(
    objects: &'o [ObjectMeta],
    recorded: &BTreeSet<&str>,
    next: &BTreeMap<i32, i64>,
    before_ms: i64,
) -> Vec<&'o Path> {
    let is_orphan = |object: &&ObjectMeta| {
        let fenced = partition_and_start(&object.location)
            .is_some_and(|(partition, start)| next.get(&partition).is_some_and(|&next| start < next));
        let old = object.last_modified.timestamp_millis() < before_ms;
        fenced && old && !recorded.contains(object.location.as_ref())
    };
    objects.iter().filter(is_orphan).map(|object| &object.location).collect()
}

/// Of `segments/TOPIC/PARTITION/START-..`.
fn partition_and_start(path: &Path) -> Option<(i32, i64)> {
    let mut parts = path.as_ref().rsplit('/');
    let start = parts.next()?.split('-').next()?.parse().ok()?;
    Some((parts.next()?.parse().ok()?, start))
}

/// Of `generations/NUMBER/..`.
fn generation(path: &Path) -> Option<u64> {
    path.as_ref().split('/').nth(1)?.parse().ok()
}

/// The dead letters that may have been written with a segment.
fn dead_twin(segment: &Path) -> String {
    let rest = segment.as_ref().split_once('/').map_or("", |(_, rest)| rest);
    format!("dead/{rest}")
}
