//! Which source it is: the same file is the same source after a restart and after it grew.

use std::fs::{self, File};
use std::path::Path;

use super::SourceError;
use super::input::Input;
use super::sniff::{self, FileFormat, Look};

/// A stable name for the file at `path`, from where it lies and its first record; none for `-` and for a pipe, whose
/// next content nobody knows.
///
/// More tells one file from another than a name can: see that it begins with what was read of it before.
pub fn source_id(path: &str) -> Result<Option<String>, SourceError> {
    if path == "-" {
        return Ok(None);
    }
    let cannot_open = |error| SourceError::Open { name: path.to_owned(), error };
    if !fs::metadata(path).map_err(cannot_open)?.is_file() {
        return Ok(None);
    }
    let place = fs::canonicalize(path).map_err(cannot_open)?;
    let mut hash = blake3::Hasher::new();
    hash.update(place.as_os_str().as_encoded_bytes());
    hash.update(&[0]);
    hash.update(&beginning(path, &place).map_err(cannot_open)?);
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    Ok(Some(format!("{name}@{}", &hash.finalize().to_hex()[..16])))
}

/// The first line that is not blank, and of a CSV file the next one as well: one that grows keeps them.
fn beginning(name: &str, place: &Path) -> std::io::Result<Vec<u8>> {
    let Input { prefix, .. } = Input::new(File::open(place)?, false)?;
    let lines = if sniff::look(name, &prefix) == Look::Data(FileFormat::Csv) { 2 } else { 1 };
    let filled = prefix.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    Ok(filled.take(lines).collect::<Vec<_>>().join(&b'\n'))
}
