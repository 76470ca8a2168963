//! The aggregate of a view, planned: its group and argument expressions and the schemas around them.

use std::sync::Arc;

use arrow::array::{Array, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::aggregates::{AggregateExec, PhysicalGroupBy};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::evaluate::caught_now;
use super::or_null::{expr_or_null, groups_or_null};
use super::{Exactness, nth_value};

/// The planned aggregate, one per view, shared by every [`super::table::Table`].
#[derive(Debug)]
pub(super) struct Aggregation {
    pub(super) group_by: Arc<PhysicalGroupBy>,
    /// Schema of the group columns in the table.
    pub(super) group_schema: SchemaRef,
    pub(super) functions: Vec<AggregateCall>,
    pub(super) state_schema: SchemaRef,
    pub(super) input_schema: SchemaRef,
}

/// One aggregate function with its arguments.
#[derive(Debug)]
pub(super) struct AggregateCall {
    expr: Arc<AggregateFunctionExpr>,
    /// Arguments, followed by the ORDER BY expressions.
    pub(super) arguments: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) filter: Option<Arc<dyn PhysicalExpr>>,
    /// Range of its columns in a state.
    pub(super) state_columns: std::ops::Range<usize>,
    /// Whether rows must reach it in the order of its ORDER BY.
    pub(super) needs_order: bool,
}

impl AggregateCall {
    /// The function's accumulator. Without group columns it is DataFusion's other implementation, which treats NaN
    /// differently.
    pub(super) fn accumulator(&self, grouped: bool) -> Result<Box<dyn GroupsAccumulator>> {
        if grouped && self.expr.groups_accumulator_supported() {
            return self.expr.create_groups_accumulator();
        }
        let expr = Arc::clone(&self.expr);
        if expr.fun().name() == "nth_value" {
            return Ok(Box::new(GroupsAccumulatorAdapter::new(move || nth_value::accumulator(&expr))));
        }
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || expr.create_accumulator())))
    }

    pub(super) fn order_by(&self) -> &[datafusion::physical_expr::PhysicalSortExpr] {
        self.expr.order_bys()
    }

    /// Number of `arguments` before the ORDER BY expressions.
    pub(super) fn plain_arguments(&self) -> usize {
        self.arguments.len() - self.order_by().len()
    }
}

impl Aggregation {
    /// Takes the expressions out of the aggregate nodes that `plans` hold nearest to their input. All have the same
    /// groups and input; each may have functions of its own.
    pub(super) fn from_plans(plans: &[Arc<dyn ExecutionPlan>]) -> Result<Self> {
        let mut nodes = plans.iter().map(lowest_aggregate);
        let Some(first) = nodes.next().flatten() else {
            return internal_err!("the aggregate was planned without an aggregate node");
        };
        let input_schema = first.input().schema();
        let group_by = Arc::new(first.group_expr().clone());
        let group_schema = group_by.group_schema(&input_schema)?;
        let mut fields: Vec<Field> = group_schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        let mut functions = vec![];
        for node in std::iter::once(Some(first)).chain(nodes) {
            let Some(node) = node else { return internal_err!("an aggregate was planned without an aggregate node") };
            for (expr, filter) in node.aggr_expr().iter().zip(node.filter_expr()) {
                let start = fields.len();
                fields.extend(expr.state_fields()?.iter().map(|f| f.as_ref().clone()));
                let mut arguments = expr.expressions();
                arguments.extend(expr.order_bys().iter().map(|sort| Arc::clone(&sort.expr)));
                functions.push(AggregateCall {
                    needs_order: expr.order_sensitivity() == AggregateOrderSensitivity::HardRequirement,
                    expr: Arc::clone(expr),
                    arguments,
                    filter: filter.clone(),
                    state_columns: start..fields.len(),
                });
            }
        }
        Ok(Self { group_by, group_schema, functions, state_schema: nullable_schema(fields), input_schema })
    }

