//! Scalar subqueries over rows of the outer query: they give one row or none, and more are an error, as in PostgreSQL.
//! Where the subquery does not guarantee that by its form, the aggregate `single_row` counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, LogicalPlan, LogicalPlanBuilder, Signature, Subquery, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

/// Puts `single_row` above scalar subqueries that may give several rows.
#[derive(Debug)]
pub(super) struct SingleRows;

impl AnalyzerRule for SingleRows {
    fn name(&self) -> &str {
        "single_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let in_node = |plan: LogicalPlan| plan.map_expressions(|expr| expr.transform_up(counted));
        plan.transform_up_with_subqueries(in_node).map(|changed| changed.data)
    }
}

fn counted(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::ScalarSubquery(Subquery { subquery, outer_ref_columns, spans }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    if outer_ref_columns.is_empty() || subquery.schema().fields().len() != 1 || has_one_row(subquery) {
        return Ok(Transformed::no(expr));
    }
    let (table, field) = subquery.schema().qualified_field(0);
    let column = Expr::Column(Column::from((table, field.as_ref())));
    let single = AggregateUDF::new_from_impl(SingleRow::new()).call(vec![column]);
    let called = Expr::Column(Column::from_name(single.schema_name().to_string())).alias(field.name());
    let plan = LogicalPlanBuilder::from(unsorted(subquery).clone())
        .aggregate(Vec::<Expr>::new(), [single])?
        .project([called])?
        .build()?;
    Ok(Transformed::yes(Expr::ScalarSubquery(Subquery {
        subquery: Arc::new(plan),
        outer_ref_columns: outer_ref_columns.clone(),
        spans: spans.clone(),
    })))
}

/// The plan without its sort: the order of one row means nothing.
fn unsorted(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => unsorted(&sort.input),
        other => other,
    }
}

/// Whether the plan is an aggregate without groups, or limits its rows itself.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::Filter(filter) => has_one_row(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Sort(sort) => has_one_row(&sort.input),
        LogicalPlan::Limit(_) => true,
        other => other.max_rows().is_some_and(|rows| rows <= 1),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleRow {
    signature: Signature,
}

impl SingleRow {
    fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for SingleRow {
    fn name(&self) -> &str {
        "single_row"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single { value: ScalarValue::try_from(arguments.return_field.data_type())?, rows: 0 }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let value = Field::new("value", arguments.return_field.data_type().clone(), true);
        Ok(vec![Arc::new(value), Arc::new(Field::new("rows", DataType::Int64, false))])
    }
}

/// The value of the only row so far.
#[derive(Debug)]
struct Single {
    value: ScalarValue,
    rows: i64,
}

impl Single {
    fn counted(&mut self, rows: i64) -> Result<()> {
        self.rows += rows;
        match self.rows {
            ..=1 => Ok(()),
            _ => exec_err!("more than one row returned by a subquery used as an expression"),
        }
    }
}

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.counted(values[0].len() as i64)?;
        if !values[0].is_empty() {
            self.value = ScalarValue::try_from_array(&values[0], 0)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.value.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Int64(Some(self.rows))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states[1].as_primitive::<Int64Type>();
        for row in (0..rows.len()).filter(|row| rows.value(*row) > 0) {
            self.counted(rows.value(row))?;
            self.value = ScalarValue::try_from_array(&states[0], row)?;
        }
        Ok(())
    }
}
