//! The order in which an aggregate takes its rows: where it matters, partition and offset decide ties, so that both
//! layers pick the same row; where it does not, ORDER BY is dropped.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, Sort};
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::foldable::Refusal;
use crate::record::column::{OFFSET, PARTITION};

/// Functions whose value depends on the order of rows.
pub(super) const ORDERED: [&str; 5] = ["first_value", "last_value", "nth_value", "array_agg", "string_agg"];

/// Whether the function with DISTINCT collects a set.
pub(super) fn is_set(function: &str) -> bool {
    matches!(function, "array_agg" | "string_agg")
}

/// `expression` of an aggregate node over `input`, with `_partition, _offset` appended to every ORDER BY.
///
/// A set is ordered by its values, as in PostgreSQL; a hash order would differ from process to process.
pub(super) fn break_ties(expression: Expr, input: &DFSchema) -> Result<Result<Expr, Refusal>> {
    let mut refusal = None;
    let rewritten = expression.transform_up(|expr| {
        let Expr::AggregateFunction(mut function) = expr else { return Ok(Transformed::no(expr)) };
        if function.func.supports_within_group_clause() {
            return Ok(Transformed::no(Expr::AggregateFunction(function)));
        }
        if !ORDERED.contains(&function.func.name()) {
            function.params.order_by.clear();
        } else if is_set(function.func.name()) && function.params.distinct {
            by_value(&mut function);
        } else if let Err(refused) = by_record(&mut function, input)? {
            refusal = Some(refused);
        }
        Ok(Transformed::yes(Expr::AggregateFunction(function)))
    })?;
    Ok(match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(rewritten.data),
    })
}

fn by_value(function: &mut AggregateFunction) {
    let params = &mut function.params;
    if let (true, Some(value)) = (params.order_by.is_empty(), params.args.first()) {
        params.order_by.push(Sort::new(value.clone(), true, false));
    }
}

fn by_record(function: &mut AggregateFunction, input: &DFSchema) -> Result<Result<(), Refusal>> {
    for name in [PARTITION, OFFSET] {
        let Some(column) = find(input, name) else {
            return Ok(Err(Refusal {
                message: format!("`{}()` cannot decide between rows that ORDER BY puts level", function.func.name()),
                hint: format!("select `{PARTITION}` and `{OFFSET}` in the subquery too"),
            }));
        };
        let column = Expr::Column(column);
        let sorts = &mut function.params.order_by;
        if sorts.iter().all(|sort| sort.expr != column) {
            column.get_type(input)?;
            sorts.push(Sort::new(column, true, false));
        }
    }
    Ok(Ok(()))
}

fn find(schema: &DFSchema, name: &str) -> Option<Column> {
    schema.columns().into_iter().find(|column| column.name == name)
}
