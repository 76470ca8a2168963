//! The cut of a view's logical plan at its lowest aggregate.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScanBuilder, col, ident};

/// Name of the finish plan's input table.
pub(super) const LEAF: &str = "__finished";

/// Name of its `i`-th column.
pub(super) fn leaf_column(i: usize) -> String {
    format!("c{i}")
}

/// A scan of `leaf` whose columns are named and qualified as those of `replaced`, so that the plan above `replaced` can
/// use it instead.
pub(super) fn leaf_in_place_of(replaced: &LogicalPlan, leaf: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = replaced
        .schema()
        .iter()
        .enumerate()
        .map(|(i, (qualifier, field))| ident(leaf_column(i)).alias_qualified(qualifier.cloned(), field.name()))
        .collect();
    LogicalPlanBuilder::scan(LEAF, provider_as_source(leaf), None)?.project(columns)?.build()
}

/// `plan` with its input table replaced by `leaf`.
pub(super) fn with_leaf(plan: &LogicalPlan, leaf: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
    with_table(plan, LEAF, leaf)
}

/// `plan` with every scan of the table `name` reading from `table` instead, which has the same columns.
pub(super) fn with_table(plan: &LogicalPlan, name: &str, table: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
    let replaced = plan.clone().transform_up_with_subqueries(|node| match node {
        LogicalPlan::TableScan(scan) if scan.table_name.table() == name => {
            let source = provider_as_source(Arc::clone(&table));
            let scan = TableScanBuilder::new(scan.table_name, source)
                .with_projection(scan.projection)
                .with_filters(scan.filters)
                .with_fetch(scan.fetch)
                .build()?;
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

/// `input` reduced to the columns that `expressions` read, so that a scan below reads no more than that.
pub(super) fn only_columns_of(input: LogicalPlan, expressions: &[Expr]) -> Result<LogicalPlan> {
    let mut wanted = std::collections::HashSet::new();
    for expression in expressions {
        expression.add_column_refs(&mut wanted);
    }
    let columns: Vec<Expr> =
        input.schema().columns().into_iter().filter(|column| wanted.contains(&column)).map(col).collect();
    LogicalPlanBuilder::from(input).project(columns)?.build()
}

/// The table names that `plan` scans, in subqueries too.
pub(super) fn scanned_tables(plan: &LogicalPlan) -> Result<Vec<TableReference>> {
    let mut names = vec![];
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.push(scan.table_name.clone());
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    Ok(names)
}
