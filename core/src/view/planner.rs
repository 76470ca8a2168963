//! The planner of views, from a pipeline's SQL.

use super::planning_config::planning_config;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement;

use super::aggregation::{Aggregation, nullable_schema};
use super::exactness::{Exactness, function};
use super::fold::{BatchInput, FoldPlan};
use super::foldable::{CutPoint, cut_point, node, replace, stream_input};
use super::joins::{probe_with_stream, runs_again};
use super::or_null::plan_or_null;
use super::order::break_ties;
use super::refusal::Refusal;
use super::{DerivedView, View, lineage, trial};
use crate::functions;
use crate::functions::guard::{Guard, OfViews};
use crate::pipeline::{OnError, Pipeline, PipelineErrors, Stream, ViewSql, register_lookups};
use crate::sql;
use crate::stored::in_microseconds;
use crate::view::error_text;
use crate::view::error_text::cannot_fold;
use crate::view::split_plan::{leaf_column, leaf_in_place_of, only_columns_of, scanned_tables};
use crate::view::{allowed_nodes, clauses, nondeterminism, placeholders};

/// The reason why a view was refused.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Dovetail cannot fold it.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// DataFusion cannot plan it.
    #[error("{}", .0.strip_backtrace())]
    Plan(DataFusionError),
}

impl From<DataFusionError> for ViewError {
    fn from(error: DataFusionError) -> Self {
        error_text::no_such_call(&error).map_or(Self::Plan(error), Self::Refused)
    }
}

impl ViewError {
    /// The SQL to write instead, if it is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.hint),
            Self::Plan(_) => None,
        }
    }
}

impl From<Refusal> for ViewError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A planned view.
#[derive(Debug, Clone)]
pub enum Planned {
    /// Folded by both layers.
    Folded(Arc<View>),
    /// Computed from other views by each query.
    Derived(DerivedView),
}

impl Planned {
    /// The view's name.
    pub fn name(&self) -> &crate::name::ViewName {
        match self {
            Self::Folded(view) => &view.name,
            Self::Derived(view) => &view.name,
        }
    }
}

/// Plans the views of one pipeline, in their order.
pub struct Planner {
    context: SessionContext,
    streams: HashMap<String, Arc<Stream>>,
    views: HashSet<String>,
    /// Hash of the tables that every view may read besides its stream: the lookups.
    lookups: String,
}

/// The context in which views are planned. Their functions run within [`OfViews`], also while constants are folded.
fn planning_context() -> SessionContext {
    let context = sql::context(planning_config());
    context.add_analyzer_rule(Arc::new(Guard(Arc::new(OfViews))));
    context
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner")
            .field("streams", &self.streams.len())
            .field("views", &self.views)
            .finish_non_exhaustive()
    }
}

impl Planner {
    /// Prepares the pipeline's tables and reads its lookups.
    ///
    /// # Errors
    /// When a lookup cannot be read.
    pub async fn new(pipeline: &Pipeline) -> Result<Self, PipelineErrors> {
        let context = planning_context();
        register_lookups(pipeline, &context).await?;
        let mut streams = HashMap::new();
        for stream in &pipeline.streams {
            streams.insert(stream.name.to_string(), Arc::new(stream.clone()));
        }
        let mut hash = blake3::Hasher::new();
        for lookup in &pipeline.lookups {
            hash.update(lookup.name.as_bytes());
            hash.update(lookup.fingerprint().as_bytes());
        }
        let lookups = hash.finalize().to_hex().to_string();
        Ok(Self { context, streams, views: HashSet::new(), lookups })
    }

