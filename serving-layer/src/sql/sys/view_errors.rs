//! `sys.view_errors`: the records that views leave out because their evaluation failed. Below the cut from their
//! objects, above it from the speed layer.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use dovetail_core::manifest::StateFile;
use dovetail_core::realtime::Slice;
use dovetail_core::store::Store;
use dovetail_core::view::View;
use dovetail_core::view_error_file;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::column::{self, Column, text};
use crate::error::{QueryError, Reason};
use crate::snapshot::Snapshot;
use crate::snapshot::layers::Layers;

/// The records that each view leaves out.
#[derive(Debug)]
pub(super) struct ViewErrors {
    layers: Arc<Layers>,
    snapshot: Option<Arc<Snapshot>>,
    schema: SchemaRef,
}

/// The columns with the same value for all records of one view.
const VIEW: &[Column<Arc<View>>] = &[text("view", |view: &Arc<View>| Some(view.name.to_string())).required()];

impl ViewErrors {
    pub(super) fn new(layers: &Arc<Layers>, snapshot: Option<&Arc<Snapshot>>) -> Self {
        let names = ["view", "topic"].map(|name| Arc::new(Field::new(name, DataType::Utf8, false)));
        let fields: Vec<_> = names.into_iter().chain(view_error_file::schema().fields().iter().cloned()).collect();
        Self { layers: Arc::clone(layers), snapshot: snapshot.cloned(), schema: Arc::new(Schema::new(fields)) }
    }

    /// The views that may pass `filters`.
    fn wanted(&self, session: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<View>>> {
        let views: Vec<Arc<View>> = self.layers.folded().cloned().collect();
        let names = column::batch(VIEW, &views)?;
        let schema = DFSchema::try_from(names.schema())?;
        let mut pass = BooleanArray::from(vec![true; views.len()]);
        for filter in filters.iter().filter(|filter| only_view(filter)) {
            let mask = session.create_physical_expr(filter.clone(), &schema)?.evaluate(&names)?;
            pass = arrow::compute::and_kleene(&pass, mask.into_array(views.len())?.as_boolean())?;
        }
        let passes = |i: usize| arrow::array::Array::is_valid(&pass, i) && pass.value(i);
        Ok(views.into_iter().enumerate().filter(|(i, _)| passes(*i)).map(|(_, view)| view).collect())
    }
}

fn only_view(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty() && columns.iter().all(|column| column.name == "view")
}

#[async_trait]
impl TableProvider for ViewErrors {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Objects of other views are not read; the rows are filtered above.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushdown = |filter: &&Expr| match only_view(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(pushdown).collect())
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
        let mut sources = vec![];
        for view in self.wanted(session, filters)? {
            let topic = self.layers.stream(&view.stream).map(|stream| stream.topic.clone()).unwrap_or_default();
            let (files, slices) = snapshot.left_out(&view).await?;
            sources.push(ErrorSource { view: view.name.to_string(), topic, files, slices });
        }
        let rows = ErrorRows { schema: self.schema(), store: self.layers.store.clone(), sources };
        let table = StreamingTable::try_new(self.schema(), vec![Arc::new(rows)])?;
        table.scan(session, projection, filters, limit).await
    }
}

/// The source of one view's errors.
#[derive(Debug, Clone)]
struct ErrorSource {
    view: String,
    topic: String,
    files: Vec<StateFile>,
    slices: Vec<Slice>,
}

/// Reads one object after the other, as rows are requested.
#[derive(Debug)]
struct ErrorRows {
    schema: SchemaRef,
    store: Store,
    sources: Vec<ErrorSource>,
}

impl PartitionStream for ErrorRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (store, schema) = (self.store.clone(), Arc::clone(&self.schema));
        // Memory of one object at a time.
        let room = Arc::new(MemoryConsumer::new("sys.view_errors").register(context.memory_pool()));
        let sources = futures::stream::iter(self.sources.clone()).flat_map(move |source| {
            let (store, schema, room) = (store.clone(), Arc::clone(&schema), Arc::clone(&room));
            let of = (source.view, source.topic);
            let above = of_slices(&source.slices, &of, &schema);
            let below = futures::stream::iter(source.files).then(move |file| {
                let (store, schema, room, of) = (store.clone(), Arc::clone(&schema), Arc::clone(&room), of.clone());
                async move {
                    let batches = read(&store, &file, of, schema).await?;
                    room.try_resize(batches.iter().map(RecordBatch::get_array_memory_size).sum())?;
                    Ok::<_, DataFusionError>(futures::stream::iter(batches.into_iter().map(Ok)))
                }
            });
            below.try_flatten().chain(futures::stream::iter(above))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), sources))
    }
}

fn of_slices(slices: &[Slice], of: &(String, String), schema: &SchemaRef) -> Vec<Result<RecordBatch>> {
    let listed = slices.iter().filter(|slice| !slice.errors.listed.is_empty());
    listed.map(|slice| rows(&view_error_file::batch(&slice.errors.listed)?, of, schema)).collect()
}

async fn read(
    store: &Store,
    file: &StateFile,
    of: (String, String),
    schema: SchemaRef,
) -> Result<Vec<RecordBatch>, QueryError> {
    let bytes = store.get(&Path::from(file.path.as_str())).await?;
    let path = file.path.clone();
    let decoded = SpawnedTask::spawn_blocking(move || {
        let damaged = |error: &dyn std::fmt::Display| {
            QueryError::new(Reason::Storage, format!("view errors `{path}` cannot be read: {error}"))
        };
        let mut batches = vec![];
        for batch in view_error_file::read(bytes).map_err(|e| damaged(&e))? {
            let batch = batch.map_err(|e| damaged(&e))?;
            batches.push(rows(&batch, &of, &schema).map_err(|e| damaged(&e))?);
        }
        Ok(batches)
    });
    decoded.await.map_err(|_| QueryError::panicked())?
}

/// The rows with their view and topic in front.
fn rows(errors: &RecordBatch, (view, topic): &(String, String), schema: &SchemaRef) -> Result<RecordBatch> {
    let n = errors.num_rows();
    let front = [view, topic].map(|text| Arc::new(StringArray::from(vec![text.as_str(); n])) as ArrayRef);
    let columns = front.into_iter().chain(errors.columns().iter().cloned()).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
