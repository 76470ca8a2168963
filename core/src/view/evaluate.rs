//! Evaluation of expressions whose failure affects one row: the failures that belong to a row, and the expression that
//! failed.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use datafusion::physical_plan::PhysicalExpr;

use crate::functions;

/// Whether the error can come from the values of a row. An error of the plan or of a file cannot.
pub(super) fn is_of_a_row(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => !matches!(
            error.as_ref(),
            ArrowError::IoError(..) | ArrowError::MemoryError(_) | ArrowError::SchemaError(_) | ArrowError::IpcError(_)
        ),
        // A batch that takes too much memory as a whole may fit in parts.
        DataFusionError::Execution(_)
        | DataFusionError::Plan(_)
        | DataFusionError::External(_)
        | DataFusionError::ResourcesExhausted(_) => true,
        _ => false,
    }
}

/// Whether no value of any row can make `expr` fail: comparisons of columns and constants, and their connectives.
pub(super) fn cannot_fail(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let compares = |binary: &BinaryExpr| {
        use Operator::{And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq, Or};
        matches!(binary.op(), Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom | And | Or)
    };
    let known = expr.is::<Column>()
        || expr.is::<Literal>()
        || expr.is::<NotExpr>()
        || expr.is::<IsNullExpr>()
        || expr.is::<IsNotNullExpr>()
        || expr.is::<InListExpr>()
        || expr.downcast_ref::<ScalarFunctionExpr>().is_some_and(|call| functions::never_fails(call.fun()))
        || expr.downcast_ref::<BinaryExpr>().is_some_and(compares);
    known && expr.children().into_iter().all(cannot_fail)
}

/// The message of an error, in one line and without its wrappers.
pub(super) fn message(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::ArrowError(error, _) => error.to_string(),
        DataFusionError::Execution(text) => text.clone(),
        other => other.strip_backtrace(),
    };
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Runs `future`; a panic in it becomes an error of execution.
pub(super) async fn caught<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    crate::catch_panic::while_waiting(future).await.unwrap_or_else(|said| Err(panicked(&said)))
}

/// The same for synchronous work.
pub(super) fn caught_now<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    crate::catch_panic::now(work).unwrap_or_else(|said| Err(panicked(&said)))
}

fn panicked(said: &str) -> DataFusionError {
    DataFusionError::Execution(format!("panicked: {said}"))
}

/// The innermost part of `expr` that fails on `row`, and the values that it reads there.
pub(super) fn failing(expr: &Arc<dyn PhysicalExpr>, row: &RecordBatch) -> Option<(String, String)> {
    if caught_now(|| expr.evaluate(row)).is_ok() {
        return None;
    }
    // A part of a lazy expression that fails alone need not have been evaluated.
    if !is_lazy(expr)
        && let Some(inner) = expr.children().into_iter().find_map(|child| failing(child, row))
    {
        return Some(inner);
    }
    Some((fmt_sql(expr.as_ref()).to_string(), values(expr, row)))
}

fn is_lazy(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let logical = |binary: &BinaryExpr| matches!(binary.op(), Operator::And | Operator::Or);
    expr.is::<CaseExpr>() || expr.downcast_ref::<BinaryExpr>().is_some_and(logical)
}

fn values(expr: &Arc<dyn PhysicalExpr>, row: &RecordBatch) -> String {
    let mut columns: Vec<_> = collect_columns(expr).into_iter().collect();
    columns.sort_by_key(|column| column.index());
    let options = FormatOptions::default().with_null("NULL");
    let shown = columns.iter().filter_map(|column| {
        let array = row.columns().get(column.index())?;
        let value = ArrayFormatter::try_new(array, &options).ok()?.value(0).try_to_string().ok()?;
        Some(format!("{} = {value}", column.name()))
    });
    shown.collect::<Vec<_>>().join(", ")
}
