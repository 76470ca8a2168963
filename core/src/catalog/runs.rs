//! Runs of the batch layer: at most one is running, and it proves every now and then that it lives. Times are the
//! database's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::name::{Generation, StreamName, ViewName};
use crate::offsets::Cut;

use super::connection::Change;
use super::leases::later;
use super::moments::{self, Moment};
use super::statement::{FromRow, Row, Statement, count, stored};
use super::{Catalog, CatalogError, counters};
use crate::catalog::string_enum::words;

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
    /// How long the run counts as living without a sign of it.
    pub lease: Duration,
    /// [`Catalog::basis`] before it was chosen what to do; `None` where that does not matter.
    pub basis: Option<i64>,
    /// The moment at which the run was due, if it is one of a schedule.
    pub moment: Option<Moment>,
}

/// What a run says of itself when it shows that it lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSign {
    pub phase: String,
    /// Rows and segments folded so far, of how many.
    pub rows: u64,
    pub row_total: u64,
    pub segments: u64,
    pub segment_total: u64,
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
    /// What it does, in a word, and how many rows and segments there are to fold, as it last said.
    pub phase: String,
    pub row_total: u64,
    pub segment_total: u64,
    /// Whether somebody wants it to end.
    pub cancel_requested: bool,
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
    /// passed. One whose lease has passed is marked as failed. [`CatalogError::BasisChanged`] says that what was
    /// chosen to be folded may be gone, [`CatalogError::MomentTaken`] that another run was due for the same reason.
    /// From its start on, what the run reads stays.
    pub async fn start_run(&self, new: &NewRun) -> Result<Run, CatalogError> {
        // The run of an attempt whose commit may have gone through although its answer was lost.
        let attempted = AtomicI64::new(0);
        self.patiently(|| async {
            let mut change = self.change("start a run").await?;
            let id = counters::next(&mut change, "run").await?;
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

    /// Extends the run's lease and notes how far it is. [`CatalogError::RunEnded`] says that the run was cancelled or
    /// given up for dead: whoever works on it stops.
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

    /// Asks the run in progress to end, whichever process runs it: it can no longer publish. Returns its number, if
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

    /// A number that grows when segments are merged and when another generation becomes current: what a run chose is
    /// what there is for as long as it stays.
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

/// The error for a run that turned out not to be running, or is to end.
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
