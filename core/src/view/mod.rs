//! Views: one SQL definition, cut in two where its lowest aggregate stands.
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
//! [`plan`] makes a [`View`] from SQL or says why it cannot be folded; a [`Folder`] folds batches of a stream
//! into a state; [`fold_table`] folds a whole table with all cores; [`View::merge`] and [`View::finish`] do what
//! their names say.

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
pub use fold_table::{Piece, TableFold, fold_table};
pub use planner::{Planned, Planner, ViewError};
pub use return_types::register_mended_functions;
pub use row_errors::{MOST_LISTED, RowError, RowErrors, Tally};
pub use state::{sort_state, split_state};
use table::Table;
pub use trial::{Trial, try_out};

/// A view over one stream that both layers fold.
#[derive(Debug)]
pub struct View {
    pub name: ViewName,
    pub stream: StreamName,
    /// The query as written.
    pub sql: String,
    /// What becomes of a record whose evaluation fails.
    pub on_error: OnError,
    /// States of different fingerprints never meet: covers the SQL, the stream, the lookups and the engine.
    pub fingerprint: String,
    /// How exactly the answers of two foldings of the same rows agree.
    pub exactness: Exactness,
    leaf_exactness: Vec<Exactness>,
    answer_exactness: Vec<Exactness>,
    /// What the rows do not decide, see [`View::loose`].
    loose: Vec<String>,
    /// Whether a value of the answer grows with a number of a row, as `repeat(x, n)` does.
    grows: bool,
    /// Rows of the stream -> rows that the aggregate reads; planned, so that it can be run on any batch.
    fold: fold::FoldPlan,
    /// `None`: a view of rows, whose state is the rows themselves.
    aggregation: Option<Arc<Aggregation>>,
    state_schema: SchemaRef,
    /// Schema of the finish plan's leaf: what `finish` returns.
    leaf_schema: SchemaRef,
    /// Everything above the aggregate, over a leaf named [`split::LEAF`].
    finish_plan: LogicalPlan,
}

/// A view over other views only: nothing is folded, its query is run over theirs.
#[derive(Debug, Clone)]
pub struct DerivedView {
    pub name: ViewName,
    pub sql: String,
    /// Schema of its answer.
    pub schema: SchemaRef,
}

impl View {
    /// Schema of a state: group columns, then accumulator states, all nullable.
    pub fn state_schema(&self) -> SchemaRef {
        Arc::clone(&self.state_schema)
    }

    /// Schema of what [`View::finish`] returns, columns named `c0, c1, ..`; the first
    /// [`View::group_columns`] of them are the group columns.
    pub fn leaf_schema(&self) -> SchemaRef {
        Arc::clone(&self.leaf_schema)
    }

    /// The columns of the stream that folding reads, ascending.
    pub fn columns_read(&self) -> &[usize] {
        self.fold.reads()
    }

    /// A condition over the columns of the stream: rows for which it is not true need not be folded. None where every
    /// row has to be seen.
    pub fn filter_of_rows(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        self.fold.filter()
    }

    /// How many leading columns of a state are group columns, and so can be filtered before finish.
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

    /// How exactly two answers agree, by column of [`View::answer_schema`].
    pub fn answer_exactness(&self) -> &[Exactness] {
        &self.answer_exactness
    }

    /// What the rows alone do not decide of the answer, such as LIMIT among rows that ORDER BY puts level. When there
    /// is any, two right answers may differ, and only what [`View::finish`] returns can be compared.
    pub fn loose(&self) -> &[String] {
        &self.loose
    }

    /// The same, by column of [`View::leaf_schema`].
    pub fn leaf_exactness(&self) -> &[Exactness] {
        &self.leaf_exactness
    }

    /// Merges states into one without repeated groups. States of rows are only put one after the other.
    pub fn merge(&self, states: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
        let Some(aggregation) = &self.aggregation else {
            return Ok(states.iter().filter(|s| s.num_rows() > 0).cloned().collect());
        };
        let mut table = Table::new(aggregation)?;
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
            Some(columns) => Table::with_columns(aggregation, columns)?,
            None => Table::new(aggregation)?,
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

    /// The view's query over `leaf`, a table of [`View::leaf_schema`] that holds finished states.
    pub fn answer_plan(&self, leaf: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
        split_plan::with_leaf(&self.finish_plan, leaf)
    }
}
