//! Generations, and the pointer to the current one.

use std::collections::BTreeSet;

use crate::manifest::{Manifest, ViewStates};
use crate::name::Generation;

use super::connection::{Change, next};
use super::statement::{FromRow, Row, Statement, count, stored};
use super::{Catalog, CatalogError, RunState, objects, runs};

/// A generation to be published; its manifest has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedGeneration {
    /// Its number, from [`Catalog::next_generation_number`].
    pub generation: Generation,
    /// The run that publishes it.
    pub run_id: i64,
    /// Path of the manifest in the object store.
    pub manifest_path: String,
    /// The manifest's text, as it was written to the store.
    pub manifest: String,
    /// Time of publishing, in milliseconds since the Unix epoch.
    pub published_ms: i64,
    /// The views that the run could not fold, and why; `None` when it folded all.
    pub failed: Option<String>,
}

/// A generation as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationRow {
    /// Its number.
    pub generation: Generation,
    /// The run that published it.
    pub run_id: i64,
    /// Path of the manifest in the object store.
    pub manifest_path: String,
    /// The manifest's text, see [`Catalog::manifest`].
    pub manifest: String,
    /// Time of publishing, in milliseconds since the Unix epoch.
    pub published_ms: i64,
    /// Time of retirement, after which its objects may be gone; `None` while it is kept.
    pub retired_ms: Option<i64>,
}

impl Catalog {
    /// Makes a generation current and its run published, if `expected_previous` is still current and the run still
    /// running; else [`CatalogError::PublishConflict`] or [`CatalogError::RunEnded`], and nothing happens.
    /// The manifest and the states that it names have to be staged, or live because the generation before names them
    /// too; else [`CatalogError::NotStaged`]. Publishing the same generation again succeeds.
    ///
    /// # On a crash
    /// The change is one transaction: the generation is current and its objects are live, or nothing has changed and
    /// they stay `staged` until the run's lease has passed and they are collected.
    pub async fn publish(&self, new: &PublishedGeneration, expected_previous: Generation) -> Result<(), CatalogError> {
        let damaged = |e| self.damaged(format!("the manifest of generation {}", new.generation), e);
        let manifest = Manifest::from_json(&new.manifest).map_err(damaged)?;
        self.patiently(|| async {
            let mut change = self.change("publish a generation").await?;
            let run = runs::get(&mut change, new.run_id).await?;
            if run.state == RunState::Published && run.generation == Some(new.generation) {
                return Ok(());
            }
            let published = Statement::new(include_str!("sql/run_published.sql"));
            let now_ms = change.now_ms().await?;
            let published = published.bind(new.run_id).bind(now_ms).bind(number(new.generation)).bind(&new.failed);
            if change.execute(published).await? == 0 {
                return Err(runs::ended(run));
            }
            for path in named(&new.manifest_path, &manifest) {
                objects::record_or_keep(&mut change, &path, now_ms).await?;
            }
            let insert = Statement::new(include_str!("sql/generation_insert.sql"))
                .bind(number(new.generation))
                .bind(new.run_id)
                .bind(&new.manifest_path)
                .bind(&new.manifest)
                .bind(new.published_ms);
            change.execute(insert).await?;
            move_current(&mut change, expected_previous, new.generation).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// Makes an earlier generation current again, or a later one that was rolled back from. Asking again succeeds.
    pub async fn rollback(&self, to: Generation, expected_current: Generation) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("roll back to a generation").await?;
            let row = get(&mut change, to).await?;
            if row.retired_ms.is_some() {
                return Err(CatalogError::Retired { generation: to });
            }
            move_current(&mut change, expected_current, to).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// Retires a generation that is not current: the objects that no other kept generation names become garbage.
    /// Retiring it again changes nothing.
    pub async fn retire(&self, generation: Generation) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("retire a generation").await?;
            if current_number(&mut change).await? == generation {
                return Err(CatalogError::StillCurrent { generation });
            }
            let row = get(&mut change, generation).await?;
            let now_ms = change.now_ms().await?;
            let update = Statement::new(include_str!("sql/generation_retire.sql"));
            if change.execute(update.bind(number(generation)).bind(now_ms)).await? == 0 {
                return Ok(());
            }
            let kept = change.all(Statement::new(include_str!("sql/generation_live.sql"))).await?;
            for path in self.unreferenced(&row, &kept)? {
                objects::unreference(&mut change, &path, now_ms).await?;
            }
            change.commit_and_tell().await
        })
        .await
    }

