//! How exactly two foldings of the same rows agree, by aggregate function.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::AggregateFunction;

/// Ordered from best to worst: a view is as exact as its least exact aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exactness {
    /// Identical to the bit: integers, decimals, min, max, counts, distinct sets, HLL, ordered values.
    Bits,
    /// Sums of floats: the last digits depend on the order of merging.
    Float,
    /// Sketches (t-digest): within their error.
    Sketch,
}

impl Exactness {
    /// Whether the aggregate function's state is a t-digest.
    pub(super) fn is_sketch(function: &str) -> bool {
        matches!(function, "approx_percentile_cont" | "approx_percentile_cont_with_weight" | "approx_median")
    }

    /// Of one aggregate whose value has type `value` and whose first argument has type `argument`.
    pub(super) fn of(function: &AggregateFunction, argument: Option<&DataType>, value: &DataType) -> Self {
        Self::of_function(function.func.name(), argument, value)
    }

    /// The same, of the function with this name.
    pub(super) fn of_function(name: &str, argument: Option<&DataType>, value: &DataType) -> Self {
        match name {
            name if Self::is_sketch(name) => Self::Sketch,
            "sum" | "avg" | "mean" if value.is_floating() || argument.is_some_and(DataType::is_floating) => Self::Float,
            "stddev" | "stddev_pop" | "stddev_samp" | "var" | "var_pop" | "var_samp" | "var_population"
            | "var_sample" | "covar" | "covar_pop" | "covar_samp" | "corr" => Self::Float,
            name if name.starts_with("regr_") => Self::Float,
            _ => Self::Bits,
        }
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
