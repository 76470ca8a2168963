//! Upkeep: bounds the growth of the landing and of the generations, and changes no answer. Rollback is here too, and
//! is the exception: it makes an earlier generation current.

mod collect;
mod compact;
mod retire;
mod rollback;
mod trim;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use dovetail_core::catalog::Catalog;
use dovetail_core::clock::{self, Clock};
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_core::view::View;
use dovetail_ingestion::log::Log;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::{info, warn};

pub use self::collect::collect_garbage;
pub use self::rollback::RollbackError;
pub(crate) use self::rollback::rollback;
use crate::config::RunConfig;
use crate::leader::Leader;
use crate::put::PutError;
use crate::writer_id::WriterId;

/// Number of runs and generations that are remembered and examined.
const RECENT: u32 = 1000;

#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(crate) streams: Vec<Arc<Stream>>,
    pub(crate) views: Vec<Arc<View>>,
    /// The log to trim; `None` where it has its own retention.
    pub(crate) log: Option<Arc<dyn Log>>,
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) config: RunConfig,
    pub(crate) writer: Arc<WriterId>,
    /// Time of the last repeated deletion of objects that were never recorded.
    pub(crate) deleted_again: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum UpkeepError {
    #[error(transparent)]
    Catalog(#[from] dovetail_core::catalog::CatalogError),
    #[error(transparent)]
    Store(#[from] dovetail_core::store::StoreError),
    #[error(transparent)]
    Manifest(#[from] dovetail_core::manifest::ManifestError),
    #[error(transparent)]
    Log(#[from] dovetail_ingestion::log::LogError),
    #[error("segments cannot be merged")]
    Parquet(#[from] parquet::errors::ParquetError),
    #[error("a task of the upkeep did not finish")]
    Task(#[from] tokio::task::JoinError),
}

impl From<PutError> for UpkeepError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Catalog(error) => error.into(),
            PutError::Store(error) => error.into(),
        }
    }
}

impl Upkeep {
    /// Repeats upkeep while this process leads, beside its runs. Stops early when it ceases to lead: unfinished work is
    /// garbage.
    pub(crate) async fn keep_up(self, leader: Leader) {
        let every = self.config.upkeep_every;
        let mut ticks = interval_at(clock::now_monotonic() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            tokio::select! {
                biased;
                () = leader.lost() => info!("the upkeep is another process's, or waits until this one leads"),
                () = self.run() => {}
            }
        }
    }

    /// Does all of it once. A failed part is tried again the next time.
    pub(crate) async fn run(&self) {
        report("retire generations", self.retire().await);
        report("trim the log", self.trim().await);
        report("compact segments", self.compact().await);
        report("list the store", self.list_store_once().await);
        report("delete garbage", self.collect().await);
    }
}

fn report(doing: &'static str, done: Result<(), UpkeepError>) {
    if let Err(error) = done {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        warn!(%error, cause, "could not {doing}, trying again later");
    }
}
