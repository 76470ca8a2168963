//! The sending of requests to the server.

use anyhow::{Context, Result};
use bytes::Bytes;
use dovetail_api::client::{Client, NumberedRecords, SendOutcome};
use dovetail_api::frames;
use dovetail_api::prefix::Prefix;
use dovetail_core::clock;
use dovetail_core::name::StreamName;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::reading::{NAMED, Request};

/// The destination of records.
pub(super) struct Target<'t> {
    pub(super) client: &'t Client,
    pub(super) stream: &'t StreamName,
    pub(super) source: &'t str,
}

/// The results so far.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) records: u64,
    /// Number of records that were not in the log before.
    pub(super) appended: u64,
    /// Line and reason of the first records that the server will never take, and the number of all.
    pub(super) refused: Vec<(u64, String)>,
    pub(super) refused_count: u64,
    pub(super) began: Instant,
}

impl Sent {
    pub(super) fn new() -> Self {
        let began = clock::now_monotonic();
        Self { records: 0, appended: 0, refused: vec![], refused_count: 0, began }
    }
}

impl Target<'_> {
    pub(super) async fn send_all(
        &self,
        sent: &mut Sent,
        mut requests: mpsc::Receiver<Request>,
        bar: &ProgressBar,
    ) -> Result<()> {
        while let Some(Request { first, lines, frames, bytes_read, prefix }) = requests.recv().await {
            self.send(sent, first, &lines, frames.into(), prefix).await?;
            bar.set_position(bytes_read);
            let rate = sent.records as f64 / sent.began.elapsed().as_secs_f64().max(1e-9);
            bar.set_message(format!("{} records, {rate:.0}/s", sent.records));
        }
        Ok(())
    }

    /// Sends records; halves them if they are too large for the server, down to a single one.
    async fn send(&self, sent: &mut Sent, first: u64, lines: &[u64], frames: Bytes, prefix: Prefix) -> Result<()> {
        let mut rest = vec![(first, lines, frames)];
        while let Some((first, lines, frames)) = rest.pop() {
            let records = lines.len() as u64;
            let numbered =
                NumberedRecords { source: self.source, first, records, frames: frames.clone(), prefix: Some(prefix) };
            match self.client.append_numbered(self.stream.as_str(), numbered).await? {
                SendOutcome::Appended(appended) => {
                    sent.records += records;
                    sent.appended += appended;
                }
                SendOutcome::TooLarge(why) if records == 1 => {
                    sent.records += 1;
                    sent.refused_count += 1;
                    if sent.refused.len() < NAMED {
                        sent.refused.push((lines[0], why));
                    }
                }
                SendOutcome::TooLarge(_) => {
                    let (low, high) = lines.split_at(lines.len() / 2);
                    let values = frames::split(&frames).context("a request that was made here")?;
                    let middle: usize = values[..low.len()].iter().map(|value| frames::framed(value)).sum();
                    rest.push((first + low.len() as u64, high, frames.slice(middle..)));
                    rest.push((first, low, frames.slice(..middle)));
                }
            }
        }
        Ok(())
    }
}
