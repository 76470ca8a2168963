//! Speed layers in other processes, read as if they were one in this.
//!
//! ```text
//! member a ──┐  one stream per view and member: the base for the floors that are read, then what is new
//! member b ──┴─► link ─► view: each member's slices, partition by partition ─► read: from memory, no round trip
//! ```
//! Slices are functions of the log, so it does not matter who sent them. Where two members hold a partition, the one
//! that is further is read. A partition is missing once its member has not been heard for
//! [`RemoteConfig::stale_after`], and until another one holds it and is as far as what was read before: answers do
//! not go back.

mod bytes;
mod link;
mod member_state;
mod members;
mod receive;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dovetail_core::background;
use dovetail_core::clock;
use dovetail_core::name::ViewName;
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::realtime::{HeldUp, Realtime, RealtimeError, RealtimeView};
use dovetail_core::view::View;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::bytes::Total;
use self::members::Members;
use self::view::RemoteView;

/// A speed layer somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What errors call it.
    pub id: String,
    /// `host:port`, or a URL.
    pub address: String,
}

/// Bounds and intervals; defaults live with the command line.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// For how long a member's slices are still read when nothing is heard of it. Longer than members' heartbeats.
    pub stale_after: Duration,
    /// A floor that nobody has read for so long is no longer received.
    pub idle: Duration,
    /// Floors of a view that are received at a time: of all generations that are kept, and of the one to come. The one
    /// that was not read for longest goes.
    pub floors: usize,
    /// Slices of all views and members, bytes; a member whose slices do not fit counts as missing.
    pub memory_limit: usize,
}

/// What it is made of.
#[derive(Debug)]
pub struct RemoteParts {
    pub views: Vec<Arc<View>>,
    /// All members that are alive, as far as anybody knows.
    pub members: watch::Receiver<Vec<Member>>,
    pub config: RemoteConfig,
}

/// The realtime views of all members.
#[derive(Debug)]
pub struct RemoteRealtime {
    views: BTreeMap<ViewName, Arc<RemoteView>>,
}

impl RemoteRealtime {
    /// Starts to follow the members, until `shutdown`.
    pub fn start(parts: RemoteParts, tracker: &TaskTracker, shutdown: &CancellationToken) -> Arc<Self> {
        let RemoteParts { views, members, config } = parts;
        let total = Arc::new(Total::new(config.memory_limit));
        let views = views.into_iter().map(|view| (view.name.clone(), Arc::new(RemoteView::new(view, &config))));
        let views: BTreeMap<_, _> = views.collect();
        let all = views.values().cloned().collect();
        let mut following = Members::new(all, members, config, total, tracker.clone(), shutdown.clone());
        // Before anybody reads: who is there now is waited for.
        following.look(true);
        background::spawn(tracker, shutdown, "remote_members", following.run());
        Arc::new(Self { views })
    }

    fn view(&self, view: &ViewName) -> Result<&Arc<RemoteView>, RealtimeError> {
        self.views.get(view).ok_or_else(|| RealtimeError::UnknownView(view.clone()))
    }
}

#[async_trait]
impl Realtime for RemoteRealtime {
    /// From memory. A floor that was not read before is asked for, and until it is there the answer is
    /// [`RealtimeError::Asking`].
    async fn read(&self, view: &ViewName, floor: &Cut) -> Result<RealtimeView, RealtimeError> {
        self.view(view)?.read(floor, clock::now_monotonic())
    }

    fn keep_boundary(&self, view: &ViewName, at: &Offsets) {
        if let Ok(view) = self.view(view) {
            view.keep_boundary(at);
        }
    }

    fn head(&self, view: &ViewName) -> Result<Offsets, RealtimeError> {
        Ok(self.view(view)?.head(clock::now_monotonic()))
    }

    fn held_up(&self, view: &ViewName) -> Vec<(i32, HeldUp)> {
        self.view(view).map(|view| view.held_up(clock::now_monotonic())).unwrap_or_default()
    }
}
