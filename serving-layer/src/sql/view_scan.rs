//! The view scan: filter, merge and finish as an operator of a query's plan.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use dovetail_core::view::{View, split_state};
use futures::{StreamExt, TryStreamExt};

use crate::error::QueryError;
use crate::snapshot::RealtimePart;
use crate::snapshot::kept::{FinishedAnswer, States};
use crate::snapshot::layers::Layers;
use crate::snapshot::merged_cache::{Reach, SnapshotStates};

/// The states to merge: batch states, realtime states or both.
#[derive(Debug, Clone)]
pub(crate) struct ScanInput {
    pub(crate) layers: Arc<Layers>,
    pub(crate) view: Arc<View>,
    pub(crate) states: Option<Arc<States>>,
    pub(crate) realtime_part: Option<Arc<RealtimePart>>,
}

impl ScanInput {
    /// All states, merged as far as that was done before.
    fn pieces(&self, reach: Reach) -> SnapshotStates {
        match (&self.states, &self.realtime_part) {
            (Some(states), Some(realtime_part)) => {
                self.layers.bases.pieces(&self.view, states, realtime_part, reach, &self.layers.realtime)
            }
            (Some(states), None) => SnapshotStates::of(states.batches.clone()),
            (None, Some(realtime_part)) => {
                SnapshotStates::of(realtime_part.slices.iter().flat_map(|slice| slice.state.iter().cloned()).collect())
            }
            (None, None) => SnapshotStates::of(vec![]),
        }
    }

    fn kept_answer(&self, columns: &[usize]) -> Option<Arc<FinishedAnswer>> {
        let (states, realtime_part) = (self.states.as_ref()?, self.realtime_part.as_ref()?);
        self.layers.bases.answer(&self.view, states, realtime_part, columns)
    }

    /// The answer, kept for other queries if it is of both layers and there is room.
    fn keep_answer(&self, columns: &[usize], batches: Vec<RecordBatch>) -> Arc<FinishedAnswer> {
        match (&self.states, &self.realtime_part) {
            (Some(states), Some(realtime_part)) => {
                self.layers.bases.keep(&self.view, states, realtime_part, columns, batches)
            }
            _ => FinishedAnswer::passing(batches),
        }
    }
}

/// The table's columns that a state has too.
pub(crate) fn group_schema(view: &View) -> SchemaRef {
    let leaf = view.leaf_schema();
    Arc::new(Schema::new(leaf.fields().iter().take(view.group_columns()).cloned().collect::<Vec<_>>()))
}

/// The operator that finishes the states of one snapshot.
#[derive(Debug)]
pub(crate) struct ViewScanExec {
    source: ScanInput,
    /// Columns of the scan, in their output order.
    columns: Vec<usize>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// Row limit, applied only where rows can be left out: a view of rows without a filter.
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ViewScanExec {
    pub(crate) fn new(
        source: ScanInput,
        projection: Option<&Vec<usize>>,
        filter: Option<Arc<dyn PhysicalExpr>>,
        limit: Option<usize>,
    ) -> Result<Self> {
        let leaf = source.view.leaf_schema();
        let columns = projection.cloned().unwrap_or_else(|| (0..leaf.fields().len()).collect());
        let schema: SchemaRef = Arc::new(leaf.project(&columns)?);
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        Ok(Self { source, columns, filter, limit, properties, metrics: ExecutionPlanMetricsSet::new() })
    }

    fn job(&self, reservation: MemoryReservation, rows: usize) -> ScanJob {
        ScanJob {
            rows,
            source: self.source.clone(),
            columns: self.columns.clone(),
            filter: self.filter.clone(),
            limit: self.limit,
            schema: self.schema(),
            merged: MetricBuilder::new(&self.metrics).counter("state_rows", 0),
            reservation,
        }
    }
}

impl DisplayAs for ViewScanExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeafExec: view={}, columns={:?}", self.source.view.name, self.columns)?;
        match &self.filter {
            Some(filter) => write!(f, ", filter={filter}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for ViewScanExec {
    fn name(&self) -> &'static str {
        "LeafExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.filter.as_ref().map_or(Ok(TreeNodeRecursion::Continue), visit)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a leaf has no children") }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a leaf has no children") }
    }

    /// Merges on a thread of its own: the tasks that serve connections go on meanwhile.
    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let consumer = MemoryConsumer::new(format!("view {}", self.source.view.name));
        let rows = context.session_config().batch_size();
        let job = self.job(consumer.register(context.memory_pool()), rows);
        let finished = async move {
            let finished = SpawnedTask::spawn_blocking(move || job.run()).await;
            let finished = finished.map_err(|_| QueryError::panicked())??;
            let count = finished.answer.batches.len();
            // Everything that it holds is released after the last batch.
            let batches = futures::stream::iter(
                (0..count).flat_map(move |i| split_state(&finished.answer.batches[i], rows).collect::<Vec<_>>()),
            );
            Ok::<_, datafusion::common::DataFusionError>(batches.map(Ok))
        };
        let batches = futures::stream::once(finished).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One run of the operator, on a thread that may block.
