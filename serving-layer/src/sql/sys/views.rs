//! `sys.views`: each view, whether it can be answered, and the offsets that its answers cover.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use dovetail_core::name::Generation;
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::view::{Planned, View};
use futures::future::join_all;
use tokio::time::timeout;

use super::column::{self, Column, count, int64, text};
use crate::error::QueryError;
use crate::snapshot::generation::Filled;
use crate::snapshot::{RealtimePart, Snapshot};

/// The state of one view.
#[derive(Debug, Clone)]
pub(crate) struct ViewState {
    pub(crate) name: String,
    pub(crate) sql: String,
    pub(crate) columns: SchemaRef,
    /// The part that only folded views have.
    pub(crate) folded: Option<FoldedState>,
    /// `filled`, `speed_only` before the first generation, `filling`, `unfilled`, `waiting` or `derived`.
    pub(crate) state: &'static str,
    /// The reason why it cannot be answered.
    pub(crate) error: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct FoldedState {
    pub(crate) stream: String,
    pub(crate) fingerprint: String,
    pub(crate) exactness: String,
    pub(crate) generation: Generation,
    pub(crate) cut: Option<Cut>,
    pub(crate) head: Option<Offsets>,
    pub(crate) batch_groups: Option<u64>,
    /// Number of records that its answers leave out.
    pub(crate) errors: Option<u64>,
    pub(crate) on_error: &'static str,
}

/// Extra time for a view's state beyond its own wait: after it, its sources do not answer.
const VIEW_TIMEOUT: Duration = Duration::from_secs(1);

/// The states of all views in one snapshot. They are read concurrently, so that many waits take no longer than one.
pub(crate) async fn views(snapshot: &Arc<Snapshot>) -> Vec<ViewState> {
    let limit = snapshot.layers.catch_up + VIEW_TIMEOUT;
    join_all(snapshot.layers.views.iter().map(|view| async move {
        match view {
            Planned::Folded(view) => match timeout(limit, folded(snapshot, view)).await {
                Ok(state) => state,
                Err(_) => silent(snapshot, view, limit),
            },
            Planned::Derived(view) => ViewState {
                name: view.name.to_string(),
                sql: view.sql.clone(),
                columns: Arc::clone(&view.schema),
                folded: None,
                state: "derived",
                error: None,
            },
        }
    }))
    .await
}

/// The state of a view that was not known in time.
fn silent(snapshot: &Snapshot, view: &View, limit: Duration) -> ViewState {
    let error = format!("view `{}`: what it is asked from has not answered for {limit:?}", view.name);
    state(snapshot, view, None, "waiting", Some(error))
}

async fn folded(snapshot: &Arc<Snapshot>, view: &Arc<View>) -> ViewState {
    let filled = snapshot.served.filled(view);
    let realtime_part = snapshot.realtime_part(view).await;
    let word = match (&realtime_part, filled) {
        (Ok(_), Filled::Nothing) => "speed_only",
        (Ok(_), _) => "filled",
        (Err(_), Filled::NotYet) if snapshot.layers.filling(view).await.is_some() => "filling",
        (Err(_), Filled::NotYet) => "unfilled",
        (Err(_), _) => "waiting",
    };
    let (realtime_part, error) = match realtime_part {
        Ok(realtime_part) => (Some(realtime_part), None),
        Err(error) => (None, Some(error.message)),
    };
    state(snapshot, view, realtime_part.as_deref(), word, error)
}

fn state(
    snapshot: &Snapshot,
    view: &View,
    realtime_part: Option<&RealtimePart>,
    state: &'static str,
    error: Option<String>,
) -> ViewState {
    let (cut, batch_groups) = match snapshot.served.filled(view) {
        Filled::States(states) => (Some(states.cut.clone()), Some(states.groups)),
        _ => (None, None),
    };
    ViewState {
        name: view.name.to_string(),
        sql: view.sql.clone(),
        columns: view.answer_schema(),
        folded: Some(FoldedState {
            stream: view.stream.to_string(),
            fingerprint: view.fingerprint.clone(),
            exactness: format!("{:?}", view.exactness).to_lowercase(),
            generation: snapshot.served.generation(),
            cut,
            head: realtime_part.map(|realtime_part| realtime_part.met.head.clone()),
            batch_groups,
            errors: realtime_part.map(|realtime_part| realtime_part.errors.count),
            on_error: view.on_error.as_str(),
        }),
        state,
        error,
    }
}

pub(super) const COLUMNS: &[Column<ViewState>] = &[
    text("name", |view: &ViewState| Some(view.name.clone())).required(),
    text("stream", |view: &ViewState| Some(view.folded.as_ref()?.stream.clone())),
    text("state", |view: &ViewState| Some(view.state.to_owned())).required(),
    int64("generation", |view: &ViewState| Some(view.folded.as_ref()?.generation.0.cast_signed())),
    text("cut", |view: &ViewState| serde_json::to_string(view.folded.as_ref()?.cut.as_ref()?).ok()),
    text("head", |view: &ViewState| serde_json::to_string(view.folded.as_ref()?.head.as_ref()?).ok()),
    int64("batch_groups", |view: &ViewState| count(view.folded.as_ref()?.batch_groups?)),
    int64("errors", |view: &ViewState| count(view.folded.as_ref()?.errors?)),
    text("on_error", |view: &ViewState| Some(view.folded.as_ref()?.on_error.to_owned())),
    text("exactness", |view: &ViewState| Some(view.folded.as_ref()?.exactness.clone())),
    text("fingerprint", |view: &ViewState| Some(view.folded.as_ref()?.fingerprint.clone())),
    text("error", |view: &ViewState| view.error.clone()),
    text("sql", |view: &ViewState| Some(view.sql.clone())).required(),
];

pub(super) async fn rows(snapshot: &Arc<Snapshot>) -> Result<RecordBatch, QueryError> {
    column::batch(COLUMNS, &views(snapshot).await)
}
