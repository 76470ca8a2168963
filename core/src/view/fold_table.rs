//! Folding of a whole table of the stream's rows, with as many tasks as its scan has partitions.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::JoinSet;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::ExecutionPlanProperties;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::View;
use super::fold::{FoldError, Folder};
use super::row_errors::RowErrors;

/// Pieces that may wait for their reader.
const AHEAD: usize = 4;

/// A piece of the result of a fold.
#[derive(Debug)]
pub enum FoldedPiece {
    /// A state of some of the rows; for a view of rows, the rows themselves.
    State(Vec<RecordBatch>),
    /// Rows that were left out.
    Errors(RowErrors),
}

/// A table that is being folded. Dropping it stops the work.
#[derive(Debug)]
pub struct TableFold {
    tasks: JoinSet<Result<(), FoldError>>,
    pieces: mpsc::Receiver<FoldedPiece>,
}

impl TableFold {
    /// The next piece; `None` at the end. States of an aggregate are not merged: there is one for each task.
    ///
    /// # Errors
    /// When a task failed: then the earlier pieces are of no use.
    pub async fn next(&mut self) -> Result<Option<FoldedPiece>, FoldError> {
        if let Some(piece) = self.pieces.recv().await {
            return Ok(Some(piece));
        }
        // All tasks have ended, well or not.
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
        }
        Ok(None)
    }
}

/// Folds all rows of `table`, which has the columns of the view's stream.
///
/// With `places`, partition and offset are read too: they are needed only where a row fails. Without them such a row
/// gives [`FoldError::Unplaced`].
pub async fn fold_table(
    view: &Arc<View>,
    table: &dyn TableProvider,
    context: &SessionContext,
    places: bool,
) -> Result<TableFold> {
    let schema = table.schema();
    let mut columns = view.columns_read().to_vec();
    if places {
        columns.extend(place_columns(&schema)?);
        columns.sort_unstable();
        columns.dedup();
    }
    let scan = table.scan(&context.state(), Some(&columns), &[], None).await?;
    let (output, pieces) = mpsc::channel(AHEAD);
    let mut tasks = JoinSet::new();
    for partition in 0..scan.output_partitioning().partition_count() {
        let rows = scan.execute(partition, context.task_ctx())?;
        tasks.spawn(fold_partition(Arc::clone(view), rows, Widen::new(&schema, &columns), output.clone()));
    }
    Ok(TableFold { tasks, pieces })
}

fn place_columns(schema: &Schema) -> Result<[usize; 2]> {
    use crate::record::column::{OFFSET, PARTITION};
    Ok([schema.index_of(PARTITION)?, schema.index_of(OFFSET)?])
}

async fn fold_partition(
    view: Arc<View>,
    mut rows: SendableRecordBatchStream,
    mut widen: Widen,
    output: mpsc::Sender<FoldedPiece>,
) -> Result<(), FoldError> {
    let mut folder = Folder::new(&view)?;
    while let Some(batch) = rows.next().await {
        folder.fold(&widen.widen(&batch?)?).await?;
        if !folder.errors().is_empty() && output.send(FoldedPiece::Errors(folder.take_errors())).await.is_err() {
            return Ok(());
        }
        if !view.is_aggregate() && output.send(FoldedPiece::State(folder.take_state()?)).await.is_err() {
            return Ok(());
        }
    }
    // Nobody reads it if the fold was dropped.
    let _ = output.send(FoldedPiece::State(folder.take_state()?)).await;
    Ok(())
}

/// Adds null columns for those that were not read.
struct Widen {
    schema: SchemaRef,
    columns: Vec<usize>,
    /// Null columns as long as the largest batch so far.
    nulls: Vec<ArrayRef>,
    rows: usize,
}

impl Widen {
    fn new(schema: &Schema, columns: &[usize]) -> Self {
        let fields = schema.fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true));
        Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            columns: columns.to_vec(),
            nulls: vec![],
            rows: 0,
        }
    }

    fn widen(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let n = batch.num_rows();
        if self.nulls.is_empty() || n > self.rows {
            self.nulls = self.schema.fields().iter().map(|f| new_null_array(f.data_type(), n)).collect();
            self.rows = n;
        }
        let mut columns: Vec<ArrayRef> = self.nulls.iter().map(|nulls| nulls.slice(0, n)).collect();
        for (column, &at) in batch.columns().iter().zip(&self.columns) {
            columns[at] = Arc::clone(column);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
