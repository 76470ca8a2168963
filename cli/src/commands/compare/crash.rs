//! What happens on `kill -9`?

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use dovetail_api::Client;
use dovetail_core::clock;
use dovetail_report::figures::{Event, Side};

use super::ask;
use super::bag::Bag;
use super::feed::Feed;
use super::scale::RunScale;
use super::server::MeasuredServer;
use super::workload::Workload;

/// Records that the speed layer need not fold again: those below the cut.
const CUT: &str = "SELECT sum(coalesce(cut, 0)) FROM sys.partitions";
/// The offsets of the last checkpoint, by view and partition.
const CHECKPOINT: &str = "SELECT offsets FROM sys.checkpoints ORDER BY number DESC LIMIT 1";
/// Interval at which the state before the kill is noted.
const NOTE_INTERVAL: Duration = Duration::from_millis(30);

/// Kills a server while records come in, and waits until its answers are exact again.
pub(super) async fn measure(
    side: Side,
    folder: PathBuf,
    workload: &Workload,
    scale: &RunScale,
    rate: f64,
    bag: &mut Bag,
) -> Result<()> {
    let mut server = MeasuredServer::new(side, folder, &workload.pipeline, scale.settings_of_crashes())?;
    server.start().await?;
    let client = server.client.clone();
    let mut feed = Feed::new(&client, workload.stream.name.as_str());
    // The shortest history is there before, so that there is something to lose.
    feed.send(&workload.records[..workload.shortest() as usize]).await?;
    let killed_at = clock::random_pause(scale.feed.mul_f64(0.5)..=scale.feed);
    let noted = Cell::new((0, 0));
    let began = clock::now_monotonic();
    {
        let feeding = async {
            feed.send_paced(&workload.records, rate, scale.feed * 2).await?;
            std::future::pending().await
        };
        let noting = async {
            loop {
                noted.set((ask::head(&client).await?, safe(side, &client).await?));
                clock::sleep(NOTE_INTERVAL).await;
            }
        };
        tokio::select! {
            failed = feeding => failed,
            failed = noting => failed,
            () = clock::sleep(killed_at) => anyhow::Ok(()),
        }?;
    }
    server.kill().await?;
    let killed = clock::now_monotonic();
    server.start().await?;
    let started = killed.elapsed().as_secs_f64();
    let records = ask::log_end(&client).await?;
    ask::until_head(&client, records).await?;
    let recovered = killed.elapsed().as_secs_f64();
    let (head, safe) = noted.get();
    // A record that was acknowledged is in the log, and nothing else is.
    let is_exact = ask::is_exact(&client).await? && records >= feed.sent;
    bag.add("crash.recovery", recovered);
    bag.add("crash.read_again", head.saturating_sub(safe) as f64);
    bag.add_flag("crash.exact", is_exact);
    let before = killed.duration_since(began).as_secs_f64();
    let state = match side {
        Side::Lambda => "the speed layer folds what is above the cut",
        Side::Kappa => "the job folds what came after its checkpoint",
    };
    bag.add_timeline(
        "crash.timeline",
        vec![
            Event::span(0.0, before, "records come in"),
            Event::at(before, "kill -9"),
            Event::span(before, before + started, "the process starts again"),
            Event::span(before + started, before + recovered, state),
            Event::at(before + recovered, "answers have every record of the log"),
        ],
    );
    server.stop().await
}

/// Records that are not folded again after a crash.
async fn safe(side: Side, client: &Client) -> Result<u64> {
    match side {
        Side::Lambda => Ok(ask::number(client, CUT).await? as u64),
        Side::Kappa => checkpointed(client).await,
    }
}

/// Records of the last checkpoint, by the view that has the fewest.
pub(super) async fn checkpointed(client: &Client) -> Result<u64> {
    let rows = ask::cells(client, CHECKPOINT).await?;
    match rows.first().and_then(|row| row.first()) {
        Some(offsets) => {
            fewest(offsets).with_context(|| format!("the offsets of a checkpoint are not known: {offsets}"))
        }
        None => Ok(0),
    }
}

fn fewest(offsets: &str) -> Option<u64> {
    let views: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(offsets).ok()?;
    Some(views.values().map(|partitions| partitions.values().sum()).min().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_with_the_fewest_records_counts() {
        assert_eq!(fewest(r#"{"a": {"0": 5, "1": 7}, "b": {"0": 5, "1": 6}}"#), Some(11));
        assert_eq!(fewest("{}"), Some(0));
        assert_eq!(fewest("["), None);
    }
}
