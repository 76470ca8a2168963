//! One zero and one NaN.
//!
//! IEEE 754 has two zeros and many NaNs, and arrow tells them apart by their bits: `0/0` makes another NaN than reading
//! "NaN" does, and both are groups of their own. PostgreSQL knows one of each. A rule makes floats so wherever they are
//! keys or compared: GROUP BY, DISTINCT, PARTITION BY, ORDER BY, joins, comparisons, `IN`, `CASE x WHEN`, and the
//! arguments of aggregates and of functions that compare.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::{
    AggregateFunction, Alias, Between, Case, GroupingSet, InList, ScalarFunction, Sort, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, ColumnarValue, Distinct, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::sums::Exactly;

/// `column` with one zero and one NaN, if it is one of floats.
pub(crate) fn one_of_each(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        // Adding zero to minus zero gives zero, and changes nothing else.
        DataType::Float64 => Arc::new(
            column
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|x| if x.is_nan() { f64::NAN } else { x + 0.0 }),
        ),
        DataType::Float32 => Arc::new(
            column
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|x| if x.is_nan() { f32::NAN } else { x + 0.0 }),
        ),
        _ => Arc::clone(column),
    }
}

/// Makes floats canonical in plans, where they are compared.
#[derive(Debug)]
pub(super) struct OneOfEach;

impl AnalyzerRule for OneOfEach {
    fn name(&self) -> &str {
        "one_zero_and_one_nan"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(node)?.data)
    }
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if matches!(plan, LogicalPlan::TableScan(_)) {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let compared = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let compared = expr.transform_up(|expr| inside(expr, &schema))?;
        Ok(compared.update_data(|expr| name.restore(expr)))
    })?;
    compared.transform_data(|plan| keys(plan, &schema))
}

/// The keys of the node itself.
fn keys(plan: LogicalPlan, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            let groups: Vec<Expr> = aggregate.group_expr.iter().map(|group| group_key(group.clone(), schema)).collect();
            if groups == aggregate.group_expr {
                return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
            }
            let rewritten = Aggregate::try_new(aggregate.input, groups, aggregate.aggr_expr)?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(rewritten)))
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
            let distinct: Vec<Expr> = columns.iter().map(|column| group_key(column.clone(), input.schema())).collect();
            if distinct == columns || is_one_of_each(&input) {
                return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input))));
            }
            let input = LogicalPlanBuilder::from(input).project(distinct)?.build()?;
            Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::All(Arc::new(input)))))
        }
        LogicalPlan::Sort(mut sort) => {
            let sorted: Vec<Sort> = sort.expr.iter().map(|by| sort_key(by.clone(), schema)).collect();
            let changed = sorted != sort.expr;
            sort.expr = sorted;
            Ok(Transformed::new_transformed(LogicalPlan::Sort(sort), changed))
        }
        LogicalPlan::Join(mut join) => {
            let on = join.on.iter().map(|(left, right)| (key(left.clone(), schema), key(right.clone(), schema)));
            let on: Vec<_> = on.collect();
            let changed = on != join.on;
            join.on = on;
            Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Whether a projection makes its floats canonical already.
fn is_one_of_each(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Projection(projection) = plan else { return false };
    projection.expr.iter().all(|expr| *expr == group_key(expr.clone(), projection.input.schema()))
}

/// A group key that keeps its name, because the nodes above use it.
fn group_key(expr: Expr, schema: &DFSchema) -> Expr {
    let all = |exprs: Vec<Expr>| exprs.into_iter().map(|expr| group_key(expr, schema)).collect::<Vec<_>>();
    match expr {
        Expr::GroupingSet(GroupingSet::Rollup(exprs)) => Expr::GroupingSet(GroupingSet::Rollup(all(exprs))),
        Expr::GroupingSet(GroupingSet::Cube(exprs)) => Expr::GroupingSet(GroupingSet::Cube(all(exprs))),
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
            Expr::GroupingSet(GroupingSet::GroupingSets(sets.into_iter().map(all).collect()))
        }
        Expr::Alias(Alias { expr, relation, name, metadata }) => {
            Expr::Alias(Alias { expr: Box::new(key(*expr, schema)), relation, name, metadata })
        }
        other => {
            let (relation, name) = other.qualified_name();
            match key(other.clone(), schema) {
                same if same == other => same,
                key => key.alias_qualified(relation, name),
            }
        }
    }
}

fn sort_key(sort: Sort, schema: &DFSchema) -> Sort {
    Sort { expr: key(sort.expr, schema), ..sort }
}

