//! Runs of the batch layer: at most one is running, and it proves every now and then that it lives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::name::{Generation, StreamName, ViewName};
use crate::offsets::Cut;

use super::connection::Change;
use super::statement::{FromRow, Row, Statement, count, stored};
use super::words::words;
use super::{Catalog, CatalogError, counters};

words!(
    /// What a run starts from.
    RunKind {
        /// All of the landing.
        Full = "full",
        /// The current generation.
        Incremental = "incremental",
    }
);
words!(
    /// What made a run start.
    Trigger {
        Schedule = "schedule",
        /// Somebody asked for it.
        Demand = "demand",
        /// The process started.
        Start = "start",
        /// The speed layer is near its limit.
        Memory = "memory",
        /// The log had lost records, and landing went on behind them.
        Gap = "gap",
    }
);
words!(
    /// How far a run has come.
    RunState {
        Running = "running",
        Published = "published",
        Failed = "failed",
        Cancelled = "cancelled",
    }
);

/// What a run is started with.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub kind: RunKind,
    pub trigger: Trigger,
    pub views: Vec<ViewName>,
    /// The cut of each stream the views read.
    pub cuts: BTreeMap<StreamName, Cut>,
    /// Whose run it is: host and process, no other's.
    pub owner: String,
    pub started_ms: i64,
    /// Until when the run counts as living without a sign of it.
    pub lease_until_ms: i64,
}

/// A run as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: i64,
    pub kind: RunKind,
    pub trigger: Trigger,
    pub state: RunState,
    pub views: Vec<ViewName>,
    pub started_ms: i64,
    pub finished_ms: Option<i64>,
    pub cuts: BTreeMap<StreamName, Cut>,
    /// Rows and segments folded so far.
    pub rows: u64,
    pub segments: u64,
    /// What it published.
    pub generation: Option<Generation>,
    pub error: Option<String>,
    pub lease_until_ms: i64,
    pub owner: String,
}

/// How a run ends that publishes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    Failed { error: String },
    Cancelled,
}

impl Catalog {
    /// Starts a run, or fails with [`CatalogError::RunInProgress`] while another one runs whose lease has not
    /// passed at `new.started_ms`. One whose lease has passed is marked as failed.
    pub async fn start_run(&self, new: &NewRun) -> Result<Run, CatalogError> {
        // The run of an attempt whose commit may have gone through although its answer was lost.
        let attempted = AtomicI64::new(0);
        self.patiently(|| async {
            let mut change = self.change("start a run").await?;
            let id = counters::next(&mut change, "run").await?;
            expire(&mut change, new.started_ms).await?;
            let running = Statement::new(include_str!("sql/run_running.sql"));
            if let Some(run) = change.one::<Run>(running).await? {
                let ours = run.id == attempted.load(Ordering::Relaxed) && run.owner == new.owner;
                return if ours { Ok(run) } else { Err(in_progress(run)) };
            }
            let insert = Statement::new(include_str!("sql/run_insert.sql"))
                .bind(id)
                .bind(new.kind.as_str())
                .bind(new.trigger.as_str())
                .bind(self.json("views", &new.views)?)
                .bind(self.json("cuts", &new.cuts)?)
                .bind(new.started_ms)
                .bind(&new.owner)
                .bind(new.lease_until_ms);
            change.execute(insert).await?;
            let run = get(&mut change, id).await?;
            attempted.store(id, Ordering::Relaxed);
            change.commit().await?;
            Ok(run)
        })
        .await
    }

    /// Extends the run's lease. [`CatalogError::RunEnded`] says that the run was cancelled or given up for dead:
    /// whoever works on it stops.
    pub async fn renew_lease(&self, id: i64, until_ms: i64) -> Result<(), CatalogError> {
        let update = Statement::new(include_str!("sql/run_renew_lease.sql"));
        self.update_running("renew a run's lease", id, update.bind(id).bind(until_ms)).await
    }

