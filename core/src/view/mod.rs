//! Views: one SQL definition, cut in two at its lowest aggregate.
//!
//! ```text
//!      finish plan   SELECT, HAVING, ORDER BY, windows, a second aggregate ..
//!      ───────────   the answer of the aggregate: group columns + values       finish: state -> answer
//!      aggregate     states: group columns + accumulator states                merge:  [state] -> state
//!      ───────────   rows with the columns that the aggregate reads            fold:   rows -> state
//!      fold plan     filters, projections, UNNEST, joins to lookups
//!      stream        decoded records
//! ```
//!
//! The law that the layers rest on, for every way to cut the rows and every order of the pieces:
//! `finish([fold(a ++ b)]) == finish([fold(a), fold(b)])`.
//!
//! [`Planner::plan`] makes a [`View`] from SQL or says why it cannot be folded; a [`Folder`] folds batches of a stream
//! into a state; [`fold_table`] folds a whole table with all cores; [`View::merge`] and [`View::finish`] merge states
//! and turn them into answers.

mod aggregation;
mod allowed_nodes;
mod clauses;
mod compare;
mod error_text;
mod evaluate;
mod exactness;
mod fold;
mod fold_table;
mod foldable;
mod joins;
mod lineage;
mod nondeterminism;
mod nth_value;
mod or_null;
mod order;
mod placeholders;
mod planner;
mod planning_config;
mod refusal;
mod return_types;
mod row_errors;
mod sample_rows;
mod sketch;
mod split_plan;
mod state;
mod table;
mod trial;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::PhysicalExpr;

use crate::name::{StreamName, ViewName};
use crate::pipeline::OnError;

use aggregation::Aggregation;
pub use compare::{Difference, compare_answers};
pub use exactness::Exactness;
pub use fold::{FoldError, Folder};
pub use fold_table::{FoldedPiece, TableFold, fold_table};
pub use planner::{Planned, Planner, ViewError};
pub use return_types::register_mended_functions;
pub use row_errors::{MOST_LISTED, RowError, RowErrors, Tally};
pub use state::{sort_state, split_state};
use table::GroupTable;
pub use trial::{Trial, try_out};

/// A view over one stream that both layers fold.
#[derive(Debug)]
pub struct View {
    /// Name in SQL.
    pub name: ViewName,
    /// The stream that it reads.
    pub stream: StreamName,
    /// The query as written.
    pub sql: String,
    /// The handling of a record whose evaluation fails.
    pub on_error: OnError,
    /// Hash of the SQL, the stream, the lookups and the engine: states of different fingerprints never meet.
    pub fingerprint: String,
    /// The exactness of the least exact aggregate, see [`Exactness`].
    pub exactness: Exactness,
    leaf_exactness: Vec<Exactness>,
    answer_exactness: Vec<Exactness>,
    /// The parts of the answer that the rows do not decide, see [`View::loose`].
    loose: Vec<String>,
    /// Whether a value of the answer grows with a number in a row, as `repeat(x, n)` does.
    grows: bool,
    /// The plan from rows of the stream to rows that the aggregate reads; it can be run on any batch.
    fold: fold::FoldPlan,
    /// The aggregate; `None` for a view of rows, whose state is the rows themselves.
    aggregation: Option<Arc<Aggregation>>,
    state_schema: SchemaRef,
    /// Schema of the finish plan's input: the result of `finish`.
    leaf_schema: SchemaRef,
    /// The plan above the aggregate, over a table named [`split::LEAF`].
    finish_plan: LogicalPlan,
}

/// A view over other views only: it is not folded, and its query is run over theirs.
#[derive(Debug, Clone)]
pub struct DerivedView {
    /// Name in SQL.
    pub name: ViewName,
    /// The query as written.
    pub sql: String,
    /// Schema of its answer.
    pub schema: SchemaRef,
}

impl View {
    /// Schema of a state: group columns, then accumulator states, all nullable.
    pub fn state_schema(&self) -> SchemaRef {
        Arc::clone(&self.state_schema)
    }

    /// Schema of the result of [`View::finish`], with columns named `c0, c1, ..`; the first [`View::group_columns`] of
    /// them are the group columns.
    pub fn leaf_schema(&self) -> SchemaRef {
        Arc::clone(&self.leaf_schema)
    }

    /// Indices of the stream's columns that folding reads, ascending.
    pub fn columns_read(&self) -> &[usize] {
        self.fold.reads()
    }

    /// A condition over the columns of the stream: rows for which it is not true need not be folded. None where every
    /// row is needed.
    pub fn filter_of_rows(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        self.fold.filter()
    }

    /// Number of leading columns of a state that are group columns, and so can be filtered before finish.
    ///
    /// A state of rows can be filtered by any of its columns.
    pub fn group_columns(&self) -> usize {
        self.aggregation.as_ref().map_or(self.state_schema.fields().len(), |a| a.group_columns())
    }

    /// Whether the view has an aggregate; otherwise its state is its rows.
    pub fn is_aggregate(&self) -> bool {
        self.aggregation.is_some()
    }

    /// Schema of the view's answer, as its users see it.
    pub fn answer_schema(&self) -> SchemaRef {
        Arc::new(self.finish_plan.schema().as_arrow().clone())
    }

    /// The exactness of each column of [`View::answer_schema`].
    pub fn answer_exactness(&self) -> &[Exactness] {
        &self.answer_exactness
    }

    /// The parts of the answer that the rows alone do not decide, such as LIMIT among rows that ORDER BY puts level. If
    /// there are any, two right answers may differ, and only the results of [`View::finish`] can be compared.
    pub fn loose(&self) -> &[String] {
        &self.loose
    }

    /// The exactness of each column of [`View::leaf_schema`].
    pub fn leaf_exactness(&self) -> &[Exactness] {
        &self.leaf_exactness
    }

    /// Merges states into one without repeated groups. States of rows are only concatenated.
    pub fn merge(&self, states: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
        let Some(aggregation) = &self.aggregation else {
            return Ok(states.iter().filter(|s| s.num_rows() > 0).cloned().collect());
        };
        let mut table = GroupTable::new(aggregation)?;
        for state in states {
            table.merge(state)?;
        }
        Ok(vec![table.take_state()?])
    }

    /// Merges states and turns them into the answer of the aggregate: columns of [`View::leaf_schema`].
    ///
    /// With `columns`, only those are computed and returned, in that order.
    pub fn finish(&self, states: &[RecordBatch], columns: Option<&[usize]>) -> Result<Vec<RecordBatch>> {
        let Some(aggregation) = &self.aggregation else {
            return states.iter().map(|s| self.rename_rows(s, columns)).collect();
        };
        let mut table = match columns {
            Some(columns) => GroupTable::with_columns(aggregation, columns)?,
            None => GroupTable::new(aggregation)?,
        };
        for state in states {
            table.merge(state)?;
        }
        let all = RecordBatch::try_new(Arc::clone(&self.leaf_schema), table.finish()?)?;
        Ok(vec![match columns {
            Some(columns) => all.project(columns)?,
            None => all,
        }])
    }

    fn rename_rows(&self, state: &RecordBatch, columns: Option<&[usize]>) -> Result<RecordBatch> {
        let renamed = RecordBatch::try_new(Arc::clone(&self.leaf_schema), state.columns().to_vec())?;
        Ok(match columns {
            Some(columns) => renamed.project(columns)?,
            None => renamed,
        })
    }

    /// The plan of the view's query over `leaf`, a table of [`View::leaf_schema`] that holds finished states.
    pub fn answer_plan(&self, leaf: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
        split_plan::with_leaf(&self.finish_plan, leaf)
    }
}
