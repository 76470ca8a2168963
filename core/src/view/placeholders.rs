//! Scalar functions that exist only until a plan is optimised, such as `arrow_cast`: replaced by their simplified form.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

/// `expressions` over `input` with their scalar functions simplified. The aggregates around them keep their shape.
pub(super) fn replaced(expressions: Vec<Expr>, input: &DFSchemaRef) -> Result<Vec<Expr>> {
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::clone(input)).build());
    let replace = |expression: Expr| match expression {
        function @ Expr::ScalarFunction(_) => {
            Ok(Transformed::new(simplifier.simplify(function)?, true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    };
    expressions.into_iter().map(|expression| Ok(expression.transform_down(replace)?.data)).collect()
}
