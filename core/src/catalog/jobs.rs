//! Stream jobs, their leases and checkpoints, and the job that readers get.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::manifest::{Manifest, ViewStates};
use crate::name::{Generation, JobName};
use crate::offsets::Offsets;

use super::connection::Change;
use super::generations::number;
use super::leases::later;
use super::statement::{FromRow, Row, Statement, count};
use super::{Catalog, CatalogError, objects};

/// The offset at which a job begins, by topic and partition; 0 where none is named.
pub type JobStarts = BTreeMap<String, Offsets>;

/// A stream job: views folded from the log alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name, which is also the name of its schema in queries.
    pub name: JobName,
    /// The text of its pipeline.
    pub pipeline: String,
    /// Where it begins.
    pub starts: JobStarts,
    /// Time of creation, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The process that last ran it; empty before the first.
    pub holder: String,
    /// HTTP address of that process; empty if it has none.
    pub address: String,
    /// End of its lease by the database's clock, in milliseconds since the Unix epoch.
    pub until_ms: i64,
    /// Grows with every holder.
    pub epoch: i64,
}

/// A checkpoint of a job: its states up to the cuts of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number, from [`Catalog::next_generation_number`].
    pub number: Generation,
    /// The job.
    pub job: JobName,
    /// Path of the manifest in the object store.
    pub manifest_path: String,
    /// The manifest's text.
    pub manifest: String,
    /// Time at which it was recorded, in milliseconds since the Unix epoch.
    pub taken_ms: i64,
}

/// The job that readers get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentJob {
    /// The job; none before the first.
    pub job: Option<JobName>,
    /// The job before, if it was not stopped since.
    pub previous: Option<JobName>,
    /// Time of the last switch, in milliseconds since the Unix epoch; 0 before the first.
    pub switched_ms: i64,
}

/// The right to run a job and to record its checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLease {
    /// The job.
    pub job: JobName,
    /// The process.
    pub holder: String,
    /// Number of this holding of the lease.
    pub epoch: i64,
}

impl Catalog {
    /// Adds a job. The first one becomes current at once. Adding the same job again succeeds and returns `false`;
    /// another definition under its name is refused.
    pub async fn create_job(&self, name: &JobName, pipeline: &str, starts: &JobStarts) -> Result<bool, CatalogError> {
        let starts_json = self.json("the starts of a job", starts)?;
        self.patiently(|| async {
            let mut change = self.change("add a job").await?;
            let now_ms = change.now_ms().await?;
            if let Some(known) = get(&mut change, name).await? {
                return match known.pipeline == pipeline && known.starts == *starts {
                    true => Ok(false),
                    false => Err(CatalogError::JobExists { job: name.to_string() }),
                };
            }
            let insert = Statement::new(include_str!("sql/job_insert.sql"));
            change.execute(insert.bind(name.as_str()).bind(pipeline).bind(&starts_json).bind(now_ms)).await?;
            if current(&mut change).await?.job.is_none() {
                move_current(&mut change, Some(name), None, now_ms).await?;
            }
            change.commit_and_tell().await?;
            Ok(true)
        })
        .await
    }

    /// All jobs, the oldest first.
    pub async fn jobs(&self) -> Result<Vec<Job>, CatalogError> {
        self.read_all("list jobs", Statement::new(include_str!("sql/job_list.sql"))).await
    }

    /// The job that readers get, and the one before.
    pub async fn current_job(&self) -> Result<CurrentJob, CatalogError> {
        let current = self.read_one("read the current job", Statement::new(include_str!("sql/current_job_get.sql")));
        current.await?.ok_or_else(|| CatalogError::Missing { what: "the current job".to_owned() })
    }

