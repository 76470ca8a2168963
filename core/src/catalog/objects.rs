//! The ledger of objects: each object is in the ledger before it is put, and until it is gone.
//!
//! ```text
//!            put, then record                    nothing names it any more
//!  staged ───────────────────► live ──────────────────────────────────────► garbage
//!    │  └───────── given up by its writer ────────────────────────────────►   │
//!    │ staged too long, or its run has ended                                  │ after the grace, once no run
//!    └─────────────────────────────► deleting ◄───────────────────────────────┘ can be reading it
//!                                       │ deleted from the store
//!                         was live once ├──────────► forgotten
//!                                 never └──────────► deleted ──► deleted once more, forgotten
//! ```
//! A transaction that records an object requires `staged`, and an object is deleted only from `deleting`: so it is
//! never both. The last step is for a writer that stops between staging and putting, and goes on much later: it cannot
//! record the object that it puts then, and gives it up if it lives; if it dies before that, the object is deleted with
//! its row.

use std::collections::BTreeSet;
use std::time::Duration;

use super::connection::Change;
use super::statement::{FromRow, Row, Statement, count, stored};
use super::{Catalog, CatalogError, Checkpoint, runs};
use crate::catalog::string_enum::words;

words!(
    /// The state of an object.
    ObjectState {
        /// A writer is putting the object and is going to record it.
        Staged = "staged",
        /// A segment or a kept generation names the object.
        Live = "live",
        /// Nothing names the object any more, but readers may still use it.
        Garbage = "garbage",
        /// The object is being deleted, or its deletion was interrupted.
        Deleting = "deleting",
        /// The object was never recorded and is gone, unless its writer puts it late.
        Deleted = "deleted",
    }
);

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The object's path in the store.
    pub path: String,
    /// The object's state.
    pub state: ObjectState,
    /// Start of this state, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Time at which the object became live; `None` when it never was.
    pub recorded_ms: Option<i64>,
    /// The run that writes the object; `None` for objects of landing.
    pub run_id: Option<i64>,
    /// Size in bytes as announced; `None` when it is not known.
    pub bytes: Option<u64>,
}

/// Number and size of the objects of one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectCount {
    /// The state counted.
    pub state: ObjectState,
    /// Number of objects.
    pub objects: u64,
    /// Sum of their sizes, in bytes.
    pub bytes: u64,
}

/// Time limits of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Garbage is kept this long for readers that still use it.
    pub grace: Duration,
    /// An object staged by no run is kept this long for its writer.
    pub staging: Duration,
}

/// Period for which the deletion of an object that was never recorded is repeated: no put takes this long.
const LATE_PUT_MAX: Duration = Duration::from_secs(24 * 3600);

