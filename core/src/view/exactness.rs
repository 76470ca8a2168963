//! Exactness: how closely two foldings of the same rows agree, by aggregate function.

use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::AggregateFunction;

use crate::functions::aggregates;

/// The exactness of an answer, from best to worst: a view is as exact as its least exact aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exactness {
    /// Equal to the bit: counts, sums of every type, min, max, distinct sets, HLL, ordered values.
    Bits,
    /// Equal within the error of a sketch (t-digest).
    Sketch,
}

impl Exactness {
    /// Whether the aggregate function's state is a t-digest.
    pub(super) fn is_sketch(function: &str) -> bool {
        matches!(function, "approx_percentile_cont" | "approx_percentile_cont_with_weight" | "approx_median")
    }

    /// The exactness of one aggregate.
    pub(super) fn of(function: &AggregateFunction) -> Self {
        Self::of_function(function.func.name())
    }

    /// The exactness of the function with this name.
    pub(super) fn of_function(name: &str) -> Self {
        if Self::is_sketch(name) || aggregates::is_sketch(name) { Self::Sketch } else { Self::Bits }
    }
}

/// The aggregate function inside an expression of an aggregate node, below its aliases.
pub(super) fn function(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::AggregateFunction(function) => Some(function),
        Expr::Alias(alias) => function_of_box(&alias.expr),
        _ => None,
    }
}

fn function_of_box(expr: &Expr) -> Option<&AggregateFunction> {
    function(expr)
}
