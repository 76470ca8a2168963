//! The leader: the one process of the batch layer that keeps the schedule, and does runs that nobody waits for and
//! upkeep. The others stand by and take over once its lease has passed.
//!
//! Leading keeps work from being done by every process. Nothing relies on it: a leader that was stopped and goes on
//! beside its successor finds that a moment was seen to, that a run is in progress, or that what it based a change
//! on is no longer so.

use std::time::Duration;

use dovetail_core::background;
use dovetail_core::catalog::{Catalog, CatalogError};
use dovetail_core::clock;
use metrics::gauge;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// The lease's name in the catalog.
const LEASE: &str = "batch";

/// Who leads the batch layer, if somebody does.
pub async fn leader(catalog: &Catalog) -> Result<Option<String>, CatalogError> {
    Ok(catalog.lease(LEASE).await?.map(|lease| lease.holder))
}

/// This process leads, until it has to be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    epoch: i64,
    /// By the clock of this machine that goes on while a process is stopped: counted from before the catalog was
    /// asked, so it ends no later than the lease. Whoever wakes up after it leads no more until the catalog says so.
    until: Instant,
}

/// Whether this process leads.
#[derive(Debug, Clone)]
pub(crate) struct Leader(watch::Receiver<Option<Term>>);

impl Leader {
    /// Tries to lead as `holder`, again and again, until `shutdown`; then lets another one lead at once.
    pub(crate) fn start(
        catalog: Catalog,
        holder: String,
        lease: Duration,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let (sender, receiver) = watch::channel(None);
        background::spawn_to_end(tracker, "lead", async move {
            shutdown.run_until_cancelled(keep(&catalog, &holder, lease, &sender)).await;
            sender.send_replace(None);
            gauge!("dovetail_batch_leader").set(0.0);
            if let Err(error) = catalog.give_up_lease(LEASE, &holder).await {
                warn!(%error, "others wait until this leader's lease has passed");
            }
        });
        Self(receiver)
    }

    /// The term in which this process leads now. Another one has another number.
    pub(crate) fn term(&self) -> Option<i64> {
        self.0.borrow().filter(|term| term.until > clock::now_monotonic()).map(|term| term.epoch)
    }

    /// Returns when this process may have begun or ended to lead.
    pub(crate) async fn changed(&mut self) {
        let before = self.term();
        while self.term() == before {
            if self.0.changed().await.is_err() {
                // The end of the process: there is nothing to wait for.
                return std::future::pending().await;
            }
        }
    }

    /// Returns when this process does not lead any more.
    pub(crate) async fn lost(&self) {
        let mut terms = self.0.clone();
        loop {
            let term = *terms.borrow_and_update();
            let Some(Term { until, .. }) = term.filter(|term| term.until > clock::now_monotonic()) else { return };
            tokio::select! {
                () = clock::sleep_until(until) => {}
                _ = terms.changed() => {}
            }
        }
    }
}

async fn keep(catalog: &Catalog, holder: &str, lease: Duration, terms: &watch::Sender<Option<Term>>) {
    loop {
        let asked = clock::now_monotonic();
        match catalog.hold_lease(LEASE, holder, lease).await {
            Ok(held) if held.holder == holder => {
                let term = Term { epoch: held.epoch, until: asked + lease };
                let before = terms.send_replace(Some(term));
                if before.map(|before| before.epoch) != Some(term.epoch) {
                    info!(holder, epoch = term.epoch, "leads the batch layer");
                }
            }
            Ok(held) => {
                if terms.send_replace(None).is_some() {
                    info!(holder, leader = held.holder, "another process leads the batch layer");
                }
            }
            Err(error) => warn!(%error, "whether this process leads the batch layer is not known, asking again"),
        }
        let leads = terms.borrow().is_some_and(|term| term.until > clock::now_monotonic());
        gauge!("dovetail_batch_leader").set(f64::from(u8::from(leads)));
        clock::sleep(lease / 4).await;
    }
}
