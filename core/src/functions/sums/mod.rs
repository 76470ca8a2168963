//! Sums, averages, variances, covariances and regressions that are the same in every order.
//!
//! A float is an integer times a power of two, so a sum of floats is one too: it is kept exactly, without rounding,
//! and rounded once when it is asked for (Kulisch, "Computer Arithmetic and Validity", 2013; Neal, "Fast Exact
//! Summation Using Small and Large Superaccumulators", 2015). Squares and products are exact in the same way, so a
//! variance is a quotient of two exact integers. Whatever the order of rows and of merging, the bits are the same;
//! `sum`, `avg` and the variances are also the floats nearest to the true value.
//!
//! ```text
//! rows ─► Term ±m·2^e ─► Sums: per group a window of 128 or 256 bits ─► bytes: a state
//!                               └ values too far apart: Wide, any width ┘
//! ```

mod aggregate;
mod alone;
mod change;
mod distinct;
mod exact;
mod grouped;
mod integers;
mod moments;
mod numbers;
mod quick;
mod round;
mod statistic;
mod term;
mod whole;
mod wide;
mod window;

#[cfg(test)]
mod tests;

use datafusion::execution::context::SessionContext;

pub(super) use aggregate::Exactly;

/// Registers them under DataFusion's names.
pub(super) fn install(context: &SessionContext) {
    for function in aggregate::all() {
        context.register_udaf(function);
    }
}
