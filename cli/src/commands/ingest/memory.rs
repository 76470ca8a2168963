//! What was ingested of a file, kept with the user's other state: a file that changed is told from one that grew.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use dovetail_core::name::StreamName;
use dovetail_ingestion::frames::Chain;
use dovetail_ingestion::source::SourceReader;
use serde::{Deserialize, Serialize};

/// The records of a source that are in a server's log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) records: u64,
    pub(super) digest: String,
}

impl From<&Chain> for Held {
    fn from(chain: &Chain) -> Self {
        Self { records: chain.records(), digest: chain.digest() }
    }
}

/// Where that is kept, for one source of one server; nowhere when there is no home.
#[derive(Debug, Clone)]
pub(super) struct Memory(Option<PathBuf>);

impl Memory {
    pub(super) fn of(folder: Option<&Path>, server: &str, stream: &StreamName, source: &str) -> Self {
        let mut name = Chain::default();
        [server, stream.as_str(), source].iter().for_each(|part| name.push(part.as_bytes()));
        let name = format!("sources/{}.json", name.digest());
        Self(folder.map(Path::to_owned).or_else(default_folder).map(|folder| folder.join(name)))
    }

    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn read(&self) -> Option<Held> {
        serde_json::from_slice(&std::fs::read(self.0.as_ref()?).ok()?).ok()
    }

    pub(super) fn write(&self, held: &Held) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let new = path.with_extension(format!("{}.new", std::process::id()));
        std::fs::write(&new, serde_json::to_vec(held)?)?;
        std::fs::rename(new, path)
    }
}

fn default_folder() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or_else(home).map(|state| state.join("dovetail"))
}

/// Refuses a file that does not begin with what was ingested of it.
pub(super) fn check(from: &str, held: &Held, reader: SourceReader) -> Result<()> {
    let mut chain = Chain::default();
    for record in reader.take(usize::try_from(held.records).unwrap_or(usize::MAX)) {
        chain.push(&record?.value);
    }
    if chain.records() == held.records && chain.digest() == held.digest {
        return Ok(());
    }
    bail!(
        "`{from}` no longer begins with the {} records that were ingested of it, so nothing was appended; if all of it is to be appended, name it with another `--source NAME`",
        held.records
    )
}
