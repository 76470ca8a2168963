//! The lineage of an answer's columns: the aggregates that they come from, and so the exactness of each.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::exactness::Exactness;
use crate::view::split_plan::LEAF;

/// The exactness of every column of `plan`, whose input has columns of exactness `leaf`.
///
/// A node that is not known here makes all its columns as inexact as the least exact one below.
pub(super) fn columns(plan: &LogicalPlan, leaf: &[Exactness]) -> Vec<Exactness> {
    let width = plan.schema().fields().len();
    if let LogicalPlan::TableScan(scan) = plan {
        let of_leaf = scan.table_name.table() == LEAF && leaf.len() == width;
        return if of_leaf { leaf.to_vec() } else { vec![Exactness::Bits; width] };
    }
    let inputs = plan.inputs();
    let below: Vec<Exactness> = inputs.iter().flat_map(|input| columns(input, leaf)).collect();
    let [input] = inputs.as_slice() else { return vec![least(&below); width] };
    let of = |exprs: &[Expr]| exprs.iter().map(|expr| of_expression(expr, input.schema(), &below)).collect();
    let found: Vec<Exactness> = match plan {
        LogicalPlan::Projection(projection) => of(&projection.expr),
        LogicalPlan::Aggregate(aggregate) => of(&[aggregate.group_expr.clone(), aggregate.aggr_expr.clone()].concat()),
        LogicalPlan::Window(window) => [below.clone(), of(&window.window_expr)].concat(),
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::SubqueryAlias(_) => {
            below.clone()
        }
        _ => vec![],
    };
    if found.len() == width { found } else { vec![least(&below); width] }
}

fn least(columns: &[Exactness]) -> Exactness {
    columns.iter().copied().max().unwrap_or(Exactness::Bits)
}

fn of_expression(expr: &Expr, input: &DFSchema, columns: &[Exactness]) -> Exactness {
    let mut found = Exactness::Bits;
    let of_column = |column: &Column| {
        let index = input.maybe_index_of_column(column);
        index.and_then(|i| columns.get(i)).copied().unwrap_or_else(|| least(columns))
    };
    let walked = expr.apply(|expr| {
        found = found.max(match expr {
            Expr::Column(column) => of_column(column),
            // An aggregate above the cut, or over a window, is as exact as the function itself at best.
            Expr::AggregateFunction(call) => Exactness::of_function(call.func.name()),
            Expr::WindowFunction(call) => Exactness::of_function(call.fun.name()),
            _ => Exactness::Bits,
        });
        Ok(TreeNodeRecursion::Continue)
    });
    if walked.is_err() { least(columns) } else { found }
}
