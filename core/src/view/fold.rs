//! A view's fold plan, run on batches of its stream: one plan for both layers, so that the rows that fail do not depend
//! on the layer.
//!
//! A row fails if its evaluation fails when it is alone. A batch evaluates for each row at least as much as the row
//! alone would, so a batch that succeeds has no such row, and one that fails is halved until they are found: the
//! boundaries of batches make no difference.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::utils::reassign_expr_columns;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use futures::StreamExt;
use parking_lot::Mutex;

use super::View;
use super::evaluate::{cannot_fail, caught, caught_now, failing, is_of_a_row, message};
use super::row_errors::{RowError, RowErrors};
use super::table::{Evaluated, Table};
use crate::pipeline::OnError;
use crate::record::column::{OFFSET, PARTITION};

/// The plan from rows of the stream to rows that the aggregate reads.
#[derive(Debug)]
pub(super) struct FoldPlan {
    /// The plan over [`BatchInput`], with one partition.
    physical: Arc<dyn ExecutionPlan>,
    /// Whether it can run on the next batch without a reset, see [`super::joins`].
    keeps_nothing: bool,
    context: Arc<TaskContext>,
    /// Indices of the stream's columns that it reads, ascending.
    reads: Vec<usize>,
    /// A condition over the stream's columns; rows for which it is not true make no difference.
    filter: Option<Arc<dyn PhysicalExpr>>,
}

impl FoldPlan {
    pub(super) fn new(physical: Arc<dyn ExecutionPlan>, keeps_nothing: bool, context: Arc<TaskContext>) -> Self {
        let mut reads = vec![];
        columns_read(&physical, &mut reads);
        reads.sort_unstable();
        reads.dedup();
        let filter = filter_of(&physical);
        Self { physical, keeps_nothing, context, reads, filter }
    }

    pub(super) fn reads(&self) -> &[usize] {
        &self.reads
    }

    pub(super) fn filter(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        self.filter.as_ref()
    }
}

/// The condition of the filter right above the stream, if that is the only reader and no row can fail in it: a row that
/// is skipped because of it then neither passes nor fails.
fn filter_of(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn PhysicalExpr>> {
    let children = plan.children();
    let reading: Vec<_> = children.into_iter().filter(|child| reads_stream(child)).collect();
    let [one] = reading.as_slice() else { return None };
    match (plan.downcast_ref::<FilterExec>(), one.downcast_ref::<StreamingTableExec>()) {
        (Some(filter), Some(stream)) if cannot_fail(filter.predicate()) => {
            reassign_expr_columns(Arc::clone(filter.predicate()), stream.partition_schema()).ok()
        }
        (_, Some(_)) => None,
        (_, None) => filter_of(one),
    }
}

fn reads_stream(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<StreamingTableExec>() || plan.children().into_iter().any(reads_stream)
}

fn columns_read(plan: &Arc<dyn ExecutionPlan>, reads: &mut Vec<usize>) {
    if let Some(stream) = plan.downcast_ref::<StreamingTableExec>() {
        match stream.projection() {
            Some(projection) => reads.extend(projection.iter()),
            None => reads.extend(0..stream.partition_schema().fields().len()),
        }
    }
    plan.children().into_iter().for_each(|child| columns_read(child, reads));
}

/// The input node of a fold plan: yields the batch of the task context.
#[derive(Debug)]
pub(super) struct BatchInput {
    pub(super) schema: SchemaRef,
}

/// The batch that [`BatchInput`] yields.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<RecordBatch>>);

impl Slot {
    fn put(&self, batch: Option<RecordBatch>) {
        *self.0.lock() = batch;
    }

    fn get(&self) -> Option<RecordBatch> {
        self.0.lock().clone()
    }
}

impl PartitionStream for BatchInput {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let slot = context.session_config().get_extension::<Slot>();
        let batch = match slot.and_then(|slot| slot.get()) {
            Some(batch) => Ok(batch),
            None => exec_err!("a fold plan was run without a batch"),
        };
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(async { batch })))
    }
}

/// Number of runs after which a folder replaces its plan: every run adds to the plan's metrics, and a folder lives as
/// long as the process.
const RUNS_PER_PLAN: usize = 1024;

/// The reason why rows were not folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// A row failed in a view with `on_error = 'stop'`: all rows before it were folded, and none from it on.
    #[error("{0}")]
    Row(RowError),
    /// A row failed, and its partition and offset were not read.
    #[error("a row fails, and its partition and offset were not read")]
    Unplaced,
    /// Nothing of the view can be folded; the folder may contain a part of a batch.
    #[error("it cannot be folded: {}", .0.strip_backtrace())]
    Plan(#[from] DataFusionError),
}

