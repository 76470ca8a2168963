//! What SQL means here where DataFusion's own answer would wrap, round by accident or depend on the order of rows:
//! installed in every context that plans views or queries, so that both mean the same. Aggregates beyond DataFusion's,
//! and the guards around its scalar functions.

pub mod aggregates;
mod arithmetic;
mod canonical_float;
mod distinct_rule;
pub mod guard;
mod min_max;
mod sums;
#[cfg(test)]
mod tests;

use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::ScalarUDF;

/// Names the definitions below: states that were folded by others never meet those that are folded now.
pub(crate) const ALGEBRA: &str = "exact sums 1";

/// Makes `context` plan with this crate's aggregates and arithmetic in place of DataFusion's.
pub fn install(context: &SessionContext) {
    sums::install(context);
    aggregates::register(context);
    min_max::install(context);
    context.add_analyzer_rule(std::sync::Arc::new(arithmetic::Checked));
    context.add_analyzer_rule(std::sync::Arc::new(canonical_float::OneOfEach));
    distinct_rule::install(context);
}

/// Whether no value can make `function` fail.
pub(crate) fn never_fails(function: &ScalarUDF) -> bool {
    function.name() == canonical_float::NAME
}