    /// Notes how much the run has folded so far.
    pub async fn note_progress(&self, id: i64, rows: u64, segments: u64) -> Result<(), CatalogError> {
        let update = Statement::new(include_str!("sql/run_progress.sql"));
        let update = update.bind(id).bind(stored(rows)).bind(stored(segments));
        self.update_running("note a run's progress", id, update).await
    }

    /// Ends a run without publishing; [`CatalogError::RunEnded`] when it had ended otherwise.
    pub async fn finish_run(&self, id: i64, end: &RunEnd, now_ms: i64) -> Result<(), CatalogError> {
        let (state, error) = match end {
            RunEnd::Failed { error } => (RunState::Failed, Some(error)),
            RunEnd::Cancelled => (RunState::Cancelled, None),
        };
        let update = Statement::new(include_str!("sql/run_finish.sql"));
        let update = update.bind(id).bind(state.as_str()).bind(now_ms).bind(error);
        match self.update_running("end a run", id, update).await {
            Err(CatalogError::RunEnded { state: found, .. }) if found == state => Ok(()),
            other => other,
        }
    }

    /// Marks running runs whose lease has passed at `now_ms` as failed; returns how many.
    pub async fn expire_runs(&self, now_ms: i64) -> Result<u64, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("give up dead runs").await?;
            let expired = expire(&mut change, now_ms).await?;
            change.commit().await?;
            Ok(expired)
        })
        .await
    }

    /// A run.
    pub async fn run(&self, id: i64) -> Result<Run, CatalogError> {
        let select = Statement::new(include_str!("sql/run_get.sql"));
        let run = self.read_one("read a run", select.bind(id)).await?;
        run.ok_or_else(|| CatalogError::Missing { what: format!("run {id}") })
    }

    /// The latest runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<Run>, CatalogError> {
        let select = Statement::new(include_str!("sql/run_list.sql"));
        self.read_all("list runs", select.bind(i64::from(limit))).await
    }

    async fn update_running(&self, doing: &'static str, id: i64, update: Statement) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change(doing).await?;
            if change.execute(update.clone()).await? == 0 {
                return Err(ended(&mut change, id).await?);
            }
            change.commit().await
        })
        .await
    }
}

async fn expire(change: &mut Change<'_>, now_ms: i64) -> Result<u64, CatalogError> {
    change.execute(Statement::new(include_str!("sql/run_expire.sql")).bind(now_ms)).await
}

pub(super) async fn get(change: &mut Change<'_>, id: i64) -> Result<Run, CatalogError> {
    let select = Statement::new(include_str!("sql/run_get.sql"));
    let run = change.one(select.bind(id)).await?;
    run.ok_or_else(|| CatalogError::Missing { what: format!("run {id}") })
}

fn in_progress(Run { id, owner, .. }: Run) -> CatalogError {
    CatalogError::RunInProgress { id, owner }
}

/// The error for a run that turned out not to be running.
pub(super) async fn ended(change: &mut Change<'_>, id: i64) -> Result<CatalogError, CatalogError> {
    let state = get(change, id).await?.state;
    Ok(CatalogError::RunEnded { id, state })
}

impl FromRow for Run {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let generation: Option<i64> = row.get("generation")?;
        Ok(Self {
            id: row.get("id")?,
            kind: row.parse("kind", RunKind::parse)?,
            trigger: row.parse("started_by", Trigger::parse)?,
            state: row.parse("state", RunState::parse)?,
            views: row.json("view_names")?,
            started_ms: row.get("started_ms")?,
            finished_ms: row.get("finished_ms")?,
            cuts: row.json("cuts")?,
            rows: count(row.get("row_count")?),
            segments: count(row.get("segment_count")?),
            generation: generation.map(|number| Generation(count(number))),
            error: row.get("error")?,
            lease_until_ms: row.get("lease_until_ms")?,
            owner: row.get("owner")?,
        })
    }
}
