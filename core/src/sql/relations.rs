//! Relations in FROM that are no tables: EXCEPT ALL and INTERSECT ALL, and functions of one value.

use datafusion::common::{Column, Result, plan_err};
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, ident};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Select, SelectItem, SetExpr,
    TableAlias, TableFactor, TableFunctionArgs,
};

use super::syntax::{call, query_of};

pub(super) const EXCEPT_ALL: &str = "except_all_of";
pub(super) const INTERSECT_ALL: &str = "intersect_all_of";

#[derive(Debug)]
pub(super) struct Relations;

impl RelationPlanner for Relations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { name, alias, args: Some(arguments), .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let name = function_name(name);
        if name == EXCEPT_ALL || name == INTERSECT_ALL {
            let plan = set_operation(&name, arguments, context)?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))));
        }
        let is_table_function = matches!(name.as_str(), "generate_series" | "range" | "unnest");
        if is_table_function || context.context_provider().get_function_meta(&name).is_none() {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        let plan = context.plan(value_of(&name, arguments, alias.as_ref()))?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}

fn function_name(name: &ObjectName) -> String {
    name.0.last().and_then(ObjectNamePart::as_ident).map(|name| name.value.to_lowercase()).unwrap_or_default()
}

fn expressions(arguments: &TableFunctionArgs) -> Vec<SqlExpr> {
    let expr = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    arguments.args.iter().filter_map(expr).collect()
}

/// Rewrites `FROM f(x) AS s` as `FROM (SELECT f(x) AS s) AS s`.
fn value_of(name: &str, arguments: &TableFunctionArgs, alias: Option<&TableAlias>) -> TableFactor {
    let value = call(name, expressions(arguments));
    let column = alias.map_or_else(|| Ident::new(name), |alias| alias.name.clone());
    let select = Select {
        projection: vec![SelectItem::ExprWithAlias { expr: value, alias: column }],
        from: vec![],
        ..super::syntax::nothing()
    };
    let subquery = Box::new(query_of(SetExpr::Select(Box::new(select))));
    TableFactor::Derived { lateral: false, subquery, alias: None, sample: None }
}

fn set_operation(
    name: &str,
    arguments: &TableFunctionArgs,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let mut sides = vec![];
    for side in expressions(arguments) {
        let SqlExpr::Subquery(subquery) = side else { return plan_err!("`{name}` is no function") };
        sides.push(context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })?);
    }
    let (Some(right), Some(left), None) = (sides.pop(), sides.pop(), sides.pop()) else {
        return plan_err!("`{name}` is no function");
    };
    let names: Vec<String> = left.schema().fields().iter().map(|field| field.name().clone()).collect();
    if names.len() != right.schema().fields().len() {
        return plan_err!("each side of EXCEPT and INTERSECT must have the same number of columns");
    }
    let (left, right) = (numbered(left)?, numbered(right)?);
    let rows = match name {
        EXCEPT_ALL => LogicalPlanBuilder::except(left, right, true)?,
        _ => LogicalPlanBuilder::intersect(left, right, true)?,
    };
    let columns: Vec<Expr> = rows
        .schema()
        .iter()
        .zip(&names)
        .map(|((table, field), name)| Expr::Column(Column::from((table, field.as_ref()))).alias(name))
        .collect();
    LogicalPlanBuilder::from(rows).project(columns)?.build()
}

/// Numbers each row among the rows equal to it, so that the second of two equal rows differs from the first.
fn numbered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .enumerate()
        .map(|(i, (table, field))| Expr::Column(Column::from((table, field.as_ref()))).alias(format!("c{i}")))
        .collect();
    let names: Vec<Expr> = (0..columns.len()).map(|i| ident(format!("c{i}"))).collect();
    let number = row_number().partition_by(names.clone()).build()?;
    let called = Expr::Column(Column::from_name(number.schema_name().to_string())).alias("number");
    let rows = LogicalPlanBuilder::from(plan).project(columns)?.window([number])?;
    rows.project(names.into_iter().chain([called]))?.build()
}
