//! The first records of a file, decoded before any is appended: the wrong file is refused while nothing is lost.

use anyhow::{Result, bail};
use dovetail_api::Client;
use dovetail_api::frames;
use dovetail_api::records::DryRun;
use dovetail_connectors::sources::file::SourceReader;
use dovetail_core::name::StreamName;

use crate::output::counted;

/// Number of records examined; fewer if they are large together.
const RECORDS: usize = 1_000;
const BYTES: usize = 256 << 10;

/// Refuses a file whose first records are all dead letters.
pub(super) async fn check(client: &Client, stream: &StreamName, from: &str, reader: SourceReader) -> Result<()> {
    let body = tokio::task::spawn_blocking(move || first(reader)).await??;
    if body.is_empty() {
        return Ok(());
    }
    let DryRun { received, dead, error } = client.try_records(stream.as_str(), body.into()).await?;
    if received == 0 || dead < received {
        return Ok(());
    }
    bail!(
        "the first {} of `{from}` would all be dead letters of `{stream}` ({}), so nothing was appended; see if it is the right file and if the stream's columns are those of it, or append it all the same with `--force`",
        counted(received, "record"),
        error.unwrap_or_default()
    )
}

fn first(reader: SourceReader) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for record in reader.take(RECORDS) {
        // An error further down is reported when it is met.
        let Ok(record) = record else { break };
        if body.len() + record.value.len() > BYTES && !body.is_empty() {
            break;
        }
        if record.too_long.is_none() && !frames::push(&mut body, &record.value) {
            break;
        }
    }
    Ok(body)
}
