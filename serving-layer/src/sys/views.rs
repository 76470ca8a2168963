//! `sys.views`: each view, whether it can be answered, and what its answers are as of.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use dovetail_core::name::Generation;
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::view::{Planned, View};

use super::column::{self, Column, count, int64, text};
use crate::error::QueryError;
use crate::served::Filled;
use crate::snapshot::Pin;

/// One view as it stands.
#[derive(Debug, Clone)]
pub(crate) struct ViewState {
    pub(crate) name: String,
    pub(crate) sql: String,
    pub(crate) columns: SchemaRef,
    /// Of what only folded views have.
    pub(crate) folded: Option<FoldedState>,
    /// `filled`, `speed_only` before the first generation, `filling`, `unfilled`, `waiting` or `derived`.
    pub(crate) state: &'static str,
    /// Why it cannot be answered.
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
}

/// All views as one snapshot sees them.
pub(crate) async fn views(pin: &Arc<Pin>) -> Vec<ViewState> {
    let mut all = vec![];
    for view in &pin.inner.views {
        all.push(match view {
            Planned::Folded(view) => folded(pin, view).await,
            Planned::Derived(view) => ViewState {
                name: view.name.to_string(),
                sql: view.sql.clone(),
                columns: Arc::clone(&view.schema),
                folded: None,
                state: "derived",
                error: None,
            },
        });
    }
    all
}

async fn folded(pin: &Arc<Pin>, view: &Arc<View>) -> ViewState {
    let filled = pin.served.filled(view);
    let tail = pin.tail(view).await;
    let (cut, batch_groups) = match filled {
        Filled::States(states) => (Some(states.cut.clone()), Some(states.groups)),
        _ => (None, None),
    };
    let state = match (&tail, filled) {
        (Ok(_), Filled::Nothing) => "speed_only",
        (Ok(_), _) => "filled",
        (Err(_), Filled::NotYet) if pin.inner.filling(view).await.is_some() => "filling",
        (Err(_), Filled::NotYet) => "unfilled",
        (Err(_), _) => "waiting",
    };
    ViewState {
        name: view.name.to_string(),
        sql: view.sql.clone(),
        columns: view.answer_schema(),
        folded: Some(FoldedState {
            stream: view.stream.to_string(),
            fingerprint: view.fingerprint.clone(),
            exactness: format!("{:?}", view.exactness).to_lowercase(),
            generation: pin.served.generation(),
            cut,
            head: tail.as_ref().ok().map(|tail| tail.met.head.clone()),
            batch_groups,
        }),
        state,
        error: tail.err().map(|error| error.message),
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
    text("exactness", |view: &ViewState| Some(view.folded.as_ref()?.exactness.clone())),
    text("fingerprint", |view: &ViewState| Some(view.folded.as_ref()?.fingerprint.clone())),
    text("error", |view: &ViewState| view.error.clone()),
    text("sql", |view: &ViewState| Some(view.sql.clone())).required(),
];

pub(super) async fn rows(pin: &Arc<Pin>) -> Result<RecordBatch, QueryError> {
    column::batch(COLUMNS, &views(pin).await)
}
