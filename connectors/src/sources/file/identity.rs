//! The identity of a file as a source: the same after a restart, on another machine, under another name, and after it
//! grew.

use std::fs;

use super::{SourceError, SourceOptions, open};
use dovetail_api::prefix::Chain;

/// A name for the file at `path`, from its first record; none for `-` and for a pipe, whose next content is unknown.
///
/// Two files may begin with the same record: a caller that continues one checks that it begins with the records sent
/// before.
pub fn source_id(path: &str, options: &SourceOptions) -> Result<Option<String>, SourceError> {
    if path == "-" {
        return Ok(None);
    }
    let cannot_open = |error| SourceError::Open { name: path.to_owned(), error };
    if !fs::metadata(path).map_err(cannot_open)?.is_file() {
        return Ok(None);
    }
    let mut first = Chain::default();
    if let Some(record) = open(path, options)?.next().transpose()? {
        first.push(&record.value);
        first.push(&record.too_long.unwrap_or_default().to_be_bytes());
    }
    Ok(Some(format!("file-{:016x}", first.prefix().digest)))
}