    /// The context that holds the lookups; queries over views may join them.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Plans `definition`, which may read the views planned before it.
    pub async fn plan(&mut self, definition: &ViewSql) -> Result<Planned, ViewError> {
        self.register_streams()?;
        let plan = self.logical_plan(&definition.sql).await?;
        let tables = scanned_tables(&plan)?;
        let over_views = tables.iter().any(|t| self.views.contains(t.table()));
        let over_streams = tables.iter().any(|t| self.streams.contains_key(t.table()));
        let planned = match (over_streams, over_views) {
            (true, true) => {
                return Err(ViewError::Refused(Refusal {
                    message: "a view over a stream cannot read other views".to_owned(),
                    hint: "join the views in the query, or in a view over views only".to_owned(),
                }));
            }
            (true, false) => Planned::Folded(Arc::new(self.fold_view(definition, plan).await?)),
            (false, _) if definition.on_error.is_some() => {
                return Err(ViewError::Refused(Refusal {
                    message: "a view over views folds no record whose evaluation could fail".to_owned(),
                    hint: "leave `on_error` out, or set it on the views that it reads".to_owned(),
                }));
            }
            (false, _) => Planned::Derived(DerivedView {
                name: definition.name.clone(),
                sql: definition.sql.clone(),
                schema: answer_schema(&plan),
            }),
        };
        self.remember(&planned)?;
        Ok(planned)
    }

    async fn logical_plan(&self, sql: &str) -> Result<LogicalPlan, ViewError> {
        let state = self.context.state();
        let dialect = state.config().options().sql_parser.dialect;
        let mut statement = match state.sql_to_statement(sql, &dialect)? {
            Statement::Statement(statement) => {
                let known = sql::rewritten(*statement)
                    .map_err(|refused| Refusal { message: refused.message, hint: refused.hint })?;
                Statement::Statement(Box::new(known))
            }
            other => other,
        };
        clauses::all_understood(&statement, &state)?;
        let streams = self.streams.keys().cloned().collect();
        clauses::hide_metadata(&mut statement, &streams);
        let plan = state.statement_to_plan(statement).await?;
        let refused = |node: &LogicalPlan| allowed_nodes::node(node).err();
        match first_in(&plan, refused)? {
            Some(refusal) => Err(refusal.into()),
            None => Ok(plan),
        }
    }

    fn remember(&mut self, planned: &Planned) -> Result<()> {
        let schema = match planned {
            Planned::Folded(view) => view.answer_schema(),
            Planned::Derived(view) => Arc::clone(&view.schema),
        };
        let name = planned.name().to_string();
        self.context.register_table(name.as_str(), Arc::new(EmptyTable::new(schema)))?;
        self.views.insert(name);
        Ok(())
    }

    fn register_streams(&self) -> Result<()> {
        for (name, stream) in &self.streams {
            if !self.context.table_exist(name.as_str())? {
                let schema = stream.decoded_schema();
                let input = Arc::new(BatchInput { schema: Arc::clone(&schema) });
                let table = StreamingTable::try_new(schema, vec![input])?;
                self.context.register_table(name.as_str(), Arc::new(table))?;
            }
        }
        Ok(())
    }

    async fn fold_view(&self, definition: &ViewSql, plan: LogicalPlan) -> Result<View, ViewError> {
        let streams: HashSet<String> = self.streams.keys().cloned().collect();
        let plan = analyzed(&self.context, plan)?;
        let on_error = definition.on_error.unwrap_or_default();
        let parts = match cut_point(&plan, &streams)? {
            CutPoint::Aggregate(at) => self.cut_aggregate(&plan, at, on_error).await?,
            CutPoint::Below(at) => {
                let input = node(&plan, at).and_then(|above| stream_input(above, &streams));
                let rows = input.unwrap_or(&plan);
                self.cut_rows(&plan, rows, on_error).await?
            }
            CutPoint::Top => self.cut_rows(&plan, &plan, on_error).await?,
        };
        let scanned = scanned_tables(&plan)?;
        let stream = scanned.iter().find_map(|t| self.streams.get(t.table()));
        let stream = stream.ok_or_else(|| DataFusionError::Internal("a folded view reads no stream".to_owned()))?;
        let answer_exactness = lineage::columns(&parts.finish_plan, &parts.leaf_exactness);
        Ok(View {
            name: definition.name.clone(),
            stream: stream.name.clone(),
            sql: definition.sql.clone(),
            on_error,
            fingerprint: self.fingerprint(definition, stream),
            exactness: parts.leaf_exactness.iter().chain(&answer_exactness).copied().max().unwrap_or(Exactness::Bits),
            loose: parts.loose,
            grows: trial::grows(&plan),
            answer_exactness,
            leaf_exactness: parts.leaf_exactness,
            fold: parts.fold,
            aggregation: parts.aggregation.map(Arc::new),
            state_schema: parts.state_schema,
            leaf_schema: parts.leaf_schema,
            finish_plan: parts.finish_plan,
        })
    }

