//! The sending of records to a server.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use dovetail_api::Client;
use dovetail_api::client::{NumberedRecords, SendOutcome, source_of_a_run};
use dovetail_api::frames;
use dovetail_core::clock;
use tokio::time::timeout;

/// Limits of one request.
const REQUEST_RECORDS: usize = 5_000;
const REQUEST_BYTES: usize = 2 << 20;
/// Time for one request, with all its attempts.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Interval between the requests of a paced feed.
const PACE_INTERVAL: Duration = Duration::from_millis(50);

/// A source of records. Its records are numbered, so that one that is sent twice is appended once.
pub(super) struct Feed<'w> {
    client: Client,
    stream: &'w str,
    source: String,
    /// Records that were acknowledged.
    pub(super) sent: u64,
}

impl<'w> Feed<'w> {
    pub(super) fn new(client: &Client, stream: &'w str) -> Self {
        Self { client: client.clone(), stream, source: source_of_a_run(), sent: 0 }
    }

    /// Sends records, and waits until they are acknowledged.
    pub(super) async fn send(&mut self, records: &[Vec<u8>]) -> Result<()> {
        let mut rest = records;
        while !rest.is_empty() {
            let mut body = vec![];
            let mut taken = 0;
            for record in rest.iter().take(REQUEST_RECORDS) {
                if taken > 0 && body.len() + record.len() > REQUEST_BYTES {
                    break;
                }
                if !frames::push(&mut body, record) {
                    bail!("a record is too long to be sent");
                }
                taken += 1;
            }
            let sent = NumberedRecords {
                source: &self.source,
                first: self.sent,
                records: taken as u64,
                frames: body.into(),
                prefix: None,
            };
            let outcome = timeout(REQUEST_TIMEOUT, self.client.append_numbered(self.stream, sent)).await;
            match outcome.with_context(|| format!("records were not taken within {REQUEST_TIMEOUT:?}"))?? {
                SendOutcome::Appended(_) => self.sent += taken as u64,
                SendOutcome::TooLarge(why) => bail!("records were refused: {why}"),
            }
            rest = &rest[taken..];
        }
        Ok(())
    }

    /// Sends records, over and over, at `rate` records a second or as fast as they are taken if that is slower, for
    /// `time`.
    pub(super) async fn send_paced(&mut self, records: &[Vec<u8>], rate: f64, time: Duration) -> Result<()> {
        let (began, first) = (clock::now_monotonic(), self.sent);
        while began.elapsed() < time {
            let due = (rate * began.elapsed().as_secs_f64()) as u64;
            let done = self.sent - first;
            let at = (done as usize) % records.len();
            let many = (due.saturating_sub(done) as usize).min(records.len() - at);
            if many > 0 {
                self.send(&records[at..at + many]).await?;
            }
            clock::sleep(PACE_INTERVAL).await;
        }
        Ok(())
    }
}
