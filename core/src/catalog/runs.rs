//! Runs of the batch layer: at most one is running, and it renews its lease while it lives. Times are the database's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::name::{Generation, StreamName, ViewName};
use crate::offsets::Cut;

use super::connection::{Change, next};
use super::leases::later;
use super::moments::{self, Moment};
use super::statement::{FromRow, Row, Statement, count, stored};
use super::{Catalog, CatalogError, counters};
use crate::catalog::string_enum::words;

words!(
    /// The input of a run.
    RunKind {
        /// All segments.
        Full = "full",
        /// The current generation and the segments since.
        Incremental = "incremental",
    }
);
words!(
    /// The reason of a run's start.
    Trigger {
        /// It was due by the schedule.
        Schedule = "schedule",
        /// A user asked for it.
        Demand = "demand",
        /// The process started.
        Start = "start",
        /// The speed layer is near its memory limit.
        Memory = "memory",
        /// The log lost records, and landing went on behind them.
        Gap = "gap",
    }
);
words!(
    /// The state of a run.
    RunState {
        /// It runs, unless its lease has passed.
        Running = "running",
        /// It published a generation.
        Published = "published",
        /// It failed, or its lease passed; it published nothing.
        Failed = "failed",
        /// It was cancelled before it published.
        Cancelled = "cancelled",
    }
);

/// The values with which a run starts.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The input of the run.
    pub kind: RunKind,
    /// The reason of its start.
    pub trigger: Trigger,
    /// The views that it folds.
    pub views: Vec<ViewName>,
    /// The cut of each stream that the views read.
    pub cuts: BTreeMap<StreamName, Cut>,
    /// Host and process of the run, unique for ever.
    pub owner: String,
    /// Time for which the run counts as live without a renewal.
    pub lease: Duration,
    /// [`Catalog::basis`] as read before the choice of segments; `None` when the choice does not depend on it.
    pub basis: Option<i64>,
    /// The moment at which the run was due, for a scheduled run.
    pub moment: Option<Moment>,
}

/// Progress that a run reports when it renews its lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSign {
    /// The present step, in one word.
    pub phase: String,
    /// Rows folded so far.
    pub rows: u64,
    /// Rows to fold in all.
    pub row_total: u64,
    /// Segments folded so far.
    pub segments: u64,
    /// Segments to fold in all.
    pub segment_total: u64,
}

/// A run as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// The input of the run.
    pub kind: RunKind,
    /// The reason of its start.
    pub trigger: Trigger,
    /// Its state.
    pub state: RunState,
    /// The views that it folds.
    pub views: Vec<ViewName>,
    /// Time of its start, in milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Time of its end; `None` while it runs.
    pub finished_ms: Option<i64>,
    /// The cut of each stream that the views read.
    pub cuts: BTreeMap<StreamName, Cut>,
    /// Rows folded so far.
    pub rows: u64,
    /// Segments folded so far.
    pub segments: u64,
    /// The step that it last reported, in one word.
    pub phase: String,
    /// Rows to fold in all, as last reported.
    pub row_total: u64,
    /// Segments to fold in all, as last reported.
    pub segment_total: u64,
    /// Whether its cancellation was requested.
    pub cancel_requested: bool,
    /// The generation that it published.
    pub generation: Option<Generation>,
    /// Why it failed, or which views it could not fold.
    pub error: Option<String>,
    /// End of its lease, in milliseconds since the Unix epoch.
    pub lease_until_ms: i64,
    /// Host and process of the run.
    pub owner: String,
}

/// The end of a run that publishes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// The run failed.
    Failed {
        /// The reason.
        error: String,
    },
    /// The run was cancelled.
    Cancelled,
}

impl Catalog {
    /// Starts a run, or fails with [`CatalogError::RunInProgress`] while another run's lease has not passed. A run
    /// whose lease has passed is marked as failed. [`CatalogError::BasisChanged`] means that the chosen segments may be
    /// gone, [`CatalogError::MomentTaken`] that another run was started for the same moment. The objects that the run
    /// reads are kept from its start on.
    ///
    /// # On a crash
    /// The run stays `running` until its lease has passed; the next start, or [`Self::expire_runs`], marks it as
    /// failed.
    pub async fn start_run(&self, new: &NewRun) -> Result<Run, CatalogError> {
        // The run of an attempt whose commit may have succeeded although its answer was lost.
        let attempted = AtomicI64::new(0);
        self.patiently(|| async {
            let mut change = self.change("start a run").await?;
            let id = next(&mut change, "run").await?;
            let now_ms = change.now_ms().await?;
            expire(&mut change, now_ms).await?;
            let running = Statement::new(include_str!("sql/run_running.sql"));
            if let Some(run) = change.one::<Run>(running).await? {
                let ours = run.id == attempted.load(Ordering::Relaxed) && run.owner == new.owner;
                return if ours { Ok(run) } else { Err(in_progress(run)) };
            }
            if let Some(basis) = new.basis
                && counters::get(&mut change, "basis").await? != basis
            {
                return Err(CatalogError::BasisChanged);
            }
            if let Some(moment) = &new.moment
                && !moments::keep(&mut change, moment).await?
            {
                return Err(CatalogError::MomentTaken { kind: moment.kind });
            }
            let insert = Statement::new(include_str!("sql/run_insert.sql"))
                .bind(id)
                .bind(new.kind.as_str())
                .bind(new.trigger.as_str())
                .bind(self.json("views", &new.views)?)
                .bind(self.json("cuts", &new.cuts)?)
                .bind(now_ms)
                .bind(&new.owner)
                .bind(later(now_ms, new.lease));
            change.execute(insert).await?;
            let run = get(&mut change, id).await?;
            attempted.store(id, Ordering::Relaxed);
            change.commit().await?;
            Ok(run)
        })
        .await
    }

