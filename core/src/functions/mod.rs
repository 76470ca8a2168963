//! Functions and aggregates in place of DataFusion's where those wrap, round by accident or depend on the order of
//! rows. They are installed in every context that plans views or queries, so that both mean the same. Also aggregates
//! beyond DataFusion's, and the guards around its scalar functions.

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

/// Version of the definitions below: states folded by other definitions never meet states folded by these.
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
