//! The comparison of a file with the log: the marks of its records contain a digest of them, so a file that changed is
//! told from one that grew, on any machine.

use anyhow::{Result, bail};
use dovetail_api::prefix::Chain;
use dovetail_api::records::SourcePosition;
use dovetail_connectors::sources::file::SourceReader;

use crate::output::counted;

/// Refuses a file that does not begin with the records that the log has of it.
pub(super) fn check(from: &str, source: &str, reached: &SourcePosition, reader: SourceReader) -> Result<()> {
    let Some(before) = &reached.prefix else {
        eprintln!(
            "{} of `{from}` are in the log; whether it still begins with them is not known",
            counted(reached.seen, "record")
        );
        return Ok(());
    };
    let mut chain = Chain::default();
    for record in reader.take(usize::try_from(before.records).unwrap_or(usize::MAX)) {
        chain.push(&record?.value);
    }
    if chain.prefix() == *before {
        return Ok(());
    }
    bail!("{}; nothing was appended", changed(from, source, before.records));
}

pub(super) fn changed(from: &str, source: &str, records: u64) -> String {
    format!(
        "`{from}` does not begin with the {} that were ingested as source `{source}`: it was changed or replaced, or is \
         another file that begins with the same record. To append all of it write `--again`, or name it with `--source NAME`",
        counted(records, "record")
    )
}