impl Catalog {
    /// Stages objects, each with its size in bytes, before they are put; `run_id` is the run that writes them. Staging
    /// an object again while it is staged succeeds.
    pub async fn stage(&self, objects: &[(&str, u64)], run_id: Option<i64>) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("stage objects").await?;
            let now_ms = change.now_ms().await?;
            for (path, bytes) in objects {
                let insert = Statement::new(include_str!("sql/object_stage.sql"));
                let insert = insert.bind(*path).bind(now_ms).bind(run_id).bind(stored(*bytes));
                if change.execute(insert).await? == 0 {
                    return Err(not_staged(&mut change, path).await?);
                }
            }
            change.commit().await
        })
        .await
    }

    /// Turns staged objects that will not be recorded into garbage. So does it with an object that was taken for
    /// abandoned and deleted meanwhile, because it may have been put since. An object that was recorded after all stays
    /// as it is, for example when only the answer was lost.
    pub async fn give_up(&self, paths: &[&str]) -> Result<(), CatalogError> {
        if paths.is_empty() {
            return Ok(());
        }
        self.patiently(|| async {
            let mut change = self.change("note garbage").await?;
            let now_ms = change.now_ms().await?;
            for path in paths {
                let give_up = Statement::new(include_str!("sql/object_give_up.sql"));
                change.execute(give_up.bind(*path).bind(now_ms)).await?;
            }
            change.commit().await
        })
        .await
    }

    /// Takes up to `most` objects for deletion; none of them can be recorded afterwards. Taken are garbage older than
    /// the grace and older than every live run, and objects staged by an ended run or too long ago. Returns the number
    /// taken; fewer when only the answer was lost.
    ///
    /// # On a crash
    /// Objects taken stay `deleting` until [`Self::deleted`] is called; [`Self::deleting`] returns them to the next
    /// process.
    pub async fn take_garbage(&self, patience: Patience, most: u32) -> Result<u64, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("take garbage").await?;
            let now_ms = change.now_ms().await?;
            // A run without a sign of life cannot publish any more, so its reads do not count.
            runs::expire(&mut change, now_ms).await?;
            let oldest_ms: i64 =
                change.one(Statement::new(include_str!("sql/run_oldest.sql"))).await?.unwrap_or(i64::MAX);
            let take = Statement::new(include_str!("sql/object_take.sql"))
                .bind(now_ms)
                .bind(before(now_ms, patience.grace).min(oldest_ms.saturating_sub(1)))
                .bind(before(now_ms, patience.staging))
                .bind(i64::from(most));
            let taken = change.execute(take).await?;
            change.commit().await?;
            Ok(taken)
        })
        .await
    }

    /// Up to `most` objects to be deleted, those taken last first. Several processes may delete the same object.
    pub async fn deleting(&self, most: u32) -> Result<Vec<String>, CatalogError> {
        let select = Statement::new(include_str!("sql/object_deleting.sql"));
        self.read_all("list what is to be deleted", select.bind(i64::from(most))).await
    }

    /// Records that objects are gone from the store: those that were live once are forgotten.
    pub async fn deleted(&self, paths: &[String]) -> Result<(), CatalogError> {
        if paths.is_empty() {
            return Ok(());
        }
        self.patiently(|| async {
            let mut change = self.change("note what was deleted").await?;
            let now_ms = change.now_ms().await?;
            for path in paths {
                change.execute(Statement::new(include_str!("sql/object_forget.sql")).bind(path)).await?;
                let deleted = Statement::new(include_str!("sql/object_deleted.sql"));
                change.execute(deleted.bind(path).bind(now_ms)).await?;
            }
            change.commit().await
        })
        .await
    }

    /// Up to `most` objects that were never recorded and are deleted, the last ones first: the writer of one may have
    /// been stopped for long and may still put it.
    pub async fn deleted_lately(&self, most: u32) -> Result<Vec<String>, CatalogError> {
        let select = Statement::new(include_str!("sql/object_lately.sql"));
        self.read_all("list what was deleted", select.bind(i64::from(most))).await
    }

    /// Up to `most` objects that were never recorded and were deleted a day ago, to be deleted once more.
    pub async fn deleted_long_ago(&self, most: u32) -> Result<Vec<String>, CatalogError> {
        let before_ms = before(self.now_ms().await?, LATE_PUT_MAX);
        let select = Statement::new(include_str!("sql/object_late.sql"));
        self.read_all("list what was deleted", select.bind(before_ms).bind(i64::from(most))).await
    }

    /// Forgets objects that were deleted once more.
    pub async fn forget_deleted(&self, paths: &[String]) -> Result<(), CatalogError> {
        if paths.is_empty() {
            return Ok(());
        }
        self.patiently(|| async {
            let mut change = self.change("forget what was deleted").await?;
            for path in paths {
                change.execute(Statement::new(include_str!("sql/object_forget_late.sql")).bind(path)).await?;
            }
            change.commit().await
        })
        .await
    }

    /// The whole ledger, by path.
    pub async fn objects(&self) -> Result<Vec<Object>, CatalogError> {
        self.read_all("list objects", Statement::new(include_str!("sql/object_list.sql"))).await
    }

    /// Number and size of the objects of each state; a state without any is left out.
    pub async fn object_counts(&self) -> Result<Vec<ObjectCount>, CatalogError> {
        self.read_all("count objects", Statement::new(include_str!("sql/object_counts.sql"))).await
    }

    /// The whole ledger, by path, and every path that a segment, a kept generation or a checkpoint names, both from one transaction.
    pub async fn ledger(&self) -> Result<(Vec<Object>, BTreeSet<String>), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("look at the ledger").await?;
            let objects = change.all(Statement::new(include_str!("sql/object_list.sql"))).await?;
            let named: Vec<String> = change.all(Statement::new(include_str!("sql/segment_paths.sql"))).await?;
            let mut recorded: BTreeSet<String> = named.into_iter().collect();
            for row in change.all(Statement::new(include_str!("sql/generation_live.sql"))).await? {
                recorded.extend(self.objects_of(&row)?);
            }
            let checkpoints: Vec<Checkpoint> =
                change.all(Statement::new(include_str!("sql/checkpoint_list.sql"))).await?;
            for checkpoint in checkpoints {
                recorded.extend(self.named(&checkpoint.manifest_path, &checkpoint.manifest)?);
            }
            Ok((objects, recorded))
        })
        .await
    }

    /// Whether every object in the store is in the ledger. An earlier version had no ledger: its objects are found by
    /// listing the store once, see [`Self::note_found`].
    pub async fn knows_the_store(&self) -> Result<bool, CatalogError> {
        let select = Statement::new(include_str!("sql/counter_get.sql")).bind("store_listed");
        Ok(self.read_one("see whether the store was listed", select).await? == Some(1))
    }

    /// Adds objects that were found in the store, each with its size in bytes: an object without a row becomes garbage.
    /// Returns the number of these.
    pub async fn note_found(&self, objects: &[(String, u64)]) -> Result<u64, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("note what is in the store").await?;
            let now_ms = change.now_ms().await?;
            let mut unknown = 0;
            for (path, bytes) in objects {
                unknown += found(&mut change, path, ObjectState::Garbage, now_ms, *bytes).await?;
            }
            change
                .execute(Statement::new(include_str!("sql/counter_set.sql")).bind("store_listed").bind(1_i64))
                .await?;
            change.commit().await?;
            Ok(unknown)
        })
        .await
    }

    /// Puts the states that kept manifests name into the ledger, where an earlier version published them.
    pub(super) async fn know_states(&self) -> Result<(), CatalogError> {
        let known = || Statement::new(include_str!("sql/counter_get.sql")).bind("states_known");
        if self.read_one("look at the ledger", known()).await? == Some(1_i64) {
            return Ok(());
        }
        self.patiently(|| async {
            let mut change = self.change("note published states").await?;
            if change.one(known()).await? == Some(1_i64) {
                return Ok(());
            }
            for row in change.all(Statement::new(include_str!("sql/generation_live.sql"))).await? {
                let manifest = self.manifest(&row)?;
                for file in manifest.views.values().flat_map(|states| states.all_files()) {
                    found(&mut change, &file.path, ObjectState::Live, row.published_ms, file.bytes).await?;
                }
            }
            change
                .execute(Statement::new(include_str!("sql/counter_set.sql")).bind("states_known").bind(1_i64))
                .await?;
            change.commit().await
        })
        .await
    }
}

