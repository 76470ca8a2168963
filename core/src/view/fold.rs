//! Running a view's fold plan on batches of its stream: one plan for both layers, so that which rows fail does not
//! depend on the layer.
//!
//! A row fails if its evaluation fails when it is alone. A batch evaluates for each row at least what the row alone
//! would, so a batch that succeeds has no such row, and one that fails is halved until they are found: where batches
//! begin and end makes no difference.

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

/// Rows of the stream -> rows that the aggregate reads.
#[derive(Debug)]
pub(super) struct FoldPlan {
    /// Over [`BatchInput`], one partition.
    physical: Arc<dyn ExecutionPlan>,
    /// Whether it can run on the next batch as it is, see [`super::joins`].
    keeps_nothing: bool,
    context: Arc<TaskContext>,
    /// The stream's columns that it reads, ascending.
    reads: Vec<usize>,
    /// Over the stream's columns; rows for which it is not true make no difference.
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

/// What the filter right above the stream asks for, if it is the only reader and no row can fail in it: a row that is
/// not read because of it then neither passes nor fails.
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

/// The leaf of a fold plan: yields the batch that the task context carries.
#[derive(Debug)]
pub(super) struct BatchInput {
    pub(super) schema: SchemaRef,
}

/// What [`BatchInput`] yields.
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

/// After so many runs a folder starts its plan anew: every run adds to the plan's metrics, and a folder lives as long
/// as the process.
const RUNS_PER_PLAN: usize = 1024;

/// Why rows were not folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// Of a view with `on_error = 'stop'`: all rows before this one were folded, and none from it on.
    #[error("{0}")]
    Row(RowError),
    /// A row fails, and where it is in the log was not read.
    #[error("a row fails, and its partition and offset were not read")]
    Unplaced,
    /// Nothing of the view can be folded; what the folder holds may have a part of a batch.
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
    /// Whether the plan is known to run on no rows: then what fails on a row is the row's.
    is_sound: bool,
}

#[derive(Debug)]
enum Held {
    Groups(Box<Table>),
    Rows(Vec<RecordBatch>),
}

/// Rows with everything evaluated that can fail because of one of them.
enum Ready {
    Groups(Vec<Evaluated>),
    Rows(Vec<RecordBatch>),
}

impl Folder {
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

    /// Folds decoded rows of the stream, which have its columns in its order; those that the view does not read
    /// ([`View::columns_read`]) may hold anything, besides partition and offset. Rows that fail are left out, see
    /// [`Folder::take_errors`].
    ///
    /// # Errors
    /// [`FoldError::Row`] at the first row that fails, if the view is to stop there.
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

    /// Folds `rows`, of which one or more fail: parts that succeed as they are, and each of the others alone.
    async fn fold_by_halves(&mut self, rows: &RecordBatch, first: DataFusionError) -> Result<(), FoldError> {
        if !self.is_sound {
            // A plan that fails without any row fails because of none.
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

    /// Runs the fold plan on `rows` and evaluates what the aggregate reads of them. Changes nothing that is held.
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

    /// What is to be said of a row that fails.
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

    /// The state of what was folded since the last call.
    pub fn take_state(&mut self) -> Result<Vec<RecordBatch>> {
        match &mut self.held {
            Held::Groups(table) => Ok(vec![table.take_state()?]),
            Held::Rows(rows) => Ok(std::mem::take(rows)),
        }
    }

    /// The rows that were left out since the last call.
    pub fn take_errors(&mut self) -> RowErrors {
        std::mem::take(&mut self.errors)
    }

    /// The rows that were left out since the last [`Folder::take_errors`].
    pub fn errors(&self) -> &RowErrors {
        &self.errors
    }

    /// Bytes held since the last [`Folder::take_state`].
    pub fn size(&self) -> usize {
        let held = match &self.held {
            Held::Groups(table) => table.size(),
            Held::Rows(rows) => rows.iter().map(RecordBatch::get_array_memory_size).sum(),
        };
        held + self.errors.bytes()
    }
}

/// The two parts of a range, the first one last; none of a single row, which cannot be halved.
fn halves(from: usize, n: usize) -> Vec<(usize, usize)> {
    match n {
        0 => vec![],
        1 => vec![(from, 1)],
        _ => vec![(from + n / 2, n - n / 2), (from, n / 2)],
    }
}

/// Where the record is in the log.
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

/// The expression that fails in the node of `plan` that is nearest to its input.
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

/// The one of `expressions` that fails on what `input` gives.
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
