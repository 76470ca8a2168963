//! The calls of an expression, guarded.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};

use super::{call, guarded};
use crate::functions::guard::Allowance;
use crate::functions::guard::concat::Concat;

/// `expr` guarded, if it is a call; its arguments are left as they are.
pub(in crate::functions::guard) fn around(
    expr: Expr,
    schema: &DFSchema,
    allowance: &Arc<dyn Allowance>,
) -> Result<Transformed<Expr>> {
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
