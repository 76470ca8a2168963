//! Membership: a process reports in the catalog that it lives, and finds the others of its layer there.
//!
//! Every member computes alone, from the same list, which partitions it owns. Lists may differ for a moment, so two
//! members may both own a partition, or none does. That costs work or time, and never changes an answer: a range landed
//! twice is recorded once, and a partition that nobody folds is reported as missing.

use std::collections::BTreeSet;
use std::time::Duration;

use dovetail_core::assignment::Assignment;
use dovetail_core::background;
use dovetail_core::catalog::{Catalog, CatalogError, Member, MemberLayer, NewMember};
use dovetail_core::clock;
use dovetail_core::name::StreamName;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// A stream's partitions that the members share.
#[derive(Debug, Clone)]
pub(crate) struct SharedStream {
    pub(crate) stream: StreamName,
    pub(crate) topic: String,
    pub(crate) partitions: watch::Receiver<u32>,
}

/// The addresses of a process for others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Its HTTP address, a URL.
    pub http: String,
    /// `host:port` of a speed layer's Flight service; `None` for other layers.
    pub flight: Option<String>,
}

/// The membership of this process.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) catalog: Catalog,
    pub(crate) layer: MemberLayer,
    /// Unique for ever: no other process has had it or will have it.
    pub(crate) id: String,
    /// Its addresses for others.
    pub(crate) addresses: Addresses,
    pub(crate) shared: Vec<SharedStream>,
    pub(crate) lease: Duration,
}

impl Membership {
    /// Joins, and stays until `shutdown`; returns the partitions assigned to this process.
    ///
    /// # Errors
    /// When the catalog does not accept the first join.
    ///
    /// # On a crash
    /// The member's row stays until its lease has passed; then the others share its partitions among themselves.
    pub(crate) async fn join(
        self,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Result<watch::Receiver<Assignment>, CatalogError> {
        self.enter().await?;
        let assignment = watch::Sender::new(self.look().await?);
        let receiver = assignment.subscribe();
        background::spawn_to_end(tracker, "membership", async move {
            shutdown.run_until_cancelled(self.stay(&assignment)).await;
            if let Err(error) = self.catalog.leave(&self.id).await {
                warn!(%error, "others wait for this member's lease to pass");
            }
        });
        Ok(receiver)
    }

    async fn enter(&self) -> Result<(), CatalogError> {
        let member = NewMember {
            id: self.id.clone(),
            layer: self.layer,
            address: self.addresses.http.clone(),
            flight: self.addresses.flight.clone(),
        };
        self.catalog.join(&member, self.lease).await
    }

    async fn stay(&self, assignment: &watch::Sender<Assignment>) {
        let mut changes = self.catalog.changes();
        loop {
            let slept = clock::now_monotonic();
            // Recomputed when a member comes or goes, and often enough to renew the lease.
            let _ = tokio::time::timeout(self.lease / 4, changes.changed()).await;
            if slept.elapsed() > self.lease {
                // This process was stopped: others may own its partitions, until the catalog shows that none does.
                assignment.send_replace(Assignment::new());
            }
            match self.renew(assignment).await {
                Ok(()) => {}
                Err(CatalogError::MemberLost { .. }) => {
                    warn!(member = self.id, "gave no sign of life in time, others may have taken over; joining again");
                    assignment.send_replace(Assignment::new());
                    if let Err(error) = self.enter().await {
                        warn!(%error, "cannot join");
                    }
                }
                Err(error) => warn!(%error, "cannot renew the membership, trying again"),
            }
        }
    }

    async fn renew(&self, assignment: &watch::Sender<Assignment>) -> Result<(), CatalogError> {
        let mine = self.look().await?;
        if assignment.send_if_modified(|old| std::mem::replace(old, mine.clone()) != mine) {
            info!(layer = %self.layer, partitions = ?mine, "partitions of this process");
        }
        let topic = |stream: &StreamName| self.shared.iter().find(|s| s.stream == *stream).map(|s| s.topic.clone());
        let topics = mine.iter().filter_map(|(stream, partitions)| Some((topic(stream)?, partitions.clone())));
        self.catalog.renew_member(&self.id, &topics.collect(), self.lease).await
    }

    async fn look(&self) -> Result<Assignment, CatalogError> {
        let members = self.catalog.members(self.layer).await?;
        let ids: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
        Ok(share(&ids, &self.id, &self.shared))
    }
}

/// The partitions of `me` among `members`, which are sorted: distributed in turn.
fn share(members: &[&str], me: &str, shared: &[SharedStream]) -> Assignment {
    let Some(mine) = members.iter().position(|member| *member == me) else { return Assignment::new() };
    let mut turn = 0;
    let mut assignment = Assignment::new();
    for stream in shared {
        let mut partitions = BTreeSet::new();
        for partition in 0..stream.partitions.borrow().cast_signed() {
            if turn % members.len() == mine {
                partitions.insert(partition);
            }
            turn += 1;
        }
        assignment.insert(stream.stream.clone(), partitions);
    }
    assignment
}

/// The members of a layer as a value to watch, until `shutdown`.
pub(crate) fn follow<T: PartialEq + Send + Sync + 'static>(
    catalog: Catalog,
    layer: MemberLayer,
    every: Duration,
    as_member: impl Fn(Member) -> Option<T> + Send + Sync + 'static,
    tracker: &TaskTracker,
    shutdown: CancellationToken,
) -> watch::Receiver<Vec<T>> {
    let (sender, receiver) = watch::channel(vec![]);
    background::spawn(tracker, &shutdown, "follow_members", async move {
        let mut changes = catalog.changes();
        loop {
            match catalog.members(layer).await {
                Ok(members) => {
                    let members: Vec<T> = members.into_iter().filter_map(&as_member).collect();
                    sender.send_if_modified(|old| {
                        let changed = *old != members;
                        *old = members;
                        changed
                    });
                }
                Err(error) => warn!(%error, "the members are as they were last known"),
            }
            let _ = tokio::time::timeout(every, changes.changed()).await;
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(partitions: &[u32]) -> Vec<SharedStream> {
        let names = ["a", "b"];
        let shared = names.iter().zip(partitions).map(|(name, &partitions)| SharedStream {
            stream: StreamName::parse(name).unwrap(),
            topic: name.to_uppercase(),
            partitions: watch::channel(partitions).1,
        });
        shared.collect()
    }

    #[test]
    fn every_partition_has_one_member_and_nobody_has_many_more() {
        let shared = shared(&[4, 3]);
        for n in 1..10 {
            let ids: Vec<String> = (0..n).map(|i| format!("m{i}")).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let parts: Vec<Assignment> = ids.iter().map(|me| share(&ids, me, &shared)).collect();
            let sizes: Vec<usize> = parts.iter().map(|part| part.values().map(BTreeSet::len).sum()).collect();
            assert_eq!(sizes.iter().sum::<usize>(), 7, "{n} members: {sizes:?}");
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{n} members: {sizes:?}");
            let all: BTreeSet<(&StreamName, &i32)> =
                parts.iter().flat_map(|part| part.iter().flat_map(|(s, ps)| ps.iter().map(move |p| (s, p)))).collect();
            assert_eq!(all.len(), 7, "{n} members");
        }
        assert_eq!(share(&["m0"], "gone", &shared), Assignment::new());
    }
}
