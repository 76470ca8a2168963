//! Which source it is: the same file is the same source after a restart, another file at its path is not.

use std::fs::{self, File};
use std::io::Read;

use super::SourceError;

/// How much of a file tells it from another.
const HEAD: u64 = 64 * 1024;

/// A stable name for the file at `path`, from where it lies and how it begins; none for `-`, whose next content
/// nobody knows.
///
/// A file of less than 64 KiB that grows becomes another source.
pub fn source_id(path: &str) -> Result<Option<String>, SourceError> {
    if path == "-" {
        return Ok(None);
    }
    let cannot_open = |error| SourceError::Open { name: path.to_owned(), error };
    let place = fs::canonicalize(path).map_err(cannot_open)?;
    let mut head = Vec::new();
    File::open(&place).and_then(|file| file.take(HEAD).read_to_end(&mut head)).map_err(cannot_open)?;
    let mut hash = blake3::Hasher::new();
    hash.update(place.as_os_str().as_encoded_bytes());
    hash.update(&[0]);
    hash.update(&head);
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    Ok(Some(format!("{name}@{}", &hash.finalize().to_hex()[..16])))
}
