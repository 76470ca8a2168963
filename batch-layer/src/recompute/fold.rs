//! The fold of one view's segments into the files of its states.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::DataFusionError;
use datafusion::execution::context::SessionContext;
use dovetail_core::manifest::ViewStates;
use dovetail_core::pipeline::Stream;
use dovetail_core::view::{FoldError, FoldedPiece, fold_table};
use metrics::counter;
use tokio::time::interval;

use super::RunError;
use super::progress::{Reporter, RowsRead};
use super::scan::LandedTable;
use crate::recompute::choose_cut::{MAX_DELTAS, ViewFoldPlan};
use crate::recompute::state_files;
use crate::recompute::state_files::{Output, StateWriter};
use crate::recompute::unreadable_segment::find_damaged;
use crate::recompute::view_errors::ErrorWriter;

/// Interval of progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Folds the segments of `fold` and writes the states. Dropping the future stops the work.
pub(crate) async fn fold_view(
    fold: &ViewFoldPlan,
    stream: &Arc<Stream>,
    output: &Output<'_>,
    context: &SessionContext,
    cores: usize,
    reporter: &Reporter,
) -> Result<ViewStates, RunError> {
    reporter.view(&fold.view.name);
    let table = LandedTable::new((stream, &fold.view), output.store, &fold.segments, cores);
    let rows_read = table.rows_read();
    let folding = fold_segments(fold, &table, output, context);
    let states = tokio::select! {
        states = folding => states,
        never = report_progress(fold, &rows_read, reporter) => match never {},
    };
    let states = match states {
        Err(RunError::Fold { view, why }) => {
            let damaged = find_damaged(output.store, &fold.segments).await;
            return Err(damaged.unwrap_or(RunError::Fold { view, why }));
        }
        states => states?,
    };
    counter!("dovetail_recompute_rows_total", "view" => fold.view.name.to_string()).increment(fold.rows());
    reporter.view_done(fold.rows(), fold.segments.len());
    Ok(states)
}

async fn report_progress(fold: &ViewFoldPlan, rows_read: &RowsRead, reporter: &Reporter) -> std::convert::Infallible {
    let mut ticks = interval(PROGRESS_INTERVAL);
    loop {
        ticks.tick().await;
        reporter.read(rows_read.get(), fold.rows(), fold.segments.len());
    }
}

async fn fold_segments(
    fold: &ViewFoldPlan,
    table: &LandedTable,
    output: &Output<'_>,
    context: &SessionContext,
) -> Result<ViewStates, RunError> {
    // A view of rows writes as it goes; a view that left rows out before may do so again.
    let places = !fold.view.is_aggregate() || fold.base.as_ref().is_some_and(|base| !base.errors.is_empty());
    match fold_once(fold, table, output, context, places).await {
        Err(FoldFailure::Unplaced) => fold_once(fold, table, output, context, true).await,
        folded => folded,
    }
    .map_err(|failed| match failed {
        FoldFailure::Unplaced => RunError::Fold { view: fold.view.name.clone(), why: FoldError::Unplaced.to_string() },
        FoldFailure::Run(error) => error,
    })
}

/// The reason why a fold failed.
enum FoldFailure {
    /// A row failed, and its partition and offset were not read.
    Unplaced,
    Run(RunError),
}

impl<E: Into<RunError>> From<E> for FoldFailure {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}

async fn fold_once(
    fold: &ViewFoldPlan,
    table: &LandedTable,
    output: &Output<'_>,
    context: &SessionContext,
    places: bool,
) -> Result<ViewStates, FoldFailure> {
    let view = &fold.view;
    let failed = |error: DataFusionError| RunError::fold(&view.name, &error);
    let stopped = |error| match error {
        FoldError::Unplaced => FoldFailure::Unplaced,
        FoldError::Row(error) => {
            let why = format!("partition {}: {error}", error.partition);
            FoldFailure::Run(RunError::Stopped { view: view.name.clone(), why })
        }
        error => FoldFailure::Run(RunError::Fold { view: view.name.clone(), why: error.to_string() }),
    };
    let mut writer = StateWriter::new(output, view, &fold.cut);
    let mut left_out = ErrorWriter::new(output, view, fold.base.as_ref().map(|base| &base.errors));
    let mut folded = fold_table(view, table, context, places).await.map_err(failed)?;
    let (mut files, mut deltas) = (vec![], vec![]);
    if view.is_aggregate() {
        let mut pieces = vec![];
        match &fold.base {
            Some(base) if base.deltas.len() < MAX_DELTAS => {
                files.clone_from(&base.files);
                deltas.clone_from(&base.deltas);
            }
            Some(base) => pieces = state_files::read(output.store, view, base).await?,
            None => {}
        }
        while let Some(piece) = folded.next().await.map_err(stopped)? {
            match piece {
                FoldedPiece::State(state) => pieces.extend(state),
                FoldedPiece::Errors(errors) => left_out.add(&errors).await?,
            }
        }
        let of = Arc::clone(view);
        let merged =
            tokio::task::spawn_blocking(move || state_files::merged(&of, &pieces)).await.map_err(RunError::from)?;
        writer.add(merged.map_err(failed)?).await?;
    } else {
        // States of rows are concatenated: the earlier files stay as they are.
        files.extend(fold.base.iter().flat_map(|base| base.files.clone()));
        while let Some(piece) = folded.next().await.map_err(stopped)? {
            match piece {
                FoldedPiece::State(rows) => writer.add(rows).await?,
                FoldedPiece::Errors(errors) => left_out.add(&errors).await?,
            }
        }
    }
    let beside = view.is_aggregate() && !files.is_empty();
    if beside { &mut deltas } else { &mut files }.extend(writer.finish().await?);
    let errors = left_out.finish().await?;
    Ok(ViewStates {
        fingerprint: view.fingerprint.clone(),
        stream: view.stream.clone(),
        topic: fold.topic.clone(),
        cut: fold.cut.clone(),
        rows: fold.base.as_ref().map_or(0, |base| base.rows) + fold.rows(),
        groups: files.iter().chain(&deltas).map(|file| file.rows).sum(),
        files,
        deltas,
        errors,
    })
}
