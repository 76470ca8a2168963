//! Watches the members: a link for each member and view.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::background;
use dovetail_core::clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint};
use tracing::{info, warn};

use super::bytes::Total;
use super::link::MemberLink;
use super::view::RemoteView;
use super::{RemoteConfig, SpeedMember};

/// Interval of dropping unneeded slices.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Members {
    views: Vec<Arc<RemoteView>>,
    members: watch::Receiver<Vec<SpeedMember>>,
    config: RemoteConfig,
    total: Arc<Total>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    /// Address and links of each member, by id.
    linked: BTreeMap<String, (String, CancellationToken)>,
}

impl Members {
    pub(super) fn new(
        views: Vec<Arc<RemoteView>>,
        members: watch::Receiver<Vec<SpeedMember>>,
        config: RemoteConfig,
        total: Arc<Total>,
        tracker: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self { views, members, config, total, tracker, shutdown, linked: BTreeMap::new() }
    }

    pub(super) async fn run(mut self) {
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        // If the catalog cannot be read, the members last known are kept.
        let mut told = true;
        loop {
            tokio::select! {
                changed = self.members.changed(), if told => match changed {
                    Ok(()) => self.look(false),
                    Err(_) => told = false,
                },
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    /// Applies the present list of members; `first` before the first read.
    pub(super) fn look(&mut self, first: bool) {
        let members = self.members.borrow_and_update().clone();
        let stays = |id: &str, address: &str| members.iter().any(|m| m.id == id && m.address == address);
        let gone: Vec<String> =
            self.linked.iter().filter(|(id, (address, _))| !stays(id, address)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            if let Some((address, links)) = self.linked.remove(&id) {
                info!(member = id, address, "speed layer left");
                links.cancel();
            }
            self.views.iter().for_each(|view| view.left(&id));
        }
        for member in members {
            if !self.linked.contains_key(&member.id) {
                self.link(member, first);
            }
        }
    }

    fn link(&mut self, SpeedMember { id, address }: SpeedMember, first: bool) {
        info!(member = id, address, "speed layer joined");
        let links = self.shutdown.child_token();
        let channel = channel(&address, &self.config);
        for view in &self.views {
            view.joined(&id, &address, first);
            match &channel {
                Ok(channel) => {
                    let link = MemberLink {
                        member: id.clone(),
                        view: Arc::clone(view),
                        channel: channel.clone(),
                        stale_after: self.config.stale_after,
                        total: Arc::clone(&self.total),
                    };
                    background::spawn(&self.tracker, &links, "remote_link", link.run());
                }
                Err(why) => view.down(&id, why),
            }
        }
        if let Err(why) = channel {
            warn!(member = id, address, why, "speed layer cannot be reached");
        }
        self.linked.insert(id, (address, links));
    }

    fn sweep(&self) {
        let now = clock::now_monotonic();
        let mut silence = BTreeMap::<String, Duration>::new();
        let (mut starts, mut slices, mut no_room) = (0, 0, 0);
        for view in &self.views {
            let left = view.sweep(now, self.config.idle);
            (starts, slices, no_room) = (starts + left.starts, slices + left.slices, no_room + left.no_room);
            for (member, silent) in view.silence(now) {
                let most = silence.entry(member).or_default();
                *most = silent.max(*most);
            }
        }
        metrics::gauge!("dovetail_remote_members").set(self.linked.len() as f64);
        metrics::gauge!("dovetail_remote_floors").set(starts as f64);
        metrics::gauge!("dovetail_remote_slices").set(slices as f64);
        metrics::gauge!("dovetail_remote_no_room").set(no_room as f64);
        metrics::gauge!("dovetail_remote_bytes").set(self.total.bytes() as f64);
        metrics::gauge!("dovetail_remote_bytes_limit").set(self.total.limit() as f64);
        for (member, silent) in silence {
            metrics::gauge!("dovetail_remote_silence_seconds", "member" => member).set(silent.as_secs_f64());
        }
    }
}

/// One connection for all views, opened at its first use and again after it breaks.
fn channel(address: &str, config: &RemoteConfig) -> Result<Channel, String> {
    let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let endpoint = Endpoint::from_shared(url).map_err(|error| format!("`{address}` is no address: {error}"))?;
    Ok(endpoint
        .connect_timeout(config.stale_after)
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(config.stale_after)
        .keep_alive_timeout(config.stale_after)
        .connect_lazy())
}
