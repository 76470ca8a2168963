//! The streams of a process: registered in the catalog, with a decoded log for readers and an appender for ingestion.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use dovetail_core::background;
use dovetail_core::catalog::{Catalog, MemberLayer, StreamRow, ViewRow};
use dovetail_core::clock::{self, Clock};
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::Stream;
use dovetail_ingestion::append::Appender;
use dovetail_ingestion::decoded_log::DecodedLog;
use dovetail_ingestion::log::{Log, LogError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use crate::config::Config;
use crate::process::membership::SharedStream;
use crate::process::plan::Plan;
use crate::process::roles::Roles;

/// Registers the pipeline in the catalog.
///
/// # On a crash
/// Some of the pipeline is registered; the next start registers all of it again.
pub(super) async fn register(catalog: &Catalog, streams: &[Arc<Stream>], plan: &Plan, clock: &Clock) -> Result<()> {
    for stream in streams {
        let row = StreamRow {
            name: stream.name.clone(),
            topic: stream.topic.clone(),
            schema_fingerprint: stream.fingerprint(),
        };
        catalog.register_stream(&row).await?;
    }
    for view in plan.folded() {
        let row = ViewRow {
            name: view.name.clone(),
            fingerprint: view.fingerprint.clone(),
            sql: view.sql.clone(),
            created_ms: clock.now_ms(),
        };
        catalog.register_view(&row).await?;
    }
    Ok(())
}

/// The decoded logs and appenders of the streams.
pub(super) struct Streams {
    pub(super) decoded_logs: HashMap<StreamName, Arc<DecodedLog>>,
    pub(super) appenders: HashMap<StreamName, Arc<Appender>>,
    /// The partitions that members of the layer share.
    pub(super) shared: Vec<SharedStream>,
}

/// Logs once when a topic has more partitions than the pipeline says: some were added.
async fn tell_of_more(log: &dyn Log, stream: &Stream) -> Result<(), LogError> {
    let (existing, wanted) = (log.partitions(&stream.topic).await?, stream.options.partitions);
    if existing > wanted {
        info!(topic = stream.topic, existing, wanted, "the topic has more partitions than the pipeline asks for");
    }
    Ok(())
}

/// Interval of checks for new partitions.
const PARTITIONS_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Adds new partitions of the topics, until `shutdown`.
pub(super) fn look_for_partitions(
    decoded_logs: &HashMap<StreamName, Arc<DecodedLog>>,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) {
    for decoded_log in decoded_logs.values() {
        let decoded_log = Arc::clone(decoded_log);
        background::spawn(tracker, shutdown, "look_for_partitions", async move {
            loop {
                clock::sleep(PARTITIONS_POLL_INTERVAL).await;
                if let Err(error) = decoded_log.look().await {
                    debug!(%error, "whether the topic got more partitions is not known");
                }
            }
        });
    }
}

/// Opens the parts that the roles need, for topics that exist.
pub(super) async fn open_streams(
    log: &Arc<dyn Log>,
    streams: &[Arc<Stream>],
    roles: Roles,
    config: &Config,
    clock: &Clock,
) -> Result<Streams> {
    let mut opened = Streams { decoded_logs: HashMap::new(), appenders: HashMap::new(), shared: vec![] };
    for stream in streams {
        tell_of_more(log.as_ref(), stream).await?;
        if roles.reads() {
            let decoded_log = DecodedLog::open(Arc::clone(log), Arc::clone(stream), config.decoded_log()).await?;
            let (topic, partitions) = (stream.topic.clone(), decoded_log.count());
            opened.shared.push(SharedStream { stream: stream.name.clone(), topic, partitions });
            opened.decoded_logs.insert(stream.name.clone(), Arc::new(decoded_log));
        }
        if roles.has(MemberLayer::Ingest) {
            let appender = Appender::open(Arc::clone(log), Arc::clone(stream), clock.clone()).await?;
            opened.appenders.insert(stream.name.clone(), Arc::new(appender));
        }
    }
    Ok(opened)
}