/// Makes a staged object live, in the change that records it.
pub(super) async fn record(change: &mut Change<'_>, path: &str, now_ms: i64) -> Result<(), CatalogError> {
    let update = Statement::new(include_str!("sql/object_record.sql"));
    match change.execute(update.bind(path).bind(now_ms)).await? {
        0 => Err(not_staged(change, path).await?),
        _ => Ok(()),
    }
}

/// Makes an object live, unless it is live already because something else names it too.
pub(super) async fn record_or_keep(change: &mut Change<'_>, path: &str, now_ms: i64) -> Result<(), CatalogError> {
    match get(change, path).await? {
        Some(Object { state: ObjectState::Live, .. }) => Ok(()),
        _ => record(change, path, now_ms).await,
    }
}

/// Makes an object garbage that nothing names any more after this change.
pub(super) async fn unreference(change: &mut Change<'_>, path: &str, now_ms: i64) -> Result<(), CatalogError> {
    let update = Statement::new(include_str!("sql/object_unreference.sql"));
    change.execute(update.bind(path).bind(now_ms)).await?;
    Ok(())
}

async fn found(
    change: &mut Change<'_>,
    path: &str,
    state: ObjectState,
    since_ms: i64,
    bytes: u64,
) -> Result<u64, CatalogError> {
    let insert = Statement::new(include_str!("sql/object_found.sql"));
    change.execute(insert.bind(path).bind(state.as_str()).bind(since_ms).bind(stored(bytes))).await
}

async fn get(change: &mut Change<'_>, path: &str) -> Result<Option<Object>, CatalogError> {
    change.one(Statement::new(include_str!("sql/object_get.sql")).bind(path)).await
}

/// The error for an object that turned out not to be staged.
async fn not_staged(change: &mut Change<'_>, path: &str) -> Result<CatalogError, CatalogError> {
    let state = get(change, path).await?.map(|object| object.state);
    Ok(CatalogError::NotStaged { path: path.to_owned(), state })
}

fn before(now_ms: i64, by: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

impl FromRow for Object {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let bytes: Option<i64> = row.get("bytes")?;
        Ok(Self {
            path: row.get("path")?,
            state: row.parse("state", ObjectState::parse)?,
            since_ms: row.get("since_ms")?,
            recorded_ms: row.get("recorded_ms")?,
            run_id: row.get("run_id")?,
            bytes: bytes.map(count),
        })
    }
}

impl FromRow for ObjectCount {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            state: row.parse("state", ObjectState::parse)?,
            objects: count(row.get("object_count")?),
            bytes: count(row.get("bytes")?),
        })
    }
}
