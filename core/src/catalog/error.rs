//! What can go wrong with the catalog, by what the caller does about it.

use sqlx::migrate::MigrateError;

use crate::name::Generation;
use crate::offsets::OffsetRange;

use super::RunState;

/// Why an operation on the catalog did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Try again later.
    #[error(
        "catalog `{name}` is locked by another process (while trying to {doing}): it is tried again, or end the \
         process that holds it open"
    )]
    Busy { name: String, doing: &'static str, source: sqlx::Error },
    /// Somebody else landed: read on from `found`.
    #[error(
        "fenced in partition {partition} of topic `{topic}`: a segment from {expected} was offered, but the \
         landing continues at {found}"
    )]
    Fenced { topic: String, partition: i32, expected: i64, found: i64 },
    /// Compact what is there now.
    #[error("segments of partition {partition} of topic `{topic}` over {range} cannot be replaced: {detail}")]
    SegmentsChanged { topic: String, partition: i32, range: OffsetRange, detail: String },
    /// Somebody else published or rolled back.
    #[error("generation {found} is current, not {expected} as this change was based on: run it again")]
    PublishConflict { expected: Generation, found: Generation },
    /// Wait for the other run.
    #[error("run {id} of `{owner}` is in progress: wait for it, or cancel it")]
    RunInProgress { id: i64, owner: String },
    /// Stop working on this run.
    #[error("run {id} is no longer running: it is {state}")]
    RunEnded { id: i64, state: RunState },
    #[error("{what} is not in the catalog")]
    Missing { what: String },
    #[error("generation {generation} is retired, its states may be gone: choose one that `generations` lists as kept")]
    Retired { generation: Generation },
    #[error("generation {generation} is current: publish or roll back to another one before it is retired")]
    StillCurrent { generation: Generation },
    #[error("catalog `{url}` cannot be used: write `sqlite:FILE`")]
    Url { url: String },
    #[error("catalog `{name}` cannot be opened: see that its folder exists and that this user may write there")]
    Unopenable { name: String, source: sqlx::Error },
    #[error("catalog `{name}` is read-only (while trying to {doing}): make the file and its folder writable")]
    ReadOnly { name: String, doing: &'static str, source: sqlx::Error },
    #[error("no space left for catalog `{name}` (while trying to {doing}): free some on its disk")]
    Full { name: String, doing: &'static str, source: sqlx::Error },
    #[error(
        "catalog `{name}` is damaged or no database (while trying to {doing}): restore the file from a copy, or move \
         it away and land again"
    )]
    Corrupt { name: String, doing: &'static str, source: sqlx::Error },
    #[error(
        "catalog `{name}` has a layout this program does not know: use the program's version that made it, or newer"
    )]
    Layout { name: String, source: MigrateError },
    /// A stored value that this program cannot have written.
    #[error("catalog `{name}` holds {what} that cannot be read: {detail}")]
    Damaged { name: String, what: String, detail: String },
    #[error("catalog `{name}` failed (while trying to {doing})")]
    Store { name: String, doing: &'static str, source: sqlx::Error },
}

/// SQLite's primary result codes: the low byte of what an error carries.
mod code {
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const READ_ONLY: u32 = 8;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const CANNOT_OPEN: u32 = 14;
    pub(super) const NO_DATABASE: u32 = 26;
}

impl CatalogError {
    /// Whether the same call may succeed later without anybody changing its arguments.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Full { .. })
    }

    pub(super) fn from_sqlx(name: &str, doing: &'static str, source: sqlx::Error) -> Self {
        let name = name.to_owned();
        if matches!(source, sqlx::Error::PoolTimedOut) {
            return Self::Busy { name, doing, source };
        }
        match primary_code(&source) {
            Some(code::BUSY | code::LOCKED) => Self::Busy { name, doing, source },
            Some(code::READ_ONLY) => Self::ReadOnly { name, doing, source },
            Some(code::CORRUPT | code::NO_DATABASE) => Self::Corrupt { name, doing, source },
            Some(code::FULL) => Self::Full { name, doing, source },
            Some(code::CANNOT_OPEN) => Self::Unopenable { name, source },
            _ => Self::Store { name, doing, source },
        }
    }

    pub(super) fn from_migration(name: &str, error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
                Self::from_sqlx(name, "bring its tables up to date", source)
            }
            source => Self::Layout { name: name.to_owned(), source },
        }
    }
}

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<u32>().ok()? & 0xff)
}
