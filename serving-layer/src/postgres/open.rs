//! What a connection has open besides its statements: cursors, and the savepoints of its transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use super::cursor::Cursor;
use super::respond::session_error;

/// Each cursor keeps a snapshot and rows that were computed.
const MAX_CURSORS: usize = 64;
/// Each is a name.
const MAX_SAVEPOINTS: usize = 10_000;

/// A cursor that is being read by one statement at a time.
pub(super) type SharedCursor = Arc<tokio::sync::Mutex<Cursor>>;

#[derive(Debug, Default)]
pub(super) struct Open(Mutex<Things>);

#[derive(Debug, Default)]
struct Things {
    cursors: HashMap<String, Opened>,
    savepoints: Vec<String>,
    /// Settings as they were before the transaction, of those that it has changed.
    before: HashMap<String, Option<String>>,
    /// Settings as they are after it, of those that it has changed with `SET LOCAL`.
    after: HashMap<String, Option<String>>,
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Commit,
    Rollback,
}

#[derive(Debug)]
struct Opened {
    cursor: SharedCursor,
    schema: SchemaRef,
    hold: Hold,
}

/// Whether a cursor outlives its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    With,
    Without,
}

impl Open {
    fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cursor(&self, name: &str) -> PgWireResult<SharedCursor> {
        self.things().cursors.get(name).map(|opened| Arc::clone(&opened.cursor)).ok_or_else(|| missing(name))
    }

    /// What a cursor's rows look like.
    pub(super) fn schema(&self, name: &str) -> PgWireResult<SchemaRef> {
        self.things().cursors.get(name).map(|opened| Arc::clone(&opened.schema)).ok_or_else(|| missing(name))
    }

    /// That another cursor of this name may be opened.
    pub(super) fn check_new(&self, name: &str) -> PgWireResult<()> {
        let things = self.things();
        if things.cursors.contains_key(name) {
            return Err(session_error("42P03", format!("cursor \"{name}\" already exists")));
        }
        if things.cursors.len() >= MAX_CURSORS {
            let message = format!("a connection has at most {MAX_CURSORS} cursors open: close those that are read");
            return Err(session_error("53400", message));
        }
        Ok(())
    }

    pub(super) fn put(&self, name: String, cursor: Cursor, hold: Hold) {
        let schema = Arc::clone(&cursor.schema);
        let cursor = Arc::new(tokio::sync::Mutex::new(cursor));
        self.things().cursors.insert(name, Opened { cursor, schema, hold });
    }

    pub(super) fn close(&self, name: &str) -> PgWireResult<()> {
        self.things().cursors.remove(name).map(drop).ok_or_else(|| missing(name))
    }

    pub(super) fn close_all(&self) {
        self.things().cursors.clear();
    }

    /// Savepoints end with their transaction, and so do cursors that are not held. Returns what settings become.
    pub(super) fn end_transaction(&self, end: End) -> HashMap<String, Option<String>> {
        let mut things = self.things();
        things.savepoints.clear();
        things.cursors.retain(|_, opened| opened.hold == Hold::With);
        let (before, after) = (std::mem::take(&mut things.before), std::mem::take(&mut things.after));
        if end == End::Commit { after } else { before }
    }

    /// The transaction changes a setting that is `current`, for itself only or, if it commits, for the session.
    pub(super) fn sets(&self, name: &str, current: Option<&String>, only_here: bool) {
        let mut things = self.things();
        things.before.entry(name.to_owned()).or_insert_with(|| current.cloned());
        if only_here {
            things.after.entry(name.to_owned()).or_insert_with(|| current.cloned());
        } else {
            things.after.remove(name);
        }
    }

    pub(super) fn save(&self, name: &str) -> PgWireResult<()> {
        let mut things = self.things();
        if things.savepoints.len() >= MAX_SAVEPOINTS {
            let message = format!("a transaction has at most {MAX_SAVEPOINTS} savepoints: release some");
            return Err(session_error("53400", message));
        }
        things.savepoints.push(name.to_owned());
        Ok(())
    }

    pub(super) fn has_savepoint(&self, name: &str) -> bool {
        self.things().savepoints.iter().any(|savepoint| savepoint == name)
    }

    /// Goes back to a savepoint, which stays.
    pub(super) fn roll_back_to(&self, name: &str) -> PgWireResult<()> {
        self.cut(name, 1)
    }

    /// Forgets a savepoint and those after it.
    pub(super) fn release(&self, name: &str) -> PgWireResult<()> {
        self.cut(name, 0)
    }

    fn cut(&self, name: &str, kept: usize) -> PgWireResult<()> {
        let mut things = self.things();
        match things.savepoints.iter().rposition(|savepoint| savepoint == name) {
            Some(position) => {
                things.savepoints.truncate(position + kept);
                Ok(())
            }
            None => Err(session_error("3B001", format!("savepoint \"{name}\" does not exist"))),
        }
    }
}

fn missing(name: &str) -> PgWireError {
    session_error("34000", format!("cursor \"{name}\" does not exist"))
}
