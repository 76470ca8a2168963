//! Aggregate functions beyond DataFusion's. All of them fold: their states merge in any order, to the same answer to
//! the bit, except those of sketches that say so.
//!
//! | function | answer | state |
//! |---|---|---|
//! | `mode(x)` | the most frequent value, of several the least | all values and how often each came |
//! | `histogram(x)` | all values in their order, and how often each came | the same |
//! | `max_by(x, y)`, `min_by(x, y)` | `x` where `y` is greatest or least; of several the greatest or least | `x` and `y` |
//! | `approx_top_k(x, k)` | the most frequent values, with bounds | a sketch (Misra and Gries) |
//! | `approx_distinct(x)` | as DataFusion's, also of floats | a sketch (HyperLogLog) |
//! | `approx_distinct_bounds(x)` | the same with bounds | the same |
//! | `approx_percentile_bounds(x, p)` | a percentile with bounds | a sketch (t-digest) |
//! | `avg(x)` of times | the mean instant, rounded down | exact sum and count |

mod average;
mod by;
mod counts;
mod distinct;
mod percentile;
mod top;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::AggregateUDF;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::physical_expr::expressions::Literal;

/// Registers these aggregates; `avg` replaces the one that is registered.
pub fn register(context: &SessionContext) {
    let avg = context.state().aggregate_functions().get("avg").cloned();
    if let Some(avg) = avg {
        context.register_udaf(AggregateUDF::new_from_impl(average::Average::over(avg)));
    }
    context.register_udaf(AggregateUDF::new_from_impl(counts::Counts::mode()));
    context.register_udaf(AggregateUDF::new_from_impl(counts::Counts::histogram()));
    context.register_udaf(AggregateUDF::new_from_impl(by::By::greatest()));
    context.register_udaf(AggregateUDF::new_from_impl(by::By::least()));
    context.register_udaf(AggregateUDF::new_from_impl(top::Top::new()));
    context.register_udaf(AggregateUDF::new_from_impl(distinct::DistinctCount::estimate()));
    context.register_udaf(AggregateUDF::new_from_impl(distinct::DistinctCount::with_bounds()));
    context.register_udaf(AggregateUDF::new_from_impl(percentile::Percentile::new()));
}

/// Whether the function is a sketch whose answers depend on the order of merging.
pub fn is_sketch(function: &str) -> bool {
    matches!(function, "approx_top_k" | "approx_percentile_bounds")
}

/// Floats with one bit pattern for each number: IEEE 754 has many NaNs, and two zeros.
fn canonical(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            Arc::new(values.unary::<_, Float64Type>(|x| if x.is_nan() { f64::NAN } else { x + 0.0 }))
        }
        DataType::Float32 => {
            let values = values.as_primitive::<Float32Type>();
            Arc::new(values.unary::<_, Float32Type>(|x| if x.is_nan() { f32::NAN } else { x + 0.0 }))
        }
        _ => Arc::clone(values),
    }
}

/// The bits of floats as integers; other columns stay as they are.
fn bits(values: &ArrayRef) -> ArrayRef {
    let values = canonical(values);
    match values.data_type() {
        DataType::Float64 => {
            Arc::new(values.as_primitive::<Float64Type>().unary::<_, Int64Type>(|x| x.to_bits().cast_signed()))
        }
        DataType::Float32 => {
            Arc::new(values.as_primitive::<Float32Type>().unary::<_, Int64Type>(|x| i64::from(x.to_bits())))
        }
        _ => values,
    }
}

/// The value of an argument that has to be a constant.
fn constant(args: &AccumulatorArgs<'_>, argument: usize) -> Option<ScalarValue> {
    args.exprs.get(argument)?.downcast_ref::<Literal>().map(|literal| literal.value().clone())
}

/// Refuses DISTINCT, which these functions would ignore.
fn refuse_distinct(args: &AccumulatorArgs<'_>) -> Result<()> {
    match args.is_distinct {
        true => plan_err!("`{}` does not take DISTINCT", args.name),
        false => Ok(()),
    }
}
