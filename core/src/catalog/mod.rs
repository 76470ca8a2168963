//! The catalog: the tables of landing, runs, generations, objects and members, and the pointer to the current generation.
//!
//! Every operation that changes something is one transaction whose `WHERE` names the state that the caller expects: the
//! partition's next offset, the current generation, a run that is still running. A caller whose state is out of date
//! fails, and the error says what is true now. A change that was committed although its answer was lost is recognised
//! when it is repeated, and succeeds. So every operation repeats itself for some seconds while the database cannot be
//! reached.
//!
//! | | SQLite | PostgreSQL |
//! |---|---|---|
//! | statements and tables | the same | the same |
//! | changes follow one another | `BEGIN IMMEDIATE` | the row of the counter `change` is locked first |
//! | readers | see the last commit | see the last commit |
//! | leases are judged by | the clock of the machine, which all its processes have | the server's clock |

mod boundaries;
mod compaction;
mod connection;
mod counters;
mod drift;
mod error;
mod gaps;
mod generations;
mod history;
mod jobs;
mod landing;
mod leases;
mod members;
mod migrations;
mod moments;
mod objects;
mod open;
mod postgres;
mod registry;
mod run_requests;
mod runs;
mod sqlite;
mod statement;
mod string_enum;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::{PgPool, SqlitePool};
use tokio::sync::{Mutex, watch};
use tracing::debug;

pub use self::drift::Drift;
pub use self::error::CatalogError;
pub use self::gaps::Gap;
pub use self::generations::{GenerationRow, PublishedGeneration};
pub use self::jobs::{Checkpoint, CurrentJob, Job, JobLease, JobStarts};
pub use self::landing::{LandedTotals, Partition, Segment};
pub use self::leases::Lease;
pub use self::members::{Member, MemberLayer, NewMember, TopicPartitions};
pub use self::moments::Moment;
pub use self::objects::{Object, ObjectCount, ObjectState, Patience};
pub use self::registry::{StreamRow, ViewRow};
pub use self::runs::{NewRun, Run, RunEnd, RunKind, RunSign, RunState, Trigger};
pub use crate::catalog::run_requests::RequestedRun;

use self::statement::Statement;
use crate::clock::{self, Clock};

/// A handle to the catalog: clones share the connections.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<CatalogState>,
}

#[derive(Debug)]
struct CatalogState {
    /// The name of the database in errors: its file, or its server's address.
    name: String,
    pools: Pools,
    /// The clock for a database in a file, which has none of its own.
    clock: Clock,
    /// Limit of the time for which an operation is repeated while the database cannot be reached.
    patience: Duration,
    /// Number of the last change that was reported to [`Self::changes`].
    change: AtomicI64,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
enum Pools {
    /// SQLite has one writer at a time. With a pool of one, writers of this process queue here, in order, and only
    /// writers of other processes are met at the database's lock.
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    /// Changes of this process queue here too: a process that is stopped holds the server's lock once, and not again
    /// with each connection that waited for it.
    Postgres { pool: PgPool, turn: Arc<Mutex<()>> },
}

impl Catalog {
    /// A number that grows after every change to segments, gaps, generations and members: at once for changes of this
    /// process, and while [`Self::follow_others`] runs for those of other processes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Polls for changes of other processes and reports them to [`Self::changes`]. Runs for ever.
    pub async fn follow_others(&self, every: Duration) {
        loop {
            clock::sleep(every).await;
            // Errors are left to the callers that need the catalog.
            if let Err(error) = self.look().await {
                debug!(%error, "whether others changed the catalog is not known");
            }
        }
    }

    async fn look(&self) -> Result<(), CatalogError> {
        let select = Statement::new(include_str!("sql/counter_get.sql")).bind("change");
        if let Some(number) = self.read_one("look for changes", select).await? {
            self.tell(number);
        }
        Ok(())
    }

    fn tell(&self, number: i64) {
        if self.inner.change.fetch_max(number, Ordering::Relaxed) < number {
            self.inner.changes.send_modify(|n| *n += 1);
        }
    }

    /// The name of the database in errors: its file, or its server's address.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Closes the connections; SQLite's write-ahead log is merged into its file.
    pub async fn close(&self) {
        match &self.inner.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres { pool, .. } => pool.close().await,
        }
    }
}