    fn fingerprint(&self, definition: &ViewSql, stream: &Stream) -> String {
        let mut hash = blake3::Hasher::new();
        for part in [
            definition.sql.as_str(),
            definition.on_error.unwrap_or_default().as_str(),
            &stream.fingerprint(),
            &self.lookups,
            sql::MEANING,
            env!("CARGO_PKG_VERSION"),
            datafusion::DATAFUSION_VERSION,
            functions::ALGEBRA,
        ] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().to_hex()[..16].to_owned()
    }

    async fn cut_aggregate(
        &self,
        plan: &LogicalPlan,
        at: *const LogicalPlan,
        on_error: OnError,
    ) -> Result<PlanParts, ViewError> {
        let Some(LogicalPlan::Aggregate(aggregate)) = node(plan, at) else {
            return Err(DataFusionError::Internal("the cut point is no aggregate".to_owned()).into());
        };
        let leaf_exactness = exactness_of(aggregate);
        let values = with_ties_broken(aggregate)?;
        let expressions: Vec<Expr> = aggregate.group_expr.iter().chain(&values).cloned().collect();
        let input = only_columns_of(aggregate.input.as_ref().clone(), &expressions)?;
        let fold = self.fold_plan(input.clone(), on_error).await?;
        // Only the aggregate's own expressions are needed here; the plan below may need the optimiser to be planned.
        let below = Arc::new(EmptyTable::new(leaf_schema(fields_of(&input).iter())));
        let below = leaf_in_place_of(&input, below)?;
        let groups = placeholders::replaced(each_once(&aggregate.group_expr), below.schema())?;
        let values = placeholders::replaced(values, below.schema())?;
        let mut aggregation = Aggregation::from_plans(&self.plan_one_by_one(below, &groups, values).await?)?;
        if let Some((i, error)) = aggregation.cannot_fold() {
            return Err(cannot_fold(&aggregate.aggr_expr[i], aggregate.input.schema(), &error).into());
        }
        if on_error == OnError::Null {
            aggregation = aggregation.or_null()?;
        }
        let leaf_schema = leaf_schema(aggregation.answer_fields().iter());
        if leaf_schema.fields().len() != aggregate.schema.fields().len() {
            return Err(
                DataFusionError::Internal("the aggregate's answer has other columns than planned".to_owned()).into()
            );
        }
        let finish_plan = finish_over(plan, at, &leaf_schema)?;
        let state_schema = Arc::clone(&aggregation.state_schema);
        Ok(PlanParts {
            loose: nondeterminism::above(plan, at),
            leaf_exactness,
            fold,
            aggregation: Some(aggregation),
            state_schema,
            leaf_schema,
            finish_plan,
        })
    }

    async fn cut_rows(
        &self,
        plan: &LogicalPlan,
        rows: &LogicalPlan,
        on_error: OnError,
    ) -> Result<PlanParts, ViewError> {
        let fold = self.fold_plan(rows.clone(), on_error).await?;
        let fields = fields_of(rows);
        let leaf_schema = leaf_schema(fields.iter());
        let finish_plan = finish_over(plan, rows, &leaf_schema)?;
        let state_schema = nullable_schema(fields);
        let leaf_exactness = vec![Exactness::Bits; leaf_schema.fields().len()];
        let loose = nondeterminism::above(plan, rows);
        Ok(PlanParts { loose, leaf_exactness, fold, aggregation: None, state_schema, leaf_schema, finish_plan })
    }

    /// Plans the part below the cut, over a batch of the stream.
    async fn fold_plan(&self, logical: LogicalPlan, on_error: OnError) -> Result<FoldPlan> {
        let mut physical = self.context.state().create_physical_plan(&logical).await?;
        if on_error == OnError::Null {
            physical = plan_or_null(physical)?;
        }
        let physical = probe_with_stream(physical)?;
        let keeps_nothing = runs_again(&physical);
        Ok(FoldPlan::new(physical, keeps_nothing, self.context.task_ctx()))
    }