/// `expr` with one zero and one NaN, if it is a float.
fn key(expr: Expr, schema: &DFSchema) -> Expr {
    match &expr {
        Expr::Literal(ScalarValue::Float64(Some(x)), metadata) => {
            let x = if x.is_nan() { f64::NAN } else { x + 0.0 };
            return Expr::Literal(ScalarValue::Float64(Some(x)), metadata.clone());
        }
        Expr::Literal(ScalarValue::Float32(Some(x)), metadata) => {
            let x = if x.is_nan() { f32::NAN } else { x + 0.0 };
            return Expr::Literal(ScalarValue::Float32(Some(x)), metadata.clone());
        }
        Expr::Literal(..) => return expr,
        Expr::ScalarFunction(function) if function.func.name() == NAME => return expr,
        _ => {}
    }
    if !expr.get_type(schema).is_ok_and(|data_type| matches!(data_type, DataType::Float32 | DataType::Float64)) {
        return expr;
    }
    let function = Arc::new(ScalarUDF::new_from_impl(OneFloat::new()));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))
}

/// The operands of a comparison. A float column beside a number that has one representation only stays as it is, so
/// that files can be skipped by their statistics.
fn sides(exprs: Vec<Expr>, schema: &DFSchema) -> Vec<Expr> {
    let simple = exprs.iter().all(|expr| matches!(expr, Expr::Column(_)) || has_one_form(expr));
    let columns = exprs.iter().filter(|expr| matches!(expr, Expr::Column(_))).count();
    if simple && columns == 1 {
        return exprs;
    }
    exprs.into_iter().map(|expr| key(expr, schema)).collect()
}

/// Whether the expression is a number that is neither zero nor NaN, perhaps still to be cast to a float.
fn has_one_form(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(x)), _) => *x != 0.0 && !x.is_nan(),
        Expr::Literal(ScalarValue::Float32(Some(x)), _) => *x != 0.0 && !x.is_nan(),
        Expr::Literal(ScalarValue::Decimal128(Some(x), ..), _) => *x != 0,
        Expr::Literal(ScalarValue::Int64(Some(x)), _) => *x != 0,
        // Cast to an integer, it may become zero.
        Expr::Cast(cast) if cast.field.data_type().is_floating() => has_one_form(&cast.expr),
        Expr::Negative(of) => has_one_form(of),
        _ => false,
    }
}

/// Comparisons and keys inside an expression.
fn inside(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let before = expr.clone();
    let keys = |exprs: Vec<Expr>| exprs.into_iter().map(|expr| key(expr, schema)).collect::<Vec<_>>();
    let sorts = |sorts: Vec<Sort>| sorts.into_iter().map(|sort| sort_key(sort, schema)).collect::<Vec<_>>();
    let after = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let [left, right] = exactly(sides(vec![*left, *right], schema))?;
            Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let [expr, low, high] = exactly(sides(vec![*expr, *low, *high], schema))?;
            Expr::Between(Between { expr: Box::new(expr), negated, low: Box::new(low), high: Box::new(high) })
        }
        Expr::InList(InList { expr, mut list, negated }) => {
            list.insert(0, *expr);
            let mut list = sides(list, schema);
            let expr = Box::new(list.remove(0));
            Expr::InList(InList { expr, list, negated })
        }
        Expr::Case(Case { expr: Some(expr), when_then_expr, else_expr }) => {
            let branches = when_then_expr.into_iter().map(|(when, then)| (Box::new(key(*when, schema)), then));
            let when_then_expr = branches.collect();
            Expr::Case(Case { expr: Some(Box::new(key(*expr, schema))), when_then_expr, else_expr })
        }
        Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
            let counts = func.name() == "count" && !params.distinct;
            if !counts && !func.inner().is::<Exactly>() {
                params.args = keys(params.args);
            }
            params.order_by = sorts(params.order_by);
            Expr::AggregateFunction(AggregateFunction { func, params })
        }
        Expr::WindowFunction(mut window) => {
            let WindowFunction { fun, params } = window.as_mut();
            if matches!(fun.name(), "min" | "max") {
                params.args = keys(std::mem::take(&mut params.args));
            }
            params.partition_by = keys(std::mem::take(&mut params.partition_by));
            params.order_by = sorts(std::mem::take(&mut params.order_by));
            Expr::WindowFunction(window)
        }
        Expr::ScalarFunction(mut function) if matches!(function.func.name(), "nullif" | "greatest" | "least") => {
            function.args = keys(function.args);
            Expr::ScalarFunction(function)
        }
        other => return Ok(Transformed::no(other)),
    };
    let changed = after != before;
    Ok(Transformed::new_transformed(after, changed))
}

fn exactly<const N: usize>(exprs: Vec<Expr>) -> Result<[Expr; N]> {
    exprs.try_into().or_else(|_| internal_err!("an expression lost a side"))
}

fn compares(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

pub(super) const NAME: &str = "one_zero_and_one_nan";

/// A float with one zero and one NaN.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OneFloat {
    signature: Signature,
}

impl OneFloat {
    fn new() -> Self {
        let types = vec![DataType::Float32, DataType::Float64];
        Self { signature: Signature::uniform(1, types, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for OneFloat {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Float64))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.as_slice() {
            [ColumnarValue::Array(column)] => Ok(ColumnarValue::Array(one_of_each(column))),
            [ColumnarValue::Scalar(value)] => {
                let column = one_of_each(&value.to_array()?);
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?))
            }
            _ => internal_err!("`{NAME}` takes one argument"),
        }
    }
}
