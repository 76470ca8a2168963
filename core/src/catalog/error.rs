//! Errors of the catalog, one variant for each thing that the caller can do about it.

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

use crate::name::Generation;
use crate::offsets::OffsetRange;

use super::{ObjectState, RunKind, RunState};

/// Why an operation on the catalog did not happen. The fields are the facts that the message names.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the facts that the messages name")]
pub enum CatalogError {
    /// The database stayed locked; try again later.
    #[error(
        "catalog `{name}` is locked by another process (while trying to {doing}): it is tried again, or end the \
         process that holds it open"
    )]
    Busy { name: String, doing: &'static str, source: sqlx::Error },
    /// The server did not answer for some seconds; try again later.
    #[error(
        "catalog `{name}` does not answer (while trying to {doing}): it is tried again; see that its server runs and \
         can be reached from here"
    )]
    Unreachable { name: String, doing: &'static str, source: sqlx::Error },
    /// Another writer landed the range: read on from offset `found`.
    #[error(
        "fenced in partition {partition} of topic `{topic}`: a segment from {expected} was offered, but the \
         landing continues at {found}"
    )]
    Fenced { topic: String, partition: i32, expected: i64, found: i64 },
    /// The segments to be compacted have changed: choose again from the current ones.
    #[error("segments of partition {partition} of topic `{topic}` over {range} cannot be replaced: {detail}")]
    SegmentsChanged { topic: String, partition: i32, range: OffsetRange, detail: String },
    /// The object is not staged any more: write it again under another path, and give this one up.
    #[error(
        "object `{path}` cannot be recorded: it is {} and no longer staged, because its writer took too long or was \
         given up; it is written again",
        .state.map_or("forgotten", ObjectState::as_str)
    )]
    NotStaged { path: String, state: Option<ObjectState> },
    /// Another process published or rolled back since the change was planned.
    #[error("generation {found} is current, not {expected} as this change was based on: run it again")]
    PublishConflict { expected: Generation, found: Generation },
    /// Another run is running: wait for it or cancel it.
    #[error("run {id} of `{owner}` is in progress: wait for it, or cancel it")]
    RunInProgress { id: i64, owner: String },
    /// The choice of the run is out of date: choose again what to fold.
    #[error("segments were merged, or another generation became current, while a run was about to start: run it again")]
    BasisChanged,
    /// Another process has handled the moment of the schedule; nothing is left to do.
    #[error("another process has seen to the {kind} run that was due")]
    MomentTaken { kind: RunKind },
    /// The run has ended, for example because it was cancelled: stop working on it.
    #[error("run {id} is no longer running: it is {state}")]
    RunEnded { id: i64, state: RunState },
    /// The topic is not the one that the catalog knows, so its records do not continue the landing.
    #[error(
        "topic `{topic}` is another one than this catalog knows: since {since} it was `{was}`, now it is `{is}`, so it \
         was deleted and created again, or lies in another log; name the log that it was in, or use another topic, or \
         begin anew with another catalog and store"
    )]
    OtherTopic { topic: String, was: String, is: String, since: String },
    /// The member's lease has passed, and others may have its partitions: join again.
    #[error("member `{id}` gave no sign of life in time: others may have taken over, so it joins again")]
    MemberLost { id: String },
    /// The name belongs to another job.
    #[error("there is a job `{job}` already, of another pipeline or start: choose another name, or stop that one")]
    JobExists { job: String },
    /// Another process runs the job now.
    #[error("job `{job}` belongs to another process now")]
    JobLost { job: String },
    /// Readers get the job.
    #[error("job `{job}` is current: switch to another one before it is stopped")]
    JobCurrent { job: String },
    /// The catalog has no such row.
    #[error("{what} is not in the catalog")]
    Missing { what: String },
    /// The generation is retired; only a kept one can become current.
    #[error("generation {generation} is retired, its states may be gone: choose one that `generations` lists as kept")]
    Retired { generation: Generation },
    /// The current generation cannot be retired.
    #[error("generation {generation} is current: publish or roll back to another one before it is retired")]
    StillCurrent { generation: Generation },
    /// No database has a URL like this.
    #[error("catalog `{url}` cannot be used: write `sqlite:FILE` or `postgres://HOST/DATABASE`")]
    Url { url: String },
    /// The database's file cannot be opened.
    #[error("catalog `{name}` cannot be opened: see that its folder exists and that this user may write there")]
    Unopenable { name: String, source: sqlx::Error },
    /// The database takes no writes.
    #[error(
        "catalog `{name}` is read-only (while trying to {doing}): make the file and its folder writable, or name the \
         server that takes writes"
    )]
    ReadOnly { name: String, doing: &'static str, source: sqlx::Error },
    /// The server refuses the user, or the user lacks a right.
    #[error(
        "catalog `{name}` refuses (while trying to {doing}): check the user and password, the database's name, and \
         that the user may make tables in it"
    )]
    Denied { name: String, doing: &'static str, source: sqlx::Error },
    /// The database's disk is full.
    #[error("no space left for catalog `{name}` (while trying to {doing}): free some on its disk")]
    Full { name: String, doing: &'static str, source: sqlx::Error },
    /// The file is damaged or no database.
    #[error(
        "catalog `{name}` is damaged or no database (while trying to {doing}): restore the file from a copy, or move \
         it away and land again"
    )]
    Corrupt { name: String, doing: &'static str, source: sqlx::Error },
    /// The tables are of a newer version of this program.
    #[error(
        "catalog `{name}` has a layout this program does not know: use the program's version that made it, or newer"
    )]
    Layout { name: String, source: MigrateError },
    /// A stored value that this program cannot have written.
    #[error("catalog `{name}` holds {what} that cannot be read: {detail}")]
    Damaged { name: String, what: String, detail: String },
    /// Any other error of the database.
    #[error("catalog `{name}` failed (while trying to {doing})")]
    Store { name: String, doing: &'static str, source: sqlx::Error },
}

