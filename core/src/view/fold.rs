//! Running a view's fold plan: on batches as they come, or over a whole table with all cores.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::JoinSet;
use datafusion::common::{Result, exec_err};
use datafusion::execution::context::SessionContext;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, TryStreamExt};

use super::View;
use super::split::with_table;
use super::table::Table;

/// Rows of the stream -> rows that the aggregate reads.
#[derive(Debug)]
pub(super) struct FoldPlan {
    /// Over a scan of the stream.
    pub(super) logical: LogicalPlan,
    /// Over [`BatchInput`], one partition.
    pub(super) physical: Arc<dyn ExecutionPlan>,
    /// Whether it can run on the next batch as it is, see [`super::joins`].
    pub(super) keeps_nothing: bool,
    pub(super) context: Arc<TaskContext>,
}

/// The leaf of a fold plan: yields the batch that the task context carries.
#[derive(Debug)]
pub(super) struct BatchInput {
    pub(super) schema: SchemaRef,
}

/// What [`BatchInput`] yields.
struct Batch(RecordBatch);

impl PartitionStream for BatchInput {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch = match context.session_config().get_extension::<Batch>() {
            Some(batch) => Ok(batch.0.clone()),
            None => exec_err!("a fold plan was run without a batch"),
        };
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(async { batch })))
    }
}

/// After so many batches a folder starts its plan anew: every run adds to the plan's metrics, and a folder lives
/// as long as the process.
const RUNS_PER_PLAN: usize = 1024;

/// Folds batches of one stream into the state of one view.
#[derive(Debug)]
pub struct Folder {
    view: Arc<View>,
    plan: Arc<dyn ExecutionPlan>,
    runs: usize,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Groups(Box<Table>),
    Rows(Vec<RecordBatch>),
}

impl Folder {
    pub fn new(view: &Arc<View>) -> Result<Self> {
        let held = match &view.aggregation {
            Some(aggregation) => Held::Groups(Box::new(Table::new(aggregation)?)),
            None => Held::Rows(vec![]),
        };
        Ok(Self { view: Arc::clone(view), plan: Arc::clone(&view.fold.physical), runs: 0, held })
    }

    /// Folds decoded rows of the stream, which have at least its columns, in its order.
    pub async fn fold(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.runs += 1;
        if !self.view.fold.keeps_nothing || self.runs.is_multiple_of(RUNS_PER_PLAN) {
            self.plan = reset_plan_states(Arc::clone(&self.plan))?;
        }
        let context = with_batch(&self.view.fold.context, rows.clone());
        let mut output = self.plan.execute(0, context)?;
        while let Some(batch) = output.next().await {
            self.hold(batch?)?;
        }
        Ok(())
    }

    fn hold(&mut self, batch: RecordBatch) -> Result<()> {
        match &mut self.held {
            Held::Groups(table) => table.update(&batch),
            Held::Rows(_) if batch.num_rows() == 0 => Ok(()),
            Held::Rows(rows) => {
                rows.push(as_state(&self.view, &batch)?);
                Ok(())
            }
        }
    }

    /// The state of what was folded since the last call.
    pub fn take_state(&mut self) -> Result<Vec<RecordBatch>> {
        match &mut self.held {
            Held::Groups(table) => Ok(vec![table.take_state()?]),
            Held::Rows(rows) => Ok(std::mem::take(rows)),
        }
    }

    /// Bytes held since the last [`Folder::take_state`].
    pub fn size(&self) -> usize {
        match &self.held {
            Held::Groups(table) => table.size(),
            Held::Rows(rows) => rows.iter().map(RecordBatch::get_array_memory_size).sum(),
        }
    }
}

fn as_state(view: &View, batch: &RecordBatch) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(view.state_schema(), batch.columns().to_vec())?)
}

fn with_batch(context: &TaskContext, batch: RecordBatch) -> Arc<TaskContext> {
    let config = context.session_config().clone().with_extension(Arc::new(Batch(batch)));
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        config,
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        context.runtime_env(),
    ))
}

/// Folds a whole table of the stream's rows with as many tasks as its plan has partitions, and returns the state.
///
/// A view without groups to keep streams its rows; an aggregate's state comes as one batch at the end.
/// Dropping the stream cancels the work.
pub async fn fold_table(
    view: &Arc<View>,
    table: Arc<dyn TableProvider>,
    context: &SessionContext,
) -> Result<SendableRecordBatchStream> {
    let state = context.state();
    let logical = state.optimize(&with_table(&view.fold.logical, view.stream.as_str(), table)?)?;
    let plan = state.query_planner().create_physical_plan(&logical, &state).await?;
    let task = context.task_ctx();
    if view.aggregation.is_none() {
        let view = Arc::clone(view);
        let rows = datafusion::physical_plan::execute_stream(plan, task)?;
        let schema = view.state_schema();
        let states = rows.and_then(move |batch| futures::future::ready(as_state(&view, &batch)));
        return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, states)));
    }
    let mut parts = JoinSet::new();
    for partition in 0..plan.output_partitioning().partition_count() {
        parts.spawn(fold_partition(Arc::clone(view), plan.execute(partition, Arc::clone(&task))?));
    }
    let mut states = vec![];
    while let Some(part) = parts.join_next().await {
        match part {
            Ok(state) => states.extend(state?),
            Err(error) => return exec_err!("a fold task did not finish: {error}"),
        }
    }
    let merged = view.merge(&states)?;
    Ok(Box::pin(MemoryStream::try_new(merged, view.state_schema(), None)?))
}

async fn fold_partition(view: Arc<View>, mut rows: SendableRecordBatchStream) -> Result<Vec<RecordBatch>> {
    let Some(aggregation) = &view.aggregation else { return rows.try_collect().await };
    let mut table = Table::new(aggregation)?;
    while let Some(batch) = rows.next().await {
        table.update(&batch?)?;
    }
    Ok(vec![table.take_state()?])
}