    /// Extends the run's lease and records its progress. Fails with [`CatalogError::RunEnded`] when the run was
    /// cancelled or its lease has passed: then stop working on it.
    pub async fn renew_run(&self, id: i64, sign: &RunSign, lease: Duration) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("renew a run's lease").await?;
            let now_ms = change.now_ms().await?;
            let run = get(&mut change, id).await?;
            if run.state != RunState::Running || run.cancel_requested {
                return Err(ended(run));
            }
            let update = Statement::new(include_str!("sql/run_renew.sql"))
                .bind(id)
                .bind(later(now_ms, lease))
                .bind(&sign.phase)
                .bind(stored(sign.rows))
                .bind(stored(sign.row_total))
                .bind(stored(sign.segments))
                .bind(stored(sign.segment_total));
            change.execute(update).await?;
            change.commit().await
        })
        .await
    }

    /// Requests the end of the run in progress, in whichever process: it can no longer publish. Returns its number, if
    /// there is one.
    pub async fn cancel_run(&self) -> Result<Option<i64>, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("cancel a run").await?;
            let running = Statement::new(include_str!("sql/run_running.sql"));
            let Some(Run { id, .. }) = change.one::<Run>(running).await? else { return Ok(None) };
            change.execute(Statement::new(include_str!("sql/run_cancel.sql")).bind(id)).await?;
            change.commit().await?;
            Ok(Some(id))
        })
        .await
    }

    /// The run in progress; none when its lease has passed.
    pub async fn running(&self) -> Result<Option<Run>, CatalogError> {
        let now_ms = self.now_ms().await?;
        let running = Statement::new(include_str!("sql/run_running.sql"));
        let run: Option<Run> = self.read_one("read the run in progress", running).await?;
        Ok(run.filter(|run| run.lease_until_ms > now_ms))
    }

    /// A number that grows when segments are merged and when another generation becomes current. While it stays the
    /// same, the segments and states that a run chose are still there.
    pub async fn basis(&self) -> Result<i64, CatalogError> {
        let select = Statement::new(include_str!("sql/counter_get.sql")).bind("basis");
        let basis = self.read_one("read what runs stand on", select).await?;
        basis.ok_or_else(|| CatalogError::Missing { what: "counter `basis`".to_owned() })
    }

    /// Ends a run without publishing; [`CatalogError::RunEnded`] when it had ended otherwise.
    pub async fn finish_run(&self, id: i64, end: &RunEnd) -> Result<(), CatalogError> {
        let (state, error) = match end {
            RunEnd::Failed { error } => (RunState::Failed, Some(error)),
            RunEnd::Cancelled => (RunState::Cancelled, None),
        };
        self.patiently(|| async {
            let mut change = self.change("end a run").await?;
            let now_ms = change.now_ms().await?;
            let update = Statement::new(include_str!("sql/run_finish.sql"));
            let update = update.bind(id).bind(state.as_str()).bind(now_ms).bind(error);
            if change.execute(update).await? == 0 {
                let run = get(&mut change, id).await?;
                return if run.state == state { Ok(()) } else { Err(ended(run)) };
            }
            change.commit().await
        })
        .await
    }

    /// Marks running runs whose lease has passed as failed; returns how many.
    pub async fn expire_runs(&self) -> Result<u64, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("give up dead runs").await?;
            let now_ms = change.now_ms().await?;
            let expired = expire(&mut change, now_ms).await?;
            change.commit().await?;
            Ok(expired)
        })
        .await
    }

    /// A run by its number.
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
}

pub(super) async fn expire(change: &mut Change<'_>, now_ms: i64) -> Result<u64, CatalogError> {
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

/// The error for a run that is not running, or is to end.
pub(super) fn ended(Run { id, state, .. }: Run) -> CatalogError {
    let state = if state == RunState::Running { RunState::Cancelled } else { state };
    CatalogError::RunEnded { id, state }
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
            phase: row.get("phase")?,
            row_total: count(row.get("row_total")?),
            segment_total: count(row.get("segment_total")?),
            cancel_requested: row.get::<i32>("cancel_requested")? != 0,
            generation: generation.map(|number| Generation(count(number))),
            error: row.get("error")?,
            lease_until_ms: row.get("lease_until_ms")?,
            owner: row.get("owner")?,
        })
    }
}