impl CatalogError {
    /// Whether the same call may succeed later without anybody changing its arguments.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unreachable { .. } | Self::Full { .. })
    }

    pub(super) fn from_sqlx(name: &str, doing: &'static str, source: sqlx::Error) -> Self {
        let name = name.to_owned();
        match cause(&source) {
            Cause::Busy => Self::Busy { name, doing, source },
            Cause::Unreachable => Self::Unreachable { name, doing, source },
            Cause::ReadOnly => Self::ReadOnly { name, doing, source },
            Cause::Denied => Self::Denied { name, doing, source },
            Cause::Corrupt => Self::Corrupt { name, doing, source },
            Cause::Full => Self::Full { name, doing, source },
            Cause::Unopenable => Self::Unopenable { name, source },
            Cause::Other => Self::Store { name, doing, source },
        }
    }
}

enum Cause {
    Busy,
    Unreachable,
    ReadOnly,
    Denied,
    Corrupt,
    Full,
    Unopenable,
    Other,
}

fn cause(error: &sqlx::Error) -> Cause {
    match error {
        sqlx::Error::PoolTimedOut => Cause::Busy,
        // A server that ends in the middle of a message breaches its protocol, as the driver sees it.
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => Cause::Unreachable,
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => postgres_cause(error.code()),
            None => sqlite_cause(error.code().as_deref()),
        },
        _ => Cause::Other,
    }
}

/// The cause by SQLite's primary result code, which is the low byte of an error's code.
fn sqlite_cause(code: Option<&str>) -> Cause {
    match code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
        // BUSY, LOCKED
        Some(5 | 6) => Cause::Busy,
        // READONLY
        Some(8) => Cause::ReadOnly,
        // CORRUPT, NOTADB
        Some(11 | 26) => Cause::Corrupt,
        // FULL
        Some(13) => Cause::Full,
        // CANTOPEN
        Some(14) => Cause::Unopenable,
        _ => Cause::Other,
    }
}

/// The cause by PostgreSQL's SQLSTATE, whose first two characters are its class.
fn postgres_cause(code: &str) -> Cause {
    match (&code[..code.len().min(2)], code) {
        // A lock or an answer took too long; a deadlock or another transaction in between.
        (_, "55P03" | "57014" | "40001" | "40P01") => Cause::Busy,
        // The server ends, starts, has too many connections, or gave this one up.
        ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03") => Cause::Unreachable,
        (_, "25006") => Cause::ReadOnly,
        // No such user, password, database or schema; no right to it.
        ("28", _) | (_, "3D000" | "3F000" | "42501") => Cause::Denied,
        ("XX", "XX001" | "XX002") => Cause::Corrupt,
        (_, "53100") => Cause::Full,
        _ => Cause::Other,
    }
}