    /// Takes or extends the lease of a job if it is free or held by `holder`; none while another process holds it.
    /// `holder` must never be the name of another process.
    pub async fn hold_job(
        &self,
        name: &JobName,
        holder: &str,
        address: &str,
        lease: Duration,
    ) -> Result<Option<JobLease>, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("hold a job").await?;
            let now_ms = change.now_ms().await?;
            let job = get(&mut change, name).await?.ok_or_else(|| missing(name))?;
            let epoch = match (job.until_ms > now_ms, job.holder == holder) {
                (true, false) => return Ok(None),
                // Nobody has taken it in between, even if the lease has passed.
                (_, true) => job.epoch,
                (false, false) => job.epoch.saturating_add(1),
            };
            let hold = Statement::new(include_str!("sql/job_hold.sql"));
            let hold = hold.bind(name.as_str()).bind(holder).bind(address).bind(later(now_ms, lease)).bind(epoch);
            change.execute(hold).await?;
            change.commit().await?;
            Ok(Some(JobLease { job: name.clone(), holder: holder.to_owned(), epoch }))
        })
        .await
    }

    /// Ends the lease at once, so that another process can take the job.
    pub async fn give_up_job(&self, lease: &JobLease) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("give up a job").await?;
            let give_up = Statement::new(include_str!("sql/job_give_up.sql"));
            change.execute(give_up.bind(lease.job.as_str()).bind(&lease.holder)).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// Records a checkpoint, and drops those of the job beyond the newest `keep`: their objects become garbage unless
    /// a kept one names them. The objects have to be staged, or live because an earlier checkpoint names them too.
    /// [`CatalogError::JobLost`] when another process has taken the job. Recording it again succeeds.
    ///
    /// # On a crash
    /// The change is one transaction: the checkpoint is there and its objects are live, or nothing has changed and they
    /// stay `staged` until they are collected.
    pub async fn record_checkpoint(
        &self,
        lease: &JobLease,
        number: Generation,
        manifest_path: &str,
        manifest: &str,
        keep: usize,
    ) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("record a checkpoint").await?;
            let now_ms = change.now_ms().await?;
            let held = Statement::new(include_str!("sql/job_held.sql"));
            let held = held.bind(lease.job.as_str()).bind(&lease.holder).bind(lease.epoch);
            if change.execute(held).await? == 0 {
                return Err(CatalogError::JobLost { job: lease.job.to_string() });
            }
            let of_job = |job: &JobName| Statement::new(include_str!("sql/checkpoint_of.sql")).bind(job.as_str());
            let earlier: Vec<Checkpoint> = change.all(of_job(&lease.job)).await?;
            if earlier.iter().any(|checkpoint| checkpoint.number == number) {
                return Ok(());
            }
            for path in self.named(manifest_path, manifest)? {
                objects::record_or_keep(&mut change, &path, now_ms).await?;
            }
            let insert = Statement::new(include_str!("sql/checkpoint_insert.sql"))
                .bind(super::generations::number(number))
                .bind(lease.job.as_str())
                .bind(manifest_path)
                .bind(manifest)
                .bind(now_ms);
            change.execute(insert).await?;
            let (kept, dropped) = earlier.split_at(keep.saturating_sub(1).min(earlier.len()));
            let mut named = self.named(manifest_path, manifest)?;
            for checkpoint in kept {
                named.extend(self.named(&checkpoint.manifest_path, &checkpoint.manifest)?);
            }
            self.drop_checkpoints(&mut change, dropped, &named, now_ms).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// The newest checkpoint of a job.
    pub async fn last_checkpoint(&self, job: &JobName) -> Result<Option<Checkpoint>, CatalogError> {
        let select = Statement::new(include_str!("sql/checkpoint_of.sql")).bind(job.as_str());
        let all: Vec<Checkpoint> = self.read_all("read the last checkpoint", select).await?;
        Ok(all.into_iter().next())
    }

    /// All kept checkpoints, the newest first.
    pub async fn checkpoints(&self) -> Result<Vec<Checkpoint>, CatalogError> {
        self.read_all("list checkpoints", Statement::new(include_str!("sql/checkpoint_list.sql"))).await
    }

    /// Parses the manifest of a checkpoint.
    pub fn checkpoint_manifest(&self, checkpoint: &Checkpoint) -> Result<Manifest, CatalogError> {
        let damaged = |error| self.damaged(format!("the manifest of checkpoint {}", checkpoint.number), error);
        Manifest::from_json(&checkpoint.manifest).map_err(damaged)
    }

    /// Makes a job the one that readers get, in one step for all its views; the one before stays. Returns the current
    /// job afterwards. Asking again succeeds.
    pub async fn switch_job(&self, to: &JobName) -> Result<CurrentJob, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("switch to a job").await?;
            let now_ms = change.now_ms().await?;
            get(&mut change, to).await?.ok_or_else(|| missing(to))?;
            let before = current(&mut change).await?;
            if before.job.as_ref() == Some(to) {
                return Ok(before);
            }
            move_current(&mut change, Some(to), before.job.as_ref(), now_ms).await?;
            let after = current(&mut change).await?;
            change.commit_and_tell().await?;
            Ok(after)
        })
        .await
    }

    /// Removes a job that is not current, with its checkpoints: their objects become garbage.
    pub async fn remove_job(&self, name: &JobName) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("remove a job").await?;
            let now_ms = change.now_ms().await?;
            get(&mut change, name).await?.ok_or_else(|| missing(name))?;
            let current = current(&mut change).await?;
            if current.job.as_ref() == Some(name) {
                return Err(CatalogError::JobCurrent { job: name.to_string() });
            }
            if current.previous.as_ref() == Some(name) {
                move_current(&mut change, current.job.as_ref(), None, current.switched_ms).await?;
            }
            let select = Statement::new(include_str!("sql/checkpoint_of.sql")).bind(name.as_str());
            let all: Vec<Checkpoint> = change.all(select).await?;
            self.drop_checkpoints(&mut change, &all, &BTreeSet::new(), now_ms).await?;
            change.execute(Statement::new(include_str!("sql/job_delete.sql")).bind(name.as_str())).await?;
            change.commit_and_tell().await
        })
        .await
    }

    async fn drop_checkpoints(
        &self,
        change: &mut Change<'_>,
        dropped: &[Checkpoint],
        kept: &BTreeSet<String>,
        now_ms: i64,
    ) -> Result<(), CatalogError> {
        for checkpoint in dropped {
            for path in self.named(&checkpoint.manifest_path, &checkpoint.manifest)?.difference(kept) {
                objects::unreference(change, path, now_ms).await?;
            }
            let delete = Statement::new(include_str!("sql/checkpoint_delete.sql"));
            change.execute(delete.bind(number(checkpoint.number))).await?;
        }
        Ok(())
    }

    /// The paths that the manifest of a checkpoint names, and its own.
    pub(super) fn named(&self, path: &str, manifest: &str) -> Result<BTreeSet<String>, CatalogError> {
        let damaged = |error| self.damaged(format!("the manifest `{path}`"), error);
        let manifest = Manifest::from_json(manifest).map_err(damaged)?;
        let files = manifest.views.values().flat_map(ViewStates::all_files);
        Ok(files.map(|file| file.path.clone()).chain([path.to_owned()]).collect())
    }
}

