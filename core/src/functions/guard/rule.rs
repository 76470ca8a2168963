//! Guards all calls of a plan, before anything is simplified.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use super::Allowance;
use super::concat::Concat;
use super::guarded::{call, guarded};

/// An analyzer rule that runs the functions of a plan within an [`Allowance`]. It has to be the last one, after the
/// rules that give arguments their types.
#[derive(Debug)]
pub struct Guard(pub Arc<dyn Allowance>);

impl AnalyzerRule for Guard {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            node.map_expressions(|expr| expr.transform_up(|expr| around(expr, &schema, &self.0)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "guard"
    }
}

fn around(expr: Expr, schema: &DFSchema, allowance: &Arc<dyn Allowance>) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarFunction(function) => Ok(Transformed::yes(call(guarded(function.func, allowance), function.args))),
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => {
            let types = (binary.left.get_type(schema), binary.right.get_type(schema));
            match types {
                (Ok(left), Ok(right)) if left == right && is_text(&left) => {
                    let concat = guarded(Concat::function(), allowance);
                    Ok(Transformed::yes(call(concat, vec![*binary.left, *binary.right])))
                }
                _ => Ok(Transformed::no(Expr::BinaryExpr(binary))),
            }
        }
        other => Ok(Transformed::no(other)),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// All calls in `expr` guarded.
pub(super) fn around_calls(expr: Expr, allowance: &Arc<dyn Allowance>) -> Result<Expr> {
    let schema = DFSchema::empty();
    expr.transform_up(|expr| around(expr, &schema, allowance)).data()
}
