//! Speed layers in other processes, read as if they were one local layer.
//!
//! ```text
//! member a ──┐  one stream per view and member: everything from the wanted starts, then new slices
//! member b ──┴─► link ─► view: each member's slices, partition by partition ─► read: from memory, no round trip
//! ```
//! Slices are functions of the log, so it does not matter which member sent them. Where two members hold a partition,
//! the one with the greater head is read. A partition is missing once its member was silent for
//! [`RemoteConfig::stale_after`], and until another one holds it and has reached the offset read before: answers do not
//! go back.

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
use dovetail_core::realtime::{Realtime, RealtimeError, RealtimeView, Stall};
use dovetail_core::view::View;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::bytes::Total;
use self::members::Members;
use self::view::RemoteView;

/// A speed layer in another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeedMember {
    /// Its name in errors.
    pub id: String,
    /// Its Flight address: `host:port`, or a URL.
    pub address: String,
}

/// Bounds and intervals of receiving; the command line has the defaults.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// Time for which the slices of a silent member are still read. Longer than members' heartbeats.
    pub stale_after: Duration,
    /// Time after which a start that was not read is no longer received.
    pub idle: Duration,
    /// Greatest number of starts received per view: those of all kept generations and the next one. The start unread
    /// for longest is dropped.
    pub starts: usize,
    /// Greatest size of the slices of all views and members, in bytes; a member whose slices do not fit counts as
    /// missing.
    pub memory_limit: usize,
}

/// The parts of the remote speed layers.
#[derive(Debug)]
pub struct RemoteParts {
    /// The views to receive.
    pub views: Vec<Arc<View>>,
    /// The live members by the catalog, as a value to watch.
    pub members: watch::Receiver<Vec<SpeedMember>>,
    /// The settings.
    pub config: RemoteConfig,
}

/// The realtime views of all members.
#[derive(Debug)]
pub struct RemoteRealtime {
    views: BTreeMap<ViewName, Arc<RemoteView>>,
}

impl RemoteRealtime {
    /// Starts to watch the members, until `shutdown`.
    pub fn start(parts: RemoteParts, tracker: &TaskTracker, shutdown: &CancellationToken) -> Arc<Self> {
        let RemoteParts { views, members, config } = parts;
        let total = Arc::new(Total::new(config.memory_limit));
        let views = views.into_iter().map(|view| (view.name.clone(), Arc::new(RemoteView::new(view, &config))));
        let views: BTreeMap<_, _> = views.collect();
        let all = views.values().cloned().collect();
        let mut following = Members::new(all, members, config, total, tracker.clone(), shutdown.clone());
        // Before the first read, so that it waits for the present members.
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
    /// Reads from memory. A start that was not read before is requested, and until its slices arrive the answer is
    /// [`RealtimeError::Asking`].
    async fn read(&self, view: &ViewName, start: &Cut) -> Result<RealtimeView, RealtimeError> {
        self.view(view)?.read(start, clock::now_monotonic())
    }

    fn keep_boundary(&self, view: &ViewName, at: &Offsets) {
        if let Ok(view) = self.view(view) {
            view.keep_boundary(at);
        }
    }

    fn head(&self, view: &ViewName) -> Result<Offsets, RealtimeError> {
        Ok(self.view(view)?.head(clock::now_monotonic()))
    }

    fn stalled(&self, view: &ViewName) -> Vec<(i32, Stall)> {
        self.view(view).map(|view| view.stalled(clock::now_monotonic())).unwrap_or_default()
    }
}
