//! Ties in an aggregate's ORDER BY are decided by partition and offset, so that both layers pick the same row.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::foldable::Refusal;
use crate::record::column::{OFFSET, PARTITION};

/// `expression` of an aggregate node over `input`, with `_partition, _offset` appended to every ORDER BY.
///
/// DISTINCT aggregates stay as they are: equal values are one.
pub(super) fn break_ties(expression: Expr, input: &DFSchema) -> Result<Result<Expr, Refusal>> {
    let mut refusal = None;
    let rewritten = expression.transform_up(|expr| {
        let Expr::AggregateFunction(mut function) = expr else { return Ok(Transformed::no(expr)) };
        let sorts = &mut function.params.order_by;
        if sorts.is_empty() || function.params.distinct || function.func.supports_within_group_clause() {
            return Ok(Transformed::no(Expr::AggregateFunction(function)));
        }
        for name in [PARTITION, OFFSET] {
            let Some(column) = find(input, name) else {
                refusal = Some(Refusal {
                    message: format!(
                        "`{}()` cannot decide between rows that ORDER BY puts level",
                        function.func.name()
                    ),
                    hint: format!("select `{PARTITION}` and `{OFFSET}` in the subquery too"),
                });
                break;
            };
            let column = Expr::Column(column);
            if sorts.iter().all(|sort| sort.expr != column) {
                column.get_type(input)?;
                sorts.push(Sort::new(column, true, false));
            }
        }
        Ok(Transformed::yes(Expr::AggregateFunction(function)))
    })?;
    Ok(match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(rewritten.data),
    })
}

fn find(schema: &DFSchema, name: &str) -> Option<Column> {
    schema.columns().into_iter().find(|column| column.name == name)
}