/// Folds batches of one stream into the state of one view.
#[derive(Debug)]
pub struct Folder {
    view: Arc<View>,
    plan: Arc<dyn ExecutionPlan>,
    slot: Arc<Slot>,
    context: Arc<TaskContext>,
    runs: usize,
    held: Held,
    errors: RowErrors,
    /// Whether the plan is known to run on no rows: then a failure on a row belongs to the row.
    is_sound: bool,
}

#[derive(Debug)]
enum Held {
    Groups(Box<Table>),
    Rows(Vec<RecordBatch>),
}

/// Rows with every expression evaluated that a row can make fail.
enum Ready {
    Groups(Vec<Evaluated>),
    Rows(Vec<RecordBatch>),
}

impl Folder {
    /// A folder without rows.
    pub fn new(view: &Arc<View>) -> Result<Self> {
        let held = match &view.aggregation {
            Some(aggregation) => Held::Groups(Box::new(Table::new(aggregation)?)),
            None => Held::Rows(vec![]),
        };
        let slot = Arc::new(Slot::default());
        let context = with_slot(&view.fold.context, &slot);
        let plan = Arc::clone(&view.fold.physical);
        let view = Arc::clone(view);
        Ok(Self { view, plan, slot, context, runs: 0, held, errors: RowErrors::default(), is_sound: false })
    }

    /// Folds decoded rows of the stream, which have its columns in its order; columns that the view does not read
    /// ([`View::columns_read`]) may hold anything, except partition and offset. Rows that fail are left out, see
    /// [`Folder::take_errors`].
    ///
    /// # Errors
    /// [`FoldError::Row`] at the first row that fails, if the view's `on_error` is `stop`.
    pub async fn fold(&mut self, rows: &RecordBatch) -> Result<(), FoldError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let folded = match self.evaluate(rows).await {
            Ok(ready) => self.hold(ready).map_err(FoldError::from),
            Err(error) if is_of_a_row(&error) => self.fold_by_halves(rows, error).await,
            Err(error) => Err(error.into()),
        };
        self.slot.put(None);
        folded
    }

    /// Folds `rows`, some of which fail: parts that succeed as a whole, and each failing row alone.
    async fn fold_by_halves(&mut self, rows: &RecordBatch, first: DataFusionError) -> Result<(), FoldError> {
        if !self.is_sound {
            // A plan that fails without any row does not fail because of one.
            self.evaluate(&rows.slice(0, 0)).await?;
            self.is_sound = true;
        }
        let mut open = halves(0, rows.num_rows());
        let mut first = Some(first).filter(|_| open.is_empty());
        while let Some((from, n)) = open.pop() {
            let part = rows.slice(from, n);
            let failed = match first.take() {
                Some(error) => Err(error),
                None => self.evaluate(&part).await,
            };
            match failed {
                Ok(ready) => self.hold(ready)?,
                Err(error) if !is_of_a_row(&error) => return Err(error.into()),
                Err(error) if n == 1 => {
                    let error = self.describe(&part, &error).await?;
                    match self.view.on_error {
                        OnError::Stop => return Err(FoldError::Row(error)),
                        OnError::DeadLetter | OnError::Null => self.errors.push(error),
                    }
                }
                Err(_) => open.extend(halves(from, n)),
            }
        }
        Ok(())
    }

    /// Runs the fold plan on `rows` and evaluates the aggregate's expressions. Changes no state.
    async fn evaluate(&mut self, rows: &RecordBatch) -> Result<Ready> {
        self.runs += 1;
        if !self.view.fold.keeps_nothing || self.runs.is_multiple_of(RUNS_PER_PLAN) {
            self.plan = reset_plan_states(Arc::clone(&self.plan))?;
        }
        self.slot.put(Some(rows.clone()));
        let ready = caught(async {
            let mut output = self.plan.execute(0, Arc::clone(&self.context))?;
            let (mut groups, mut states) = (vec![], vec![]);
            while let Some(batch) = output.next().await {
                let batch = batch?;
                match &self.view.aggregation {
                    Some(aggregation) => groups.push(Evaluated::of(aggregation, &batch)?),
                    None if batch.num_rows() == 0 => {}
                    None => states.push(RecordBatch::try_new(self.view.state_schema(), batch.columns().to_vec())?),
                }
            }
            Ok(if self.view.is_aggregate() { Ready::Groups(groups) } else { Ready::Rows(states) })
        });
        ready.await
    }

    fn hold(&mut self, ready: Ready) -> Result<()> {
        match (&mut self.held, ready) {
            (Held::Groups(table), Ready::Groups(all)) => {
                caught_now(|| all.iter().try_for_each(|evaluated| table.update(evaluated)))
            }
            (Held::Rows(held), Ready::Rows(rows)) => {
                held.extend(rows);
                Ok(())
            }
            _ => exec_err!("rows and groups cannot be folded into one another"),
        }
    }

    /// Describes a row that fails.
    async fn describe(&mut self, row: &RecordBatch, error: &DataFusionError) -> Result<RowError, FoldError> {
        let (partition, offset) = place(row)?;
        self.slot.put(Some(row.clone()));
        let mut found = find_in_plan(&self.plan, &self.context).await;
        if let (None, Some(aggregation)) = (&found, &self.view.aggregation) {
            found = find(&aggregation.expressions(), &self.plan, &self.context).await;
        }
        let (expression, value) = found.unwrap_or_else(|| ("the row".to_owned(), String::new()));
        Ok(RowError::new(partition, offset, [expression, message(error), value]))
    }

    /// Takes the state of the rows folded since the last call.
    pub fn take_state(&mut self) -> Result<Vec<RecordBatch>> {
        match &mut self.held {
            Held::Groups(table) => Ok(vec![table.take_state()?]),
            Held::Rows(rows) => Ok(std::mem::take(rows)),
        }
    }

    /// Takes the rows that were left out since the last call.
    pub fn take_errors(&mut self) -> RowErrors {
        std::mem::take(&mut self.errors)
    }

    /// The rows that were left out since the last [`Folder::take_errors`].
    pub fn errors(&self) -> &RowErrors {
        &self.errors
    }

    /// Bytes in memory since the last [`Folder::take_state`].
    pub fn size(&self) -> usize {
        let held = match &self.held {
            Held::Groups(table) => table.size(),
            Held::Rows(rows) => rows.iter().map(RecordBatch::get_array_memory_size).sum(),
        };
        held + self.errors.bytes()
    }
}

