//! The open state of a connection besides its statements: cursors, and its transaction with its savepoints, which
//! settings are restored from.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use parking_lot::{Mutex, MutexGuard};

use super::cursor::Cursor;
use super::wire_error::session_error;

/// Greatest number of cursors: each keeps a snapshot and computed rows.
const MAX_CURSORS: usize = 64;
/// Greatest number of savepoints: each is a name with the changed settings.
const MAX_SAVEPOINTS: usize = 10_000;

/// A cursor that is being read by one statement at a time.
pub(super) type SharedCursor = Arc<tokio::sync::Mutex<Cursor>>;

#[derive(Debug, Default)]
pub(super) struct Open(Mutex<Things>);

#[derive(Debug, Default)]
struct Things {
    cursors: HashMap<String, Opened>,
    /// The settings at the begin of the transaction.
    before: SettingValues,
    savepoints: Vec<Savepoint>,
    local: LocalValues,
}

/// The changed settings and their values.
pub(super) type SettingValues = HashMap<String, String>;

/// The settings that `SET LOCAL` has changed, with their values after a commit.
type LocalValues = HashMap<String, Option<String>>;

#[derive(Debug)]
struct Savepoint {
    name: String,
    values: SettingValues,
    local: LocalValues,
}

#[derive(Debug)]
struct Opened {
    cursor: SharedCursor,
    schema: SchemaRef,
    hold: Holdability,
}

/// Whether a cursor outlives its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holdability {
    With,
    Without,
}

impl Open {
    fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock()
    }

    pub(super) fn cursor(&self, name: &str) -> PgWireResult<SharedCursor> {
        self.things().cursors.get(name).map(|opened| Arc::clone(&opened.cursor)).ok_or_else(|| missing(name))
    }

    /// The schema of a cursor's rows.
    pub(super) fn schema(&self, name: &str) -> PgWireResult<SchemaRef> {
        self.things().cursors.get(name).map(|opened| Arc::clone(&opened.schema)).ok_or_else(|| missing(name))
    }

    /// Checks that another cursor of this name may be opened.
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

    pub(super) fn put(&self, name: String, cursor: Cursor, hold: Holdability) {
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

    /// Begins a transaction with these settings.
    pub(super) fn begin(&self, values: SettingValues) {
        self.things().before = values;
    }

    /// Commits the transaction: returns its local settings and the values that they go back to.
    pub(super) fn commit(&self) -> HashMap<String, Option<String>> {
        std::mem::take(&mut self.ended().local)
    }

    /// Rolls the transaction back: returns the settings to restore.
    pub(super) fn roll_back(&self) -> SettingValues {
        let mut things = self.ended();
        things.local.clear();
        std::mem::take(&mut things.before)
    }

    /// Ends the savepoints with their transaction, and the cursors that are not held.
    fn ended(&self) -> MutexGuard<'_, Things> {
        let mut things = self.things();
        things.savepoints.clear();
        things.cursors.retain(|_, opened| opened.hold == Holdability::With);
        things
    }

    /// Records that the transaction changes a setting for itself only; `current` is the value before.
    pub(super) fn sets_local(&self, name: &str, current: Option<&String>) {
        self.things().local.entry(name.to_owned()).or_insert_with(|| current.cloned());
    }

    /// Records that the transaction changes a setting, for the session if it commits.
    pub(super) fn sets(&self, name: &str) {
        self.things().local.remove(name);
    }

    pub(super) fn save(&self, name: &str, values: SettingValues) -> PgWireResult<()> {
        let mut things = self.things();
        if things.savepoints.len() >= MAX_SAVEPOINTS {
            let message = format!("a transaction has at most {MAX_SAVEPOINTS} savepoints: release some");
            return Err(session_error("53400", message));
        }
        let local = things.local.clone();
        things.savepoints.push(Savepoint { name: name.to_owned(), values, local });
        Ok(())
    }

    pub(super) fn has_savepoint(&self, name: &str) -> bool {
        self.things().savepoints.iter().any(|savepoint| savepoint.name == name)
    }

    /// Rolls back to a savepoint, which stays. Returns the settings to restore.
    pub(super) fn roll_back_to(&self, name: &str) -> PgWireResult<SettingValues> {
        let mut things = self.things();
        let position = position(&things.savepoints, name)?;
        things.savepoints.truncate(position + 1);
        let (values, local) = (things.savepoints[position].values.clone(), things.savepoints[position].local.clone());
        things.local = local;
        Ok(values)
    }

    /// Forgets a savepoint and those after it.
    pub(super) fn release(&self, name: &str) -> PgWireResult<()> {
        let mut things = self.things();
        let position = position(&things.savepoints, name)?;
        things.savepoints.truncate(position);
        Ok(())
    }
}

fn position(savepoints: &[Savepoint], name: &str) -> PgWireResult<usize> {
    savepoints
        .iter()
        .rposition(|savepoint| savepoint.name == name)
        .ok_or_else(|| session_error("3B001", format!("savepoint \"{name}\" does not exist")))
}

fn missing(name: &str) -> PgWireError {
    session_error("34000", format!("cursor \"{name}\" does not exist"))
}
