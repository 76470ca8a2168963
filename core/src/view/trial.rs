//! The trial of a view before its first record: it is folded, merged and finished over generated rows, also through the
//! Parquet form of its states.
//!
//! A failure here is one for all records: a state of an undeclared type, an operator that does not exist. A row that
//! fails because of its values (`100 / x` with a zero) does not count, as long as another can be folded: the view's
//! handling of errors is for such rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::evaluate::{caught, caught_now, message};
use super::planning_config::planning_config;
use super::refusal::Refusal;
use super::{FoldError, Folder, View, ViewError, sort_state};
use crate::stored;
use crate::view::sample_rows;
use crate::view::sample_rows::{NULLS, PLAIN};

/// The result of a trial without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Every step succeeded.
    Passed,
    /// The time limit passed; the steps so far succeeded.
    OutOfTime,
}

/// Time limit of one view's trial.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// Functions whose result grows with the value of a number; they are tried with small numbers.
const GROWING: [&str; 10] = [
    "array_repeat",
    "array_resize",
    "generate_series",
    "list_repeat",
    "list_resize",
    "lpad",
    "range",
    "repeat",
    "rpad",
    "space",
];

/// Tries `view` over generated rows of its stream, whose decoded rows have `schema`.
///
/// # Errors
/// When no row at all can be folded, or when a step fails as a whole.
pub async fn try_out(view: &Arc<View>, schema: &SchemaRef) -> Result<Trial, ViewError> {
    match tokio::time::timeout(TRIAL_TIMEOUT, run(view, schema)).await {
        Ok(Ok(())) => Ok(Trial::Passed),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(Trial::OutOfTime),
    }
}

async fn run(view: &Arc<View>, schema: &SchemaRef) -> Result<(), ViewError> {
    let rows = sample_rows::rows(schema, !view.grows)?;
    let states = fold(view, &rows).await?;
    let plain = states.iter().filter(|(row, _)| [NULLS, PLAIN].contains(row));
    let plain: Vec<RecordBatch> = plain.flat_map(|(_, state)| state.clone()).collect();
    let all: Vec<RecordBatch> = states.into_iter().flat_map(|(_, state)| state).collect();
    // Extremes together may exceed an accumulator, which is their fault; plain values do not.
    for (states, is_plain) in [(&all, false), (&plain, true)] {
        match caught_now(|| merge_and_finish(view, states)) {
            Ok(finished) => answer(view, finished).await.or_else(unless_of_values)?,
            Err(error) if is_plain => return Err(failed("merged", message(&error))),
            Err(error) => unless_of_values(error)?,
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Folds each row alone; returns the states of those that could be folded.
async fn fold(view: &Arc<View>, rows: &RecordBatch) -> Result<Vec<(usize, Vec<RecordBatch>)>, ViewError> {
    let (mut states, mut first) = (vec![], None);
    for row in 0..rows.num_rows() {
        let mut folder = Folder::new(view)?;
        match folder.fold(&rows.slice(row, 1)).await {
            Ok(()) if folder.errors().is_empty() => states.push((row, folder.take_state()?)),
            Ok(()) => first = first.or_else(|| folder.take_errors().listed.pop()),
            Err(FoldError::Row(error)) => first = first.or(Some(error)),
            Err(FoldError::Plan(error)) => return Err(failed("folded", message(&error))),
            Err(error @ FoldError::Unplaced) => return Err(failed("folded", error)),
        }
        // The time limit is checked between two rows.
        tokio::task::yield_now().await;
    }
    match first {
        Some(error) if states.is_empty() => Err(failed("folded", format!("`{}`: {}", error.expression, error.error))),
        _ => Ok(states),
    }
}

/// Merges and finishes `states` in either order, and once more after writing and reading them.
fn merge_and_finish(view: &Arc<View>, states: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
    let merged = view.merge(states)?;
    view.finish(&through_parquet(view, &sort_state(view, &merged)?)?, None)?;
    let backwards: Vec<RecordBatch> = states.iter().rev().cloned().collect();
    view.finish(&[view.merge(&backwards)?, through_parquet(view, states)?].concat(), None)?;
    view.finish(states, None)
}

fn through_parquet(view: &View, states: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
    let mut file = vec![];
    let schema = stored::schema(&view.state_schema());
    let mut writer = ArrowWriter::try_new(&mut file, Arc::clone(&schema), None)?;
    for state in states {
        writer.write(&stored::fitted(state, &schema)?)?;
    }
    writer.close()?;
    let batches = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file))?.build()?;
    batches.map(|batch| Ok(stored::fitted(&batch?, &view.state_schema())?)).collect()
}

/// Runs the part of the SQL above the aggregate.
async fn answer(view: &View, finished: Vec<RecordBatch>) -> Result<()> {
    let leaf = MemTable::try_new(view.leaf_schema(), vec![finished])?;
    let context = SessionContext::new_with_config(planning_config());
    let plan = view.answer_plan(Arc::new(leaf))?;
    caught(async { context.execute_logical_plan(plan).await?.collect().await }).await.map(|_| ())
}

fn failed(step: &str, error: impl std::fmt::Display) -> ViewError {
    let hint = "the view would stop at its first record: write the expression in another way, or cast its types";
    ViewError::Refused(Refusal { message: format!("made-up rows cannot be {step}: {error}"), hint: hint.to_owned() })
}

/// Above the aggregate an error of values, such as a division by zero, is one of the answer; a wrong type is one of the
/// view.
fn unless_of_values(error: DataFusionError) -> Result<(), ViewError> {
    let of_values = match error.find_root() {
        DataFusionError::ArrowError(error, _) => !matches!(
            error.as_ref(),
            ArrowError::SchemaError(_) | ArrowError::NotYetImplemented(_) | ArrowError::InvalidArgumentError(_)
        ),
        DataFusionError::Execution(_) | DataFusionError::ResourcesExhausted(_) | DataFusionError::External(_) => true,
        _ => false,
    };
    if of_values { Ok(()) } else { Err(failed("answered", message(&error))) }
}

/// Whether the plan calls a function whose result grows with a number.
pub(super) fn grows(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= matches!(expr, Expr::ScalarFunction(call) if GROWING.contains(&call.func.name()));
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    found || walked.is_err()
}