    /// Plans each function of an aggregate on its own: functions with different orders conflict in one plan.
    async fn plan_one_by_one(
        &self,
        input: LogicalPlan,
        groups: &[Expr],
        values: Vec<Expr>,
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let input = Arc::new(input);
        let each = if values.is_empty() { vec![vec![]] } else { values.into_iter().map(|value| vec![value]).collect() };
        let mut plans = vec![];
        for values in each {
            let aggregate = Aggregate::try_new(Arc::clone(&input), groups.to_vec(), values)?;
            plans.push(self.plan_as_written(&LogicalPlan::Aggregate(aggregate)).await?);
        }
        Ok(plans)
    }

    /// Plans an aggregate without the rules that could give it another shape.
    async fn plan_as_written(&self, logical: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        let state =
            SessionStateBuilder::new_from_existing(self.context.state()).with_physical_optimizer_rules(vec![]).build();
        state.query_planner().create_physical_plan(logical, &state).await
    }
}

struct PlanParts {
    loose: Vec<String>,
    leaf_exactness: Vec<Exactness>,
    fold: FoldPlan,
    aggregation: Option<Aggregation>,
    state_schema: SchemaRef,
    leaf_schema: SchemaRef,
    finish_plan: LogicalPlan,
}

/// Coerces types and rewrites DISTINCT as an aggregate; nothing else is optimised before the cut.
fn analyzed(context: &SessionContext, plan: LogicalPlan) -> Result<LogicalPlan> {
    let state = context.state();
    let plan = state.analyzer().execute_and_check(plan, &Arc::clone(state.config_options()), |_, _| {})?;
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![Arc::new(ReplaceDistinctWithAggregate::new())];
    // DISTINCT ON asks the state for `first_value`.
    Optimizer::with_rules(rules).optimize(plan, &state, |_, _| {})
}

/// The refusal of the first node of `plan` that `refused` returns one for.
fn first_in(plan: &LogicalPlan, refused: impl Fn(&LogicalPlan) -> Option<Refusal>) -> Result<Option<Refusal>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        found = found.take().or_else(|| refused(node));
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn with_ties_broken(aggregate: &Aggregate) -> Result<Vec<Expr>, ViewError> {
    let mut values = vec![];
    for expression in &aggregate.aggr_expr {
        values.push(break_ties(expression.clone(), aggregate.input.schema())??);
    }
    Ok(values)
}

/// The group expressions without repetitions: one that is given twice is one column of the answer.
fn each_once(groups: &[Expr]) -> Vec<Expr> {
    let mut once: Vec<Expr> = vec![];
    for group in groups {
        if !once.contains(group) {
            once.push(group.clone());
        }
    }
    once
}

/// The exactness of every column of the aggregate's answer: group columns are exact, values as their function is.
fn exactness_of(aggregate: &Aggregate) -> Vec<Exactness> {
    let values = aggregate.aggr_expr.iter().map(|value| function(value).map_or(Exactness::Bits, Exactness::of));
    let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    std::iter::repeat_n(Exactness::Bits, groups).chain(values).collect()
}

/// The columns of a plan that is not analysed yet.
fn answer_schema(plan: &LogicalPlan) -> SchemaRef {
    let held = |field: &Field| field.clone().with_data_type(in_microseconds(field.data_type()));
    Arc::new(Schema::new(plan.schema().fields().iter().map(|field| held(field)).collect::<Vec<_>>()))
}

fn fields_of(plan: &LogicalPlan) -> Vec<Field> {
    plan.schema().fields().iter().map(|f| f.as_ref().clone()).collect()
}

fn leaf_schema<'a>(fields: impl Iterator<Item = &'a Field>) -> SchemaRef {
    let fields: Vec<Field> =
        fields.enumerate().map(|(i, f)| Field::new(leaf_column(i), f.data_type().clone(), true)).collect();
    Arc::new(Schema::new(fields))
}

fn finish_over(plan: &LogicalPlan, at: *const LogicalPlan, leaf: &SchemaRef) -> Result<LogicalPlan> {
    replace(plan, at, &|replaced| leaf_in_place_of(replaced, Arc::new(EmptyTable::new(Arc::clone(leaf)))))
}
