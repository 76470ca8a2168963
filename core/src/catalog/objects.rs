//! The ledger of objects: each is known here before it is put, and until it is gone.
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
//! What is recorded must be `staged` in the same transaction, and what is deleted must be `deleting` before: so an
//! object is never both. The last step is for a writer that stops between staging and putting and goes on much later:
//! it cannot record what it puts then, and notes it if it lives; if it dies before that, the object goes with its row.

use std::collections::BTreeSet;
use std::time::Duration;

use super::connection::Change;
use super::statement::{FromRow, Row, Statement, count, stored};
use super::{Catalog, CatalogError, runs};
use crate::catalog::string_enum::words;

words!(
    /// What an object is.
    ObjectState {
        /// Somebody puts it and is going to record it.
        Staged = "staged",
        /// A segment or a kept generation names it.
        Live = "live",
        /// Nothing names it any more; somebody may still be reading it.
        Garbage = "garbage",
        /// It is being deleted, or its deletion was interrupted.
        Deleting = "deleting",
        /// It was never recorded and is gone, unless its writer puts it after all.
        Deleted = "deleted",
    }
);

/// An object as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub path: String,
    pub state: ObjectState,
    /// Since when it is in this state.
    pub since_ms: i64,
    /// When it became live.
    pub recorded_ms: Option<i64>,
    /// The run that writes it.
    pub run_id: Option<i64>,
    pub bytes: Option<u64>,
}

/// Objects of one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectCount {
    pub state: ObjectState,
    pub objects: u64,
    pub bytes: u64,
}

/// How long objects are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// What nothing names any more, for whoever reads it still.
    pub grace: Duration,
    /// What is staged by no run, for whoever is putting it.
    pub staging: Duration,
}

/// What was never recorded is deleted again and again for this long: no put takes so long.
const LATE_PUT_MAX: Duration = Duration::from_secs(24 * 3600);

impl Catalog {
    /// Announces objects, each with its bytes, before they are put; `run_id` is the run that writes them. Announcing
    /// again what is staged succeeds.
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

    /// Notes that objects which were staged will not be recorded: they are garbage. So is one that was taken for
    /// abandoned and deleted meanwhile, because it may have been put since. One that was recorded after all, as
    /// when only the answer to that was lost, stays as it is.
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

    /// Takes up to `most` objects to be deleted, which nobody can record from then on: what has been garbage for
    /// the time of grace and since before every run that lives, and what was staged by a run that has ended, or too
    /// long ago. Returns how many; fewer where only the answer to it was lost.
    pub async fn take_garbage(&self, patience: Patience, most: u32) -> Result<u64, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("take garbage").await?;
            let now_ms = change.now_ms().await?;
            // A run that gave no sign of life reads nothing any more that counts: it can no longer publish.
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

    /// Up to `most` objects that are to be deleted, those that were taken last first. Anybody may delete them, and
    /// more than one.
    pub async fn deleting(&self, most: u32) -> Result<Vec<String>, CatalogError> {
        let select = Statement::new(include_str!("sql/object_deleting.sql"));
        self.read_all("list what is to be deleted", select.bind(i64::from(most))).await
    }

    /// Notes that objects which were to be deleted are gone from the store: those that were live once are forgotten.
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

    /// Up to `most` objects that were never recorded and are deleted, the last ones first: whoever put one of them may
    /// have been stopped for long.
    pub async fn deleted_lately(&self, most: u32) -> Result<Vec<String>, CatalogError> {
        let select = Statement::new(include_str!("sql/object_lately.sql"));
        self.read_all("list what was deleted", select.bind(i64::from(most))).await
    }

    /// Up to `most` objects that were never recorded and were deleted a day ago: it is time to delete them once more.
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

    /// How many objects there are of each state; a state without any is left out.
    pub async fn object_counts(&self) -> Result<Vec<ObjectCount>, CatalogError> {
        self.read_all("count objects", Statement::new(include_str!("sql/object_counts.sql"))).await
    }

    /// The whole ledger, by path, and every path that a segment or a kept generation names, both of one moment.
    pub async fn ledger(&self) -> Result<(Vec<Object>, BTreeSet<String>), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("look at the ledger").await?;
            let objects = change.all(Statement::new(include_str!("sql/object_list.sql"))).await?;
            let named: Vec<String> = change.all(Statement::new(include_str!("sql/segment_paths.sql"))).await?;
            let mut recorded: BTreeSet<String> = named.into_iter().collect();
            for row in change.all(Statement::new(include_str!("sql/generation_live.sql"))).await? {
                recorded.extend(self.objects_of(&row)?);
            }
            Ok((objects, recorded))
        })
        .await
    }

    /// Whether every object that is in the store is in the ledger. An earlier version had none: what it left is
    /// found by listing the store, once, see [`Self::note_found`].
    pub async fn knows_the_store(&self) -> Result<bool, CatalogError> {
        let select = Statement::new(include_str!("sql/counter_get.sql")).bind("store_listed");
        Ok(self.read_one("see whether the store was listed", select).await? == Some(1))
    }

    /// Notes what was found in the store, each with its bytes: what no row knows is garbage. Returns how many were not
    /// known.
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

/// Makes a staged object live; whoever records it does so in the same change.
pub(super) async fn record(change: &mut Change<'_>, path: &str, now_ms: i64) -> Result<(), CatalogError> {
    let update = Statement::new(include_str!("sql/object_record.sql"));
    match change.execute(update.bind(path).bind(now_ms)).await? {
        0 => Err(not_staged(change, path).await?),
        _ => Ok(()),
    }
}

/// Makes an object live, unless it is because something else names it too.
pub(super) async fn record_or_keep(change: &mut Change<'_>, path: &str, now_ms: i64) -> Result<(), CatalogError> {
    match get(change, path).await? {
        Some(Object { state: ObjectState::Live, .. }) => Ok(()),
        _ => record(change, path, now_ms).await,
    }
}

/// Makes an object garbage that nothing names any more from this change on.
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
