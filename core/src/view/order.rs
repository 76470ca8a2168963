//! The order in which an aggregate takes its rows: where it matters, partition and offset decide ties, so that both
//! layers pick the same row; where it does not, ORDER BY is dropped.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Sort};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable};

use super::exactness::function;
use super::refusal::{Refusal, refuse};
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

/// Refuses functions whose value depends on the order of rows when no order is given.
pub(super) fn order_is_given(aggregate: &Aggregate) -> Result<(), Refusal> {
    for function in aggregate.aggr_expr.iter().filter_map(function) {
        let name = function.func.name();
        if name == "any_value" {
            return refuse(
                "`any_value()` may answer differently in each layer",
                "write first_value(x ORDER BY _offset) or min(x)",
            );
        }
        let params = &function.params;
        let is_nested = |expr: &Expr| expr.get_type(aggregate.input.schema()).is_ok_and(|t| t.is_nested());
        if matches!(name, "min" | "max") && params.args.first().is_some_and(is_nested) {
            return refuse(
                format!("`{name}()` of a list or a struct cannot be folded: with NULLs in them they have no order"),
                "take it of an element or a field",
            );
        }
        if !ORDERED.contains(&name) {
            continue;
        }
        if is_set(name) && params.distinct {
            let by_itself = params.order_by.iter().all(|sort| params.args.first() == Some(&sort.expr));
            if params.order_by.len() > 1 || !by_itself {
                return refuse(
                    format!("`{name}(DISTINCT x ORDER BY y)`: equal values of x are one, whatever their y"),
                    format!("write {name}(DISTINCT x ORDER BY x)"),
                );
            }
            continue;
        }
        if params.distinct {
            return refuse(format!("DISTINCT means nothing to `{name}()`"), "leave it out");
        }
        if name == "nth_value" && !params.args.get(1).is_some_and(counts_from_one) {
            return refuse(
                "the n of `nth_value(x, n)` is not a number that counts from 1, or from -1 backwards",
                "write it out: nth_value(x, 2 ORDER BY _offset)",
            );
        }
        if params.order_by.iter().any(|sort| is_nested(&sort.expr)) {
            return refuse(
                format!("`{name}()` cannot ORDER BY a list or a struct: with NULLs in them they have no order"),
                "order by an element or a field",
            );
        }
        if params.order_by.is_empty() {
            return refuse(
                format!("`{name}()` without ORDER BY depends on the order in which rows are folded"),
                format!("write {name}(.. ORDER BY _offset) or another column"),
            );
        }
    }
    Ok(())
}

fn counts_from_one(n: &Expr) -> bool {
    matches!(n, Expr::Literal(ScalarValue::Int64(Some(n)), _) if *n != 0)
}
