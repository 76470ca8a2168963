//! What readers and the machine notice while something else goes on.

use std::time::Duration;

use anyhow::Result;
use dovetail_core::clock;

use super::server::ProcessGauge;
use dovetail_api::Client;

/// Pause between two queries.
const PAUSE: Duration = Duration::from_millis(20);

/// What was noticed.
#[derive(Debug, Default)]
pub(super) struct Meanwhile {
    /// Milliseconds of each answer. One that no server gave is asked for until there is one.
    pub(super) answers_ms: Vec<f64>,
    /// Bytes of resident memory, at the highest.
    pub(super) memory: u64,
    /// Bytes on disk, at the highest.
    pub(super) disk: u64,
}

/// Does `work`, and asks `sql` meanwhile.
pub(super) async fn while_asking<T>(
    client: &Client,
    gauge: &ProcessGauge,
    sql: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, Meanwhile)> {
    let mut noticed = Meanwhile::default();
    tokio::pin!(work);
    loop {
        let asked = async {
            let began = clock::now_monotonic();
            while client.query(sql).await.is_err() {
                clock::sleep(Duration::from_millis(5)).await;
            }
            began.elapsed().as_secs_f64() * 1e3
        };
        tokio::select! {
            done = &mut work => return Ok((done?, noticed)),
            ms = asked => noticed.answers_ms.push(ms),
        }
        noticed.memory = noticed.memory.max(gauge.resident_bytes());
        noticed.disk = noticed.disk.max(gauge.disk_bytes());
        tokio::select! {
            done = &mut work => return Ok((done?, noticed)),
            () = clock::sleep(PAUSE) => {}
        }
    }
}
