//! The leader: the one process of the batch layer that keeps the schedule, does runs that nobody waits for, and upkeep.
//! The others take over once its lease has passed.
//!
//! Leading only saves work; nothing relies on it. A leader that was stopped and goes on beside its successor finds that
//! a moment was handled, that a run is in progress, or that the state it based a change on has changed.

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

/// The name of the process that leads the batch layer, if there is one.
pub async fn leader(catalog: &Catalog) -> Result<Option<String>, CatalogError> {
    Ok(catalog.lease(LEASE).await?.map(|lease| lease.holder))
}

/// A term: this process leads until its end, unless the lease is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    epoch: i64,
    /// End of the term by this machine's monotonic clock that goes on while a process is stopped. Counted from before
    /// the request to the catalog, so it is no later than the lease's end. A process that wakes up after it does not
    /// lead until the catalog says so.
    until: Instant,
}

/// Whether this process leads.
#[derive(Debug, Clone)]
pub(crate) struct Leader(watch::Receiver<Option<Term>>);

impl Leader {
    /// Tries to lead as `holder` until `shutdown`; then ends the lease, so that another process can lead at once.
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

    /// Number of the present term of this process; each term has another one.
    pub(crate) fn term(&self) -> Option<i64> {
        self.0.borrow().filter(|term| term.until > clock::now_monotonic()).map(|term| term.epoch)
    }

    /// Waits until this process may have begun or ceased to lead.
    pub(crate) async fn changed(&mut self) {
        let before = self.term();
        while self.term() == before {
            if self.0.changed().await.is_err() {
                // The process ends: there is nothing to wait for.
                return std::future::pending().await;
            }
        }
    }

    /// Waits until this process does not lead any more.
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
