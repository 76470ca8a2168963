//! The watch over each operator of a plan: before the operator makes its next batch, the watch checks that the query is
//! still wanted. Filters of joins are watched too, since a join may compare very many pairs of rows without making a
//! batch. Unnested rows come in portions, and memory is reserved for the output of joins and windows over wide rows.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::window::StandardWindowExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, WindowExpr,
};
use dovetail_core::functions::guard::{Allowance, Width, elements};
use futures::{Stream, StreamExt};

use crate::sql::control::Control;

/// `plan` with a watch on each of its operators.
pub(crate) fn watched(plan: Arc<dyn ExecutionPlan>, control: &Arc<Control>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let node = with_filter_watched(node, control)?;
        let node = with_inputs_told(node)?;
        Ok(Transformed::yes(Arc::new(WatchedExec { input: node, above: Above::Other, control: Arc::clone(control) })))
    })
    .data()
}

fn with_filter_watched(node: Arc<dyn ExecutionPlan>, control: &Arc<Control>) -> Result<Arc<dyn ExecutionPlan>> {
    let watched = |filter: &JoinFilter| {
        let expr = WatchedExpr { inner: Arc::clone(filter.expression()), control: Arc::clone(control) };
        JoinFilter::new(Arc::new(expr), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    };
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        let filter = watched(filter);
        return Ok(Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?));
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        let filter = watched(filter);
        return Ok(Arc::new(HashJoinExecBuilder::from(join).with_filter(Some(filter)).build()?));
    }
    Ok(node)
}

/// The use that the operator above makes of its input rows.
#[derive(Debug, Clone)]
enum Above {
    /// Its output is no larger, or it counts the output itself.
    Other,
    /// It unnests columns, each to the given depth.
    Unnest(Vec<(usize, usize)>),
    /// It makes batches whose rows may each be as wide as the widest input row.
    Join(String),
    /// It needs all rows, each of which may be as wide as the widest row of the windows' arguments.
    Window(String, Vec<Arc<dyn WindowExpr>>),
}

/// `node` with its use of its inputs told to them.
fn with_inputs_told(node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let above = above(node.as_ref());
    if matches!(above, Above::Other) {
        return Ok(node);
    }
    let told = |input: &Arc<dyn ExecutionPlan>| -> Arc<dyn ExecutionPlan> {
        match input.downcast_ref::<WatchedExec>() {
            Some(WatchedExec { input, control, .. }) => {
                Arc::new(WatchedExec { input: Arc::clone(input), above: above.clone(), control: Arc::clone(control) })
            }
            None => Arc::clone(input),
        }
    };
    let inputs = node.children().into_iter().map(told).collect();
    node.replace_children(inputs, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

fn above(node: &dyn ExecutionPlan) -> Above {
    if let Some(unnest) = node.downcast_ref::<UnnestExec>() {
        let lists = unnest.list_column_indices().iter();
        return Above::Unnest(lists.map(|list| (list.index_in_input_schema, list.depth)).collect());
    }
    if node.is::<HashJoinExec>() || node.is::<NestedLoopJoinExec>() || node.is::<CrossJoinExec>() {
        return Above::Join(node.name().to_owned());
    }
    let windows = match (node.downcast_ref::<WindowAggExec>(), node.downcast_ref::<BoundedWindowAggExec>()) {
        (Some(all), _) => all.window_expr(),
        (_, Some(bounded)) => bounded.window_expr(),
        _ => return Above::Other,
    };
    // Aggregates count their output: see `frames`.
    let is_wide = |window: &&Arc<dyn WindowExpr>| {
        window.as_any().is::<StandardWindowExpr>()
            && window.field().is_ok_and(|made| made.data_type().primitive_width().is_none())
    };
    let wide: Vec<_> = windows.iter().filter(is_wide).cloned().collect();
    if wide.is_empty() { Above::Other } else { Above::Window(node.name().to_owned(), wide) }
}

/// A watched operator.
#[derive(Debug)]
struct WatchedExec {
    input: Arc<dyn ExecutionPlan>,
    above: Above,
    control: Arc<Control>,
}

impl DisplayAs for WatchedExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch")
    }
}

impl ExecutionPlan for WatchedExec {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => {
                Ok(Arc::new(Self { input, above: self.above.clone(), control: Arc::clone(&self.control) }))
            }
            _ => internal_err!("an operator is looked after alone"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = context.session_config().batch_size();
        Ok(Box::pin(Watched {
            input: self.input.execute(partition, context)?,
            above: self.above.clone(),
            control: Arc::clone(&self.control),
            portions: None,
            widened: Widened { rows, seen: 0, widest: 0, room: None },
        }))
    }
}

struct Watched {
    input: SendableRecordBatchStream,
    above: Above,
    control: Arc<Control>,
    portions: Option<Portions>,
    widened: Widened,
}

