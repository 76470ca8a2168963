//! `sys.*`: the engine's own state, read when a query asks.

mod batch;
mod column;
mod dead_letters;
mod jobs;
mod partitions;
mod tables;
mod view_errors;
mod views;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::error::{QueryError, Reason};
use crate::snapshot::Snapshot;
use crate::sql::tables::Tables;

pub use jobs::JobRow;
pub(crate) use jobs::job_rows;
pub(crate) use partitions::partitions;
pub(crate) use views::{ViewState, views};

/// A small table of `sys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SysTableKind {
    Streams,
    Views,
    Partitions,
    Segments,
    BatchRuns,
    Generations,
    Drift,
    Sources,
    Gaps,
    Jobs,
    Checkpoints,
}

const KINDS: [(&str, SysTableKind); 11] = [
    ("streams", SysTableKind::Streams),
    ("views", SysTableKind::Views),
    ("partitions", SysTableKind::Partitions),
    ("segments", SysTableKind::Segments),
    ("batch_runs", SysTableKind::BatchRuns),
    ("generations", SysTableKind::Generations),
    ("drift", SysTableKind::Drift),
    ("sources", SysTableKind::Sources),
    ("gaps", SysTableKind::Gaps),
    ("jobs", SysTableKind::Jobs),
    ("checkpoints", SysTableKind::Checkpoints),
];

const DEAD_LETTERS: &str = "dead_letters";
const VIEW_ERRORS: &str = "view_errors";

/// The tables' names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().map(|(name, _)| name).chain([DEAD_LETTERS, VIEW_ERRORS])
}

/// The table called `name`; without `snapshot` it can only be described.
pub(crate) fn table(
    name: &str,
    tables: &Arc<Tables>,
    snapshot: Option<&Arc<Snapshot>>,
) -> Option<Arc<dyn TableProvider>> {
    if name == DEAD_LETTERS {
        return Some(Arc::new(dead_letters::DeadLetters::new(&tables.layers)));
    }
    if name == VIEW_ERRORS {
        return Some(Arc::new(view_errors::ViewErrors::new(&tables.layers, snapshot)));
    }
    let (_, kind) = KINDS.into_iter().find(|(known, _)| *known == name)?;
    Some(Arc::new(SysTable { kind, schema: kind.schema(), tables: Arc::clone(tables), snapshot: snapshot.cloned() }))
}

#[derive(Debug)]
struct SysTable {
    kind: SysTableKind,
    schema: SchemaRef,
    tables: Arc<Tables>,
    snapshot: Option<Arc<Snapshot>>,
}

impl SysTableKind {
    fn schema(self) -> SchemaRef {
        match self {
            Self::Streams => column::schema(tables::STREAMS),
            Self::Views => column::schema(views::COLUMNS),
            Self::Partitions => column::schema(partitions::COLUMNS),
            Self::Segments => column::schema(tables::SEGMENTS),
            Self::BatchRuns => column::schema(batch::RUNS),
            Self::Generations => column::schema(batch::GENERATIONS),
            Self::Drift => column::schema(batch::DRIFT),
            Self::Sources => column::schema(tables::SOURCES),
            Self::Gaps => column::schema(tables::GAPS),
            Self::Jobs => column::schema(jobs::JOBS),
            Self::Checkpoints => column::schema(jobs::CHECKPOINTS),
        }
    }

    /// The rows. With `recount`, records landed under another schema are counted as they decode now.
    async fn rows(
        self,
        tables: &Tables,
        snapshot: &Arc<Snapshot>,
        recount: Option<&Arc<TaskContext>>,
    ) -> Result<RecordBatch, QueryError> {
        let layers = &tables.layers;
        match self {
            Self::Streams => tables::streams(tables, recount).await,
            Self::Views => views::rows(snapshot).await,
            Self::Partitions => partitions::rows(tables).await,
            Self::Segments => tables::segments(tables, recount).await,
            Self::BatchRuns => batch::runs(layers).await,
            Self::Generations => batch::generations(layers).await,
            Self::Drift => batch::drift(layers).await,
            Self::Sources => tables::sources(layers),
            Self::Gaps => tables::gaps(layers).await,
            Self::Jobs => jobs::jobs(layers).await,
            Self::Checkpoints => jobs::checkpoints(layers).await,
        }
    }
}

#[async_trait]
impl TableProvider for SysTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(snapshot) = &self.snapshot else {
            return Err(QueryError::new(Reason::Internal, "a schema was scanned without a snapshot").into());
        };
        // Only where the counts are read: they take decoding the records.
        let is_wanted =
            |name| projection.is_none_or(|columns| columns.iter().any(|i| self.schema.field(*i).name() == name));
        let recount = tables::COUNTS.into_iter().any(is_wanted).then(|| session.task_ctx());
        let rows = self.kind.rows(&self.tables, snapshot, recount.as_ref()).await?;
        let table = MemTable::try_new(Arc::clone(&self.schema), vec![vec![rows]])?;
        table.scan(session, projection, filters, limit).await
    }
}
