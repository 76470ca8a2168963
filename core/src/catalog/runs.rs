//! Runs of the batch layer: at most one is running, and it proves every now and then that it lives.

use std::collections::BTreeMap;
use std::fmt;

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use crate::name::{Generation, StreamName, ViewName};
use crate::offsets::Cut;

use super::connection::{Change, count, stored};
use super::{Catalog, CatalogError, counters};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            /// The word for it in tables and messages.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            fn parse(word: &str) -> Result<Self, sqlx::Error> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(sqlx::Error::Decode(format!("`{word}` is no {}", stringify!($name)).into())),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

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
    /// Whose run it is: host and process, for messages.
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
        let mut change = self.change("start a run").await?;
        // First of all: it makes two schedulers follow one another.
        let id = counters::next(&mut change, "run").await?;
        expire(&mut change, new.started_ms).await?;
        let running = sqlx::query_as::<_, Run>(include_str!("sql/run_running.sql"));
        if let Some(Run { id, owner, .. }) = change.one(running).await? {
            return Err(CatalogError::RunInProgress { id, owner });
        }
        let insert = sqlx::query(include_str!("sql/run_insert.sql"))
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
        change.commit().await?;
        Ok(run)
    }

    /// Extends the run's lease. [`CatalogError::RunEnded`] says that the run was cancelled or given up for dead:
    /// whoever works on it stops.
    pub async fn renew_lease(&self, id: i64, until_ms: i64) -> Result<(), CatalogError> {
        let update = sqlx::query(include_str!("sql/run_renew_lease.sql"));
        self.update_running("renew a run's lease", id, update.bind(id).bind(until_ms)).await
    }

    /// Notes how much the run has folded so far.
    pub async fn note_progress(&self, id: i64, rows: u64, segments: u64) -> Result<(), CatalogError> {
        let update = sqlx::query(include_str!("sql/run_progress.sql"));
        let update = update.bind(id).bind(stored(rows)).bind(stored(segments));
        self.update_running("note a run's progress", id, update).await
    }

    /// Ends a run without publishing; [`CatalogError::RunEnded`] when it had ended otherwise.
    pub async fn finish_run(&self, id: i64, end: &RunEnd, now_ms: i64) -> Result<(), CatalogError> {
        let (state, error) = match end {
            RunEnd::Failed { error } => (RunState::Failed, Some(error)),
            RunEnd::Cancelled => (RunState::Cancelled, None),
        };
        let update = sqlx::query(include_str!("sql/run_finish.sql"));
        let update = update.bind(id).bind(state.as_str()).bind(now_ms).bind(error);
        match self.update_running("end a run", id, update).await {
            Err(CatalogError::RunEnded { state: found, .. }) if found == state => Ok(()),
            other => other,
        }
    }

    /// Marks running runs whose lease has passed at `now_ms` as failed; returns how many.
    pub async fn expire_runs(&self, now_ms: i64) -> Result<u64, CatalogError> {
        let mut change = self.change("give up dead runs").await?;
        let expired = expire(&mut change, now_ms).await?;
        change.commit().await?;
        Ok(expired)
    }

    /// A run.
    pub async fn run(&self, id: i64) -> Result<Run, CatalogError> {
        let select = sqlx::query_as(include_str!("sql/run_get.sql"));
        let run = self.read_one("read a run", select.bind(id)).await?;
        run.ok_or_else(|| CatalogError::Missing { what: format!("run {id}") })
    }

    /// The latest runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<Run>, CatalogError> {
        let select = sqlx::query_as(include_str!("sql/run_list.sql"));
        self.read_all("list runs", select.bind(i64::from(limit))).await
    }

    async fn update_running(
        &self,
        doing: &'static str,
        id: i64,
        update: super::connection::Statement<'_>,
    ) -> Result<(), CatalogError> {
        let mut change = self.change(doing).await?;
        if change.execute(update).await? == 0 {
            return Err(ended(&mut change, id).await?);
        }
        change.commit().await
    }

    fn json(&self, what: &str, value: &impl serde::Serialize) -> Result<String, CatalogError> {
        serde_json::to_string(value).map_err(|e| self.damaged(what, e))
    }
}

async fn expire(change: &mut Change<'_>, now_ms: i64) -> Result<u64, CatalogError> {
    change.execute(sqlx::query(include_str!("sql/run_expire.sql")).bind(now_ms)).await
}

pub(super) async fn get(change: &mut Change<'_>, id: i64) -> Result<Run, CatalogError> {
    let select = sqlx::query_as(include_str!("sql/run_get.sql"));
    let run = change.one(select.bind(id)).await?;
    run.ok_or_else(|| CatalogError::Missing { what: format!("run {id}") })
}

/// The error for a run that turned out not to be running.
pub(super) async fn ended(change: &mut Change<'_>, id: i64) -> Result<CatalogError, CatalogError> {
    let state = get(change, id).await?.state;
    Ok(CatalogError::RunEnded { id, state })
}

impl FromRow<'_, SqliteRow> for Run {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let generation: Option<i64> = row.try_get("generation")?;
        Ok(Self {
            id: row.try_get("id")?,
            kind: RunKind::parse(row.try_get("kind")?)?,
            trigger: Trigger::parse(row.try_get("started_by")?)?,
            state: RunState::parse(row.try_get("state")?)?,
            views: from_json(row.try_get("view_names")?)?,
            started_ms: row.try_get("started_ms")?,
            finished_ms: row.try_get("finished_ms")?,
            cuts: from_json(row.try_get("cuts")?)?,
            rows: count(row.try_get("row_count")?),
            segments: count(row.try_get("segment_count")?),
            generation: generation.map(|number| Generation(count(number))),
            error: row.try_get("error")?,
            lease_until_ms: row.try_get("lease_until_ms")?,
            owner: row.try_get("owner")?,
        })
    }
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> sqlx::Result<T> {
    serde_json::from_str(json).map_err(|e| sqlx::Error::Decode(e.into()))
}