    /// The same with expressions that are NULL where they fail.
    pub(super) fn or_null(mut self) -> Result<Self> {
        self.group_by = Arc::new(groups_or_null(&self.group_by)?);
        self.group_schema = self.group_by.group_schema(&self.input_schema)?;
        for function in &mut self.functions {
            function.arguments = function.arguments.iter().map(expr_or_null).collect::<Result<_>>()?;
            function.filter = function.filter.as_ref().map(expr_or_null).transpose()?;
        }
        Ok(self)
    }

    /// All expressions that are evaluated over a row.
    pub(super) fn expressions(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        let functions = self.functions.iter().flat_map(|f| f.arguments.iter().chain(&f.filter));
        self.group_by.input_exprs().into_iter().chain(functions.cloned()).collect()
    }

    /// The first function that cannot be folded: DataFusion plans some without an accumulator for their arguments, or
    /// with a state of another type than declared.
    pub(super) fn cannot_fold(&self) -> Option<(usize, DataFusionError)> {
        let tried = self.functions.iter().map(|function| caught_now(|| self.try_out(function)));
        tried.enumerate().find_map(|(i, tried)| Some((i, tried.err()?)))
    }

    /// Folds and finishes a group of one row that has NULL everywhere. A group without rows would not do, because
    /// accumulators may divide by its count.
    fn try_out(&self, function: &AggregateCall) -> Result<()> {
        let grouped = self.group_columns() > 0;
        let arguments = function.arguments.iter().map(|a| Ok(new_null_array(&a.data_type(&self.input_schema)?, 1)));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let mut folded = function.accumulator(grouped)?;
        folded.update_batch(&arguments, &[0], None, 1)?;
        let state = folded.state(EmitTo::All)?;
        let expected = &self.state_schema.fields()[function.state_columns.clone()];
        let same =
            state.len() == expected.len() && state.iter().zip(expected).all(|(s, e)| s.data_type() == e.data_type());
        if !same {
            let types: Vec<_> = state.iter().map(|column| column.data_type().to_string()).collect();
            return internal_err!("its state is of the types {}", types.join(", "));
        }
        let mut merged = function.accumulator(grouped)?;
        merged.merge_batch(&state, &[0], 1)?;
        let answer = merged.evaluate(EmitTo::All)?;
        if answer.data_type() != function.expr.field().data_type() {
            return internal_err!("its value is of the type {}", answer.data_type());
        }
        Ok(())
    }

    /// Number of leading group columns in a state.
    pub(super) fn group_columns(&self) -> usize {
        self.group_schema.fields().len()
    }

    /// The ranges of state columns of each t-digest.
    pub(super) fn sketches(&self) -> Vec<std::ops::Range<usize>> {
        let sketches = self.functions.iter().filter(|f| Exactness::is_sketch(f.expr.fun().name()));
        sketches.map(|function| function.state_columns.clone()).collect()
    }

    /// Schema of the finished aggregate: group columns, then one value per function.
    pub(super) fn answer_fields(&self) -> Vec<Field> {
        let groups = self.group_schema.fields().iter().map(|f| f.as_ref().clone());
        groups.chain(self.functions.iter().map(|f| f.expr.field().as_ref().clone())).collect()
    }
}

/// A schema with nullable columns of distinct names, as Parquet needs it.
pub(super) fn nullable_schema(fields: Vec<Field>) -> SchemaRef {
    let mut names = std::collections::HashMap::<String, usize>::new();
    let fields: Vec<Field> = fields
        .into_iter()
        .map(|field| {
            let seen = names.entry(field.name().clone()).or_default();
            *seen += 1;
            let name = if *seen == 1 { field.name().clone() } else { format!("{} #{seen}", field.name()) };
            Field::new(name, field.data_type().clone(), true)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn lowest_aggregate(plan: &Arc<dyn ExecutionPlan>) -> Option<&AggregateExec> {
    plan.children().into_iter().find_map(lowest_aggregate).or_else(|| plan.downcast_ref::<AggregateExec>())
}