/// The two halves of a range, the first one last; none for a single row, which cannot be halved.
fn halves(from: usize, n: usize) -> Vec<(usize, usize)> {
    match n {
        0 => vec![],
        1 => vec![(from, 1)],
        _ => vec![(from + n / 2, n - n / 2), (from, n / 2)],
    }
}

/// The partition and offset of a record.
fn place(row: &RecordBatch) -> Result<(i32, i64), FoldError> {
    let partition = row.column_by_name(PARTITION).and_then(|c| c.as_primitive_opt::<Int32Type>());
    let offset = row.column_by_name(OFFSET).and_then(|c| c.as_primitive_opt::<Int64Type>());
    match (partition, offset) {
        (Some(partition), Some(offset)) if partition.is_valid(0) && offset.is_valid(0) => {
            Ok((partition.value(0), offset.value(0)))
        }
        _ => Err(FoldError::Unplaced),
    }
}

/// The expression that fails in the node of `plan` nearest to its input.
async fn find_in_plan(plan: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Option<(String, String)> {
    for child in plan.children() {
        if let Some(found) = Box::pin(find_in_plan(child, context)).await {
            return Some(found);
        }
    }
    let expressions: Vec<_> = if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        projection.expr().iter().map(|projected| Arc::clone(&projected.expr)).collect()
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        vec![Arc::clone(filter.predicate())]
    } else {
        return None;
    };
    find(&expressions, plan.children().first()?, context).await
}

/// The one of `expressions` that fails on the rows of `input`.
async fn find(
    expressions: &[Arc<dyn PhysicalExpr>],
    input: &Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
) -> Option<(String, String)> {
    let mut output = input.execute(0, Arc::clone(context)).ok()?;
    while let Ok(Some(Ok(rows))) = caught(async { Ok(output.next().await) }).await {
        for i in 0..rows.num_rows() {
            let row = rows.slice(i, 1);
            if let Some(found) = expressions.iter().find_map(|expr| failing(expr, &row)) {
                return Some(found);
            }
        }
    }
    None
}

fn with_slot(context: &TaskContext, slot: &Arc<Slot>) -> Arc<TaskContext> {
    let config = context.session_config().clone().with_extension(Arc::clone(slot));
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
