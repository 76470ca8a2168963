//! What happens to records that come late?

use anyhow::Result;

use super::ask;
use super::bag::Bag;
use super::probe::Probe;
use super::server::MeasuredServer;

const DAY_MS: i64 = 24 * 3_600_000;

/// The names of the figures, and how late the record of each is.
const RECORDS: [(&str, &str, i64); 2] =
    [("late.day.seen", "late.day.exact", DAY_MS), ("late.month.seen", "late.month.exact", 30 * DAY_MS)];

pub(super) async fn measure(server: &MeasuredServer, probe: &Probe, bag: &mut Bag) -> Result<()> {
    for (seen, exact, late_ms) in RECORDS {
        bag.add(seen, probe.seen_after_ms(&server.client, late_ms).await? / 1e3);
        bag.add_flag(exact, ask::is_exact(&server.client).await?);
    }
    Ok(())
}