struct ScanJob {
    /// Rows of a batch.
    rows: usize,
    source: ScanInput,
    columns: Vec<usize>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    limit: Option<usize>,
    schema: SchemaRef,
    merged: Count,
    reservation: MemoryReservation,
}

/// An answer, and the memory that counts while its batches are used.
struct Finished {
    answer: Arc<FinishedAnswer>,
    _reservation: MemoryReservation,
    /// A view without an aggregate returns the rows of its states.
    _states: Option<(ScanInput, SnapshotStates)>,
}

impl ScanJob {
    fn run(self) -> Result<Finished> {
        if self.filter.is_none()
            && let Some(answer) = self.source.kept_answer(&self.columns)
        {
            return Ok(Finished { answer, _reservation: self.reservation, _states: None });
        }
        let view = &self.source.view;
        let reach = if self.filter.is_some() { Reach::Filtered } else { Reach::All };
        let pieces = self.source.pieces(reach);
        let mut states = pieces.batches.clone();
        if let Some(filter) = &self.filter {
            states = filtered(view, &states, filter, self.rows)?;
        } else if let Some(limit) = self.limit.filter(|_| !view.is_aggregate()) {
            states = first_rows(&states, limit);
        }
        self.merged.add(states.iter().map(RecordBatch::num_rows).sum());
        if view.is_aggregate() {
            // Merging builds a table of all groups and then the answer: about their size again, twice.
            let bytes: usize = states.iter().map(RecordBatch::get_array_memory_size).sum();
            self.reservation.try_grow(bytes.saturating_mul(2))?;
        }
        let answer = named(&self.schema, view.finish(&states, Some(&self.columns))?)?;
        if !view.is_aggregate() {
            let states = Some((self.source, pieces));
            return Ok(Finished {
                answer: FinishedAnswer::passing(answer),
                _reservation: self.reservation,
                _states: states,
            });
        }
        self.reservation.try_resize(answer.iter().map(RecordBatch::get_array_memory_size).sum())?;
        let answer = match self.filter {
            Some(_) => FinishedAnswer::passing(answer),
            None => self.source.keep_answer(&self.columns, answer),
        };
        if answer.is_kept() {
            self.reservation.free();
        }
        Ok(Finished { answer, _reservation: self.reservation, _states: None })
    }
}

/// The answer under the names of `schema`. Without columns it still has rows.
fn named(schema: &SchemaRef, answer: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
    let named = |batch: RecordBatch| {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)
    };
    Ok(answer.into_iter().map(named).collect::<Result<_, _>>()?)
}

/// The states whose groups pass the filter.
fn filtered(
    view: &View,
    states: &[RecordBatch],
    filter: &Arc<dyn PhysicalExpr>,
    rows: usize,
) -> Result<Vec<RecordBatch>> {
    let schema = group_schema(view);
    let mut passed = vec![];
    for state in &states.iter().flat_map(|state| split_state(state, rows)).collect::<Vec<_>>() {
        let groups = RecordBatch::try_new(Arc::clone(&schema), state.columns()[..view.group_columns()].to_vec())?;
        let mask = filter.evaluate(&groups)?.into_array(state.num_rows())?;
        let state = filter_record_batch(state, mask.as_boolean())?;
        if state.num_rows() > 0 {
            passed.push(state);
        }
    }
    Ok(passed)
}

fn first_rows(states: &[RecordBatch], limit: usize) -> Vec<RecordBatch> {
    let mut left = limit;
    let mut first = vec![];
    for state in states {
        let rows = state.num_rows().min(left);
        if rows > 0 {
            first.push(state.slice(0, rows));
            left -= rows;
        }
    }
    first
}
