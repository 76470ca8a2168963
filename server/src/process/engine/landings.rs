//! The state of landing for `sys.partitions`: of this process, or of those of the batch layer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use dovetail_api::layers::LayerInfo;
use dovetail_api::paths;
use dovetail_batch_layer::BatchHandle;
use dovetail_core::background;
use dovetail_core::catalog::{Catalog, Member, MemberLayer};
use dovetail_core::clock;
use dovetail_core::name::StreamName;
use dovetail_serving_layer::{LandingAt, LandingReport};
use futures::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::http::landing_state;

/// Interval of requests to the batch layer's processes.
const LANDINGS_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit of an answer.
const LANDINGS_TIMEOUT: Duration = Duration::from_secs(3);

/// The landing of this process: local.
#[derive(Debug)]
pub(super) struct LocalLandings(pub(super) BatchHandle);

impl LandingReport for LocalLandings {
    fn at(&self, stream: &StreamName, partition: i32) -> Option<LandingAt> {
        let status = self.0.landing_status();
        let at = status.borrow().get(&(stream.clone(), partition)).cloned()?;
        let (state, error) = landing_state(at.state);
        Some(LandingAt { state: state.to_owned(), error })
    }
}

type KnownLandings = BTreeMap<(String, i32), LandingAt>;

/// The landings that the processes of the batch layer last reported: remote.
#[derive(Debug)]
struct RemoteLandings(watch::Receiver<KnownLandings>);

impl LandingReport for RemoteLandings {
    fn at(&self, stream: &StreamName, partition: i32) -> Option<LandingAt> {
        self.0.borrow().get(&(stream.to_string(), partition)).cloned()
    }
}

/// Polls the processes of the batch layer, until `shutdown`.
pub(super) fn remote_landings(
    catalog: &Catalog,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Arc<dyn LandingReport>> {
    let http = reqwest::Client::builder().timeout(LANDINGS_TIMEOUT).build()?;
    let catalog = catalog.clone();
    let (sender, receiver) = watch::channel(KnownLandings::new());
    background::spawn(tracker, shutdown, "ask_landings", async move {
        loop {
            match catalog.members(MemberLayer::Batch).await {
                Ok(members) => {
                    let said = join_all(members.iter().map(|member| ask(&http, member))).await;
                    sender.send_replace(said.into_iter().flatten().collect());
                }
                Err(error) => debug!(%error, "what the landers do is as it was last known"),
            }
            clock::sleep(LANDINGS_POLL_INTERVAL).await;
        }
    });
    Ok(Arc::new(RemoteLandings(receiver)))
}

/// The report of one process; empty when it does not answer.
async fn ask(http: &reqwest::Client, member: &Member) -> KnownLandings {
    let asked = async {
        let answer = http.get(format!("{}{}", member.address, paths::LAYERS)).send().await?.error_for_status()?;
        answer.json::<Vec<LayerInfo>>().await
    };
    match asked.await {
        Ok(layers) => {
            let landing = layers.into_iter().filter(|layer| layer.layer == MemberLayer::Batch.as_str());
            landing.map(|at| ((at.stream, at.partition), LandingAt { state: at.state, error: at.reason })).collect()
        }
        Err(error) => {
            debug!(member = member.id, %error, "what it lands is not known");
            KnownLandings::new()
        }
    }
}
