//! The catalog: what was landed, what was published, and the one pointer that is ever updated in place.
//!
//! Every operation that changes something is one transaction whose `WHERE` names what the caller believes: the
//! partition's next offset, the current generation, a run that is still running. Whoever believes something that
//! is no longer true loses and is told what is true now. A change that had been committed although its answer was
//! lost is recognised when it is asked for again, and succeeds.

mod compaction;
mod connection;
mod counters;
mod drift;
mod error;
mod garbage;
mod generations;
mod landing;
mod open;
mod registry;
mod runs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::sync::watch;

pub use self::drift::Drift;
pub use self::error::CatalogError;
pub use self::generations::{GenerationRow, PublishedGeneration};
pub use self::landing::{LandedTotals, Partition, Segment};
pub use self::registry::{StreamRow, ViewRow};
pub use self::runs::{NewRun, Run, RunEnd, RunKind, RunState, Trigger};

/// A handle to the catalog: clones share the connections.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What errors call the database: its file.
    name: String,
    /// SQLite has one writer at a time. With a pool of one, writers of this process queue here, in order, and only
    /// other processes are met by way of the database's lock.
    writer: SqlitePool,
    readers: SqlitePool,
    changes: watch::Sender<u64>,
}

impl Catalog {
    /// A number that grows after every change that this process committed to segments or generations. Changes by
    /// other processes are not seen here: poll for those.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    fn changed(&self) {
        self.inner.changes.send_modify(|n| *n += 1);
    }

    /// What errors call the database: its file.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Closes the connections, so that the database's write-ahead log is folded into its file.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }
}