async fn get(change: &mut Change<'_>, name: &JobName) -> Result<Option<Job>, CatalogError> {
    change.one(Statement::new(include_str!("sql/job_get.sql")).bind(name.as_str())).await
}

async fn current(change: &mut Change<'_>) -> Result<CurrentJob, CatalogError> {
    let current = change.one(Statement::new(include_str!("sql/current_job_get.sql"))).await?;
    current.ok_or_else(|| CatalogError::Missing { what: "the current job".to_owned() })
}

async fn move_current(
    change: &mut Change<'_>,
    to: Option<&JobName>,
    previous: Option<&JobName>,
    now_ms: i64,
) -> Result<(), CatalogError> {
    let name = |job: Option<&JobName>| job.map(ToString::to_string);
    let update = Statement::new(include_str!("sql/current_job_move.sql"));
    change.execute(update.bind(&name(to)).bind(&name(previous)).bind(now_ms)).await?;
    Ok(())
}

fn missing(job: &JobName) -> CatalogError {
    CatalogError::Missing { what: format!("job `{job}`") }
}

impl FromRow for Job {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            name: row.parse("name", JobName::parse)?,
            pipeline: row.get("pipeline")?,
            starts: row.json("starts")?,
            created_ms: row.get("created_ms")?,
            holder: row.get("holder")?,
            address: row.get("address")?,
            until_ms: row.get("until_ms")?,
            epoch: row.get("epoch")?,
        })
    }
}

impl FromRow for Checkpoint {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            number: Generation(count(row.get("number")?)),
            job: row.parse("job", JobName::parse)?,
            manifest_path: row.get("manifest_path")?,
            manifest: row.get("manifest")?,
            taken_ms: row.get("taken_ms")?,
        })
    }
}

impl FromRow for CurrentJob {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let name = |column: &'static str| -> sqlx::Result<Option<JobName>> {
            let name: Option<String> = row.get(column)?;
            name.map(|name| JobName::parse(&name).map_err(|error| sqlx::Error::Decode(error.into()))).transpose()
        };
        Ok(Self { job: name("job")?, previous: name("previous")?, switched_ms: row.get("switched_ms")? })
    }
}
