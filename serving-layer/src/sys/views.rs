//! `sys.views`: each view, whether it can be answered, and what its answers are as of.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use dovetail_core::name::Generation;
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::view::{Planned, View};

use super::column;
use crate::error::QueryError;
use crate::raw;
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

pub(super) fn schema() -> SchemaRef {
    raw::schema(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("stream", DataType::Utf8, true),
        Field::new("state", DataType::Utf8, false),
        Field::new("generation", DataType::Int64, true),
        Field::new("cut", DataType::Utf8, true),
        Field::new("head", DataType::Utf8, true),
        Field::new("batch_groups", DataType::Int64, true),
        Field::new("exactness", DataType::Utf8, true),
        Field::new("fingerprint", DataType::Utf8, true),
        Field::new("error", DataType::Utf8, true),
        Field::new("sql", DataType::Utf8, false),
    ])
}

pub(super) async fn rows(pin: &Arc<Pin>) -> Result<RecordBatch, QueryError> {
    let views = views(pin).await;
    let of = |get: fn(&FoldedState) -> Option<String>| {
        column::text(views.iter().map(move |view| view.folded.as_ref().and_then(get)))
    };
    let folded = || views.iter().map(|view| view.folded.as_ref());
    column::batch(
        schema(),
        vec![
            column::text(views.iter().map(|v| Some(&v.name))),
            of(|f| Some(f.stream.clone())),
            column::text(views.iter().map(|v| Some(v.state))),
            column::int64(folded().map(|f| f.map(|f| f.generation.0.cast_signed()))),
            of(|f| serde_json::to_string(f.cut.as_ref()?).ok()),
            of(|f| serde_json::to_string(f.head.as_ref()?).ok()),
            column::int64(folded().map(|f| f.and_then(|f| f.batch_groups).map(u64::cast_signed))),
            of(|f| Some(f.exactness.clone())),
            of(|f| Some(f.fingerprint.clone())),
            column::text(views.iter().map(|v| v.error.as_ref())),
            column::text(views.iter().map(|v| Some(&v.sql))),
        ],
    )
}