    /// The current generation; none before the first.
    pub async fn current(&self) -> Result<Option<GenerationRow>, CatalogError> {
        let select = Statement::new(include_str!("sql/current_get.sql"));
        self.read_one("read the current generation", select).await
    }

    /// The manifest of the current generation; none before the first.
    pub async fn current_manifest(&self) -> Result<Option<Manifest>, CatalogError> {
        self.current().await?.map(|row| self.manifest(&row)).transpose()
    }

    /// Parses the manifest that a row holds.
    pub fn manifest(&self, row: &GenerationRow) -> Result<Manifest, CatalogError> {
        let damaged = |e| self.damaged(format!("the manifest of generation {}", row.generation), e);
        Manifest::from_json(&row.manifest).map_err(damaged)
    }

    /// A generation by its number, retired or not.
    pub async fn generation(&self, generation: Generation) -> Result<GenerationRow, CatalogError> {
        let select = Statement::new(include_str!("sql/generation_get.sql"));
        let row = self.read_one("read a generation", select.bind(number(generation))).await?;
        row.ok_or_else(|| unknown(generation))
    }

    /// The latest generations, newest first.
    pub async fn generations(&self, limit: u32) -> Result<Vec<GenerationRow>, CatalogError> {
        let select = Statement::new(include_str!("sql/generation_list.sql"));
        self.read_all("list generations", select.bind(i64::from(limit))).await
    }

    /// Objects of `retired` that no generation of `kept` names: a run of some views carries the files of the others
    /// over.
    fn unreferenced(&self, retired: &GenerationRow, kept: &[GenerationRow]) -> Result<BTreeSet<String>, CatalogError> {
        let mut paths = self.objects_of(retired)?;
        for row in kept {
            let named = self.objects_of(row)?;
            paths.retain(|path| !named.contains(path));
        }
        Ok(paths)
    }

    /// All objects that the generation consists of.
    pub(super) fn objects_of(&self, row: &GenerationRow) -> Result<BTreeSet<String>, CatalogError> {
        Ok(named(&row.manifest_path, &self.manifest(row)?))
    }
}

/// The paths that a manifest names, and its own.
fn named(path: &str, manifest: &Manifest) -> BTreeSet<String> {
    let files = manifest.views.values().flat_map(ViewStates::all_files);
    files.map(|file| file.path.clone()).chain([path.to_owned()]).collect()
}

async fn move_current(change: &mut Change<'_>, from: Generation, to: Generation) -> Result<(), CatalogError> {
    let update = Statement::new(include_str!("sql/current_move.sql"));
    if change.execute(update.bind(number(to)).bind(number(from))).await? == 1 {
        // A run that was planned on the other generation and has not started yet chooses again.
        next(change, "basis").await?;
        return Ok(());
    }
    match current_number(change).await? {
        found if found == to => Ok(()),
        found => Err(CatalogError::PublishConflict { expected: from, found }),
    }
}

async fn current_number(change: &mut Change<'_>) -> Result<Generation, CatalogError> {
    let select = Statement::new(include_str!("sql/current_number.sql"));
    let row: Option<i64> = change.one(select).await?;
    let current = row.ok_or_else(|| CatalogError::Missing { what: "the current generation".to_owned() })?;
    Ok(Generation(count(current)))
}

async fn get(change: &mut Change<'_>, generation: Generation) -> Result<GenerationRow, CatalogError> {
    let select = Statement::new(include_str!("sql/generation_get.sql"));
    let row = change.one(select.bind(number(generation))).await?;
    row.ok_or_else(|| unknown(generation))
}

fn unknown(generation: Generation) -> CatalogError {
    CatalogError::Missing { what: format!("generation {generation}") }
}

pub(super) fn number(generation: Generation) -> i64 {
    stored(generation.0)
}

impl FromRow for GenerationRow {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            generation: Generation(count(row.get("generation")?)),
            run_id: row.get("run_id")?,
            manifest_path: row.get("manifest_path")?,
            manifest: row.get("manifest")?,
            published_ms: row.get("published_ms")?,
            retired_ms: row.get("retired_ms")?,
        })
    }
}