impl Stream for Watched {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.control.check()?;
        // Lets other tasks of the thread run, and lets this one be stopped here.
        let progress = std::task::ready!(tokio::task::coop::poll_proceed(context));
        loop {
            if let (Above::Unnest(unnested), Some(portions)) = (&this.above, &mut this.portions) {
                match portions.next(unnested, &this.control)? {
                    Some(portion) => {
                        progress.made_progress();
                        return Poll::Ready(Some(Ok(portion)));
                    }
                    None => this.portions = None,
                }
            }
            let control = Arc::clone(&this.control);
            let asking = control.asking();
            let polled = this.input.poll_next_unpin(context);
            drop(asking);
            let Some(batch) = std::task::ready!(polled).transpose()? else {
                progress.made_progress();
                return Poll::Ready(None);
            };
            match &this.above {
                Above::Unnest(_) => {
                    this.portions = Some(Portions::new(batch));
                    continue;
                }
                Above::Join(name) => {
                    this.widened.note(batch.columns(), batch.num_rows());
                    this.widened.take(this.widened.rows, name, &control)?;
                }
                Above::Window(name, windows) => {
                    let arguments = windows.iter().map(|window| window.evaluate_args(&batch));
                    let arguments = arguments.collect::<Result<Vec<_>>>()?.concat();
                    this.widened.note(&arguments, batch.num_rows());
                    this.widened.take(this.widened.seen, name, &control)?;
                }
                Above::Other => {}
            }
            progress.made_progress();
            return Poll::Ready(Some(Ok(batch)));
        }
    }
}

impl RecordBatchStream for Watched {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// Bytes up to which widened rows need no reservation.
const NARROW: u64 = 4 << 20;

/// Memory for the output of an operator whose rows may each become as wide as the widest.
struct Widened {
    /// Rows of a batch.
    rows: usize,
    seen: usize,
    widest: u64,
    room: Option<MemoryReservation>,
}

impl Widened {
    fn note(&mut self, columns: &[ArrayRef], rows: usize) {
        self.seen += rows;
        let widths = columns.iter().map(Width::of_array).fold(Width::Same(0), Width::plus);
        self.widest = (0..rows).map(|row| widths.at(row)).fold(self.widest, u64::max);
    }

    fn take(&mut self, rows: usize, name: &str, control: &Control) -> Result<()> {
        let bytes = self.widest.saturating_mul(rows as u64);
        if bytes <= NARROW {
            return Ok(());
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        match &self.room {
            Some(room) => room.try_resize(bytes),
            None => {
                self.room = Some(control.room(name, bytes)?);
                Ok(())
            }
        }
    }
}

/// Approximate size in bytes of a portion's output, unless a single row makes more.
const PORTION: u64 = 4 << 20;

/// A batch that is passed on in portions.
struct Portions {
    batch: RecordBatch,
    /// Bytes of each row's output; `None` before they are known.
    growth: Option<Vec<u64>>,
    next: usize,
    /// Memory of the output of the last portion.
    room: Option<MemoryReservation>,
}

impl Portions {
    fn new(batch: RecordBatch) -> Self {
        Self { batch, growth: None, next: 0, room: None }
    }

    fn next(&mut self, unnested: &[(usize, usize)], control: &Control) -> Result<Option<RecordBatch>> {
        self.room = None;
        let (from, rows) = (self.next, self.batch.num_rows());
        if from >= rows {
            return Ok(None);
        }
        let growth = self.growth.get_or_insert_with(|| growth(&self.batch, unnested));
        let (mut to, mut bytes) = (from, 0_u64);
        while to < rows && (to == from || bytes.saturating_add(growth[to]) <= PORTION) {
            bytes = bytes.saturating_add(growth[to]);
            to += 1;
        }
        self.room = Some(control.room("unnest", usize::try_from(bytes).unwrap_or(usize::MAX))?);
        self.next = to;
        Ok(Some(self.batch.slice(from, to - from)))
    }
}

/// Bytes of each row's output: all of its columns, as often as its longest list has elements.
fn growth(batch: &RecordBatch, unnested: &[(usize, usize)]) -> Vec<u64> {
    let is_unnested = |column: usize| unnested.iter().any(|(list, _)| *list == column);
    let others = batch.columns().iter().enumerate().filter(|(column, _)| !is_unnested(*column));
    let each_row = others.map(|(_, column)| Width::of_array(column)).fold(Width::Same(16), Width::plus);
    let lists: Vec<(Width, Width)> = unnested
        .iter()
        .map(|&(column, depth)| {
            let column = batch.column(column);
            let bytes = Width::of_array(column);
            // Below the first level only the total size is known.
            (if depth > 1 { Width::of_array(column) } else { elements(column) }, bytes)
        })
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            let longest = lists.iter().map(|(elements, _)| elements.at(row)).max().unwrap_or(1).max(1);
            let bytes = lists.iter().map(|(_, bytes)| bytes.at(row)).fold(0, u64::saturating_add);
            longest.saturating_mul(each_row.at(row)).saturating_add(bytes)
        })
        .collect()
}

/// A watched filter of a join.
#[derive(Debug, Clone)]
struct WatchedExpr {
    inner: Arc<dyn PhysicalExpr>,
    control: Arc<Control>,
}

impl PartialEq for WatchedExpr {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for WatchedExpr {}

impl Hash for WatchedExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for WatchedExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for WatchedExpr {
    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.control.check()?;
        // The results of the comparison are dropped with it; a join compares many pairs of rows before it asks for
        // more.
        self.control.in_passing(|| self.inner.evaluate(batch))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(Self { inner, control: Arc::clone(&self.control) })),
            _ => internal_err!("a filter is looked after alone"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
