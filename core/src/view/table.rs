//! A table of groups and their accumulators, which does fold, merge and finish.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, UInt64Array, new_empty_array, new_null_array,
};
use arrow::compute::{SortColumn, lexsort_to_indices, take, take_arrays};
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_plan::aggregates::evaluate_group_by;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::aggregation::{AggregateCall, Aggregation};

/// Groups and accumulators of one view. It grows with its groups until its state is taken.
pub(super) struct GroupTable {
    aggregation: Arc<Aggregation>,
    /// The groups; `None` when the view has no group columns and so always exactly one group.
    groups: Option<Box<dyn GroupValues>>,
    /// The accumulators; `None` for a function whose value is not wanted.
    accumulators: Vec<Option<Box<dyn GroupsAccumulator>>>,
    /// Group of each row of the present batch; kept to reuse its memory.
    group_indices: Vec<usize>,
}

impl GroupTable {
    pub(super) fn new(aggregation: &Arc<Aggregation>) -> Result<Self> {
        Self::with_functions(aggregation, |_| true)
    }

    /// A table that can only finish `columns` of the answer; the others come out as nulls.
    pub(super) fn with_columns(aggregation: &Arc<Aggregation>, columns: &[usize]) -> Result<Self> {
        let first = aggregation.group_columns();
        Self::with_functions(aggregation, |function| columns.contains(&(first + function)))
    }

    fn with_functions(aggregation: &Arc<Aggregation>, wanted: impl Fn(usize) -> bool) -> Result<Self> {
        let accumulators = aggregation
            .functions
            .iter()
            .enumerate()
            .map(|(i, function)| wanted(i).then(|| function.accumulator(aggregation.group_columns() > 0)).transpose())
            .collect::<Result<_>>()?;
        let groups = match aggregation.group_columns() {
            0 => None,
            _ => Some(new_group_values(Arc::clone(&aggregation.group_schema), &GroupOrdering::None)?),
        };
        Ok(Self { aggregation: Arc::clone(aggregation), groups, accumulators, group_indices: vec![] })
    }

    /// Adds rows whose expressions were evaluated.
    pub(super) fn update(&mut self, evaluated: &Evaluated) -> Result<()> {
        let aggregation = Arc::clone(&self.aggregation);
        if self.groups.is_none() {
            self.intern(&[], evaluated.rows)?;
            return self.update_accumulators(&aggregation, &evaluated.inputs);
        }
        for group_columns in &evaluated.groups {
            self.intern(group_columns, evaluated.rows)?;
            self.update_accumulators(&aggregation, &evaluated.inputs)?;
        }
        Ok(())
    }

    fn update_accumulators(&mut self, aggregation: &Aggregation, inputs: &[AggregateInput]) -> Result<()> {
        let total = self.len();
        for ((function, input), accumulator) in aggregation.functions.iter().zip(inputs).zip(&mut self.accumulators) {
            let Some(accumulator) = accumulator else { continue };
            if !function.needs_order {
                accumulator.update_batch(&input.arguments, &self.group_indices, input.filter.as_ref(), total)?;
                continue;
            }
            let (input, group_indices) = input.ordered(function, &self.group_indices)?;
            accumulator.update_batch(&input.arguments, &group_indices, input.filter.as_ref(), total)?;
        }
        Ok(())
    }

    /// Merges a state of the same view.
    pub(super) fn merge(&mut self, state: &RecordBatch) -> Result<()> {
        let aggregation = Arc::clone(&self.aggregation);
        self.intern(&state.columns()[..aggregation.group_columns()], state.num_rows())?;
        let total = self.len();
        for (function, accumulator) in aggregation.functions.iter().zip(&mut self.accumulators) {
            let Some(accumulator) = accumulator else { continue };
            let columns = &state.columns()[function.state_columns.clone()];
            accumulator.merge_batch(columns, &self.group_indices, total)?;
        }
        Ok(())
    }

    fn intern(&mut self, columns: &[ArrayRef], rows: usize) -> Result<()> {
        match &mut self.groups {
            Some(groups) => groups.intern(columns, &mut self.group_indices),
            None => {
                self.group_indices.clear();
                self.group_indices.resize(rows, 0);
                Ok(())
            }
        }
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.groups.as_ref().map_or(1, |groups| groups.len())
    }

    /// Bytes in memory.
    pub(super) fn size(&self) -> usize {
        let accumulators: usize = self.accumulators.iter().flatten().map(|a| a.size()).sum();
        accumulators + self.groups.as_ref().map_or(0, |g| g.size()) + self.group_indices.capacity() * size_of::<usize>()
    }

    /// Takes the state of everything folded and merged so far; the table is empty afterwards.
    pub(super) fn take_state(&mut self) -> Result<RecordBatch> {
        self.ensure_single_group()?;
        if self.len() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.aggregation.state_schema)));
        }
        let mut columns = self.emit_groups()?;
        for accumulator in self.accumulators.iter_mut().flatten() {
            columns.extend(accumulator.state(EmitTo::All)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.aggregation.state_schema), columns)?)
    }

    /// Takes the answer: group columns, then a value per function; the table is empty afterwards.
    pub(super) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.ensure_single_group()?;
        let rows = self.len();
        if rows == 0 {
            let fields = self.aggregation.answer_fields();
            return Ok(fields.iter().map(|field| new_empty_array(field.data_type())).collect());
        }
        let mut columns = self.emit_groups()?;
        let values = self.aggregation.answer_fields().split_off(self.aggregation.group_columns());
        for (accumulator, field) in self.accumulators.iter_mut().zip(values) {
            columns.push(match accumulator {
                Some(accumulator) => accumulator.evaluate(EmitTo::All)?,
                None => new_null_array(field.data_type(), rows),
            });
        }
        Ok(columns)
    }

    fn emit_groups(&mut self) -> Result<Vec<ArrayRef>> {
        match &mut self.groups {
            Some(groups) => {
                let seen = groups.len();
                let columns = groups.emit(EmitTo::All)?;
                // Groups of several columns leave their hashes behind, which would name removed groups.
                groups.clear_shrink(seen);
                Ok(columns)
            }
            None => Ok(vec![]),
        }
    }

    /// Without group columns there is one row even if no row was folded; accumulators get it here.
    fn ensure_single_group(&mut self) -> Result<()> {
        if self.groups.is_some() {
            return Ok(());
        }
        let aggregation = Arc::clone(&self.aggregation);
        let nothing = RecordBatch::new_empty(Arc::clone(&aggregation.input_schema));
        self.update(&Evaluated::of(&aggregation, &nothing)?)
    }
}

impl std::fmt::Debug for GroupTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("groups", &self.len()).finish_non_exhaustive()
    }
}

/// Rows of the aggregate's input with every expression evaluated that a row can make fail.
pub(super) struct Evaluated {
    rows: usize,
    inputs: Vec<AggregateInput>,
    /// The group columns, once for each grouping set.
    groups: Vec<Vec<ArrayRef>>,
}

impl Evaluated {
    /// Evaluates groups, arguments and filters over `rows`.
    pub(super) fn of(aggregation: &Aggregation, rows: &RecordBatch) -> Result<Self> {
        let mut inputs = vec![];
        for function in &aggregation.functions {
            inputs.push(AggregateInput::evaluate(function, rows)?);
        }
        let groups = match aggregation.group_columns() {
            0 => vec![],
            _ => evaluate_group_by(&aggregation.group_by, rows)?,
        };
        Ok(Self { rows: rows.num_rows(), inputs, groups })
    }
}

/// A function's evaluated arguments for one batch.
struct AggregateInput {
    arguments: Vec<ArrayRef>,
    filter: Option<BooleanArray>,
}

impl AggregateInput {
    fn evaluate(function: &AggregateCall, rows: &RecordBatch) -> Result<Self> {
        let n = rows.num_rows();
        let arguments = function.arguments.iter().map(|a| a.evaluate(rows)?.into_array(n)).collect::<Result<_>>()?;
        let filter = match &function.filter {
            Some(filter) => Some(filter.evaluate(rows)?.into_array(n)?.as_boolean().clone()),
            None => None,
        };
        Ok(Self { arguments, filter })
    }

    /// The same input sorted by the function's ORDER BY, with the rows' groups.
    fn ordered(&self, function: &AggregateCall, group_indices: &[usize]) -> Result<(Self, Vec<usize>)> {
        let keys = &self.arguments[function.plain_arguments()..];
        if keys.is_empty() || group_indices.len() < 2 {
            return Ok((
                Self { arguments: self.arguments.clone(), filter: self.filter.clone() },
                group_indices.to_vec(),
            ));
        }
        let columns: Vec<SortColumn> = keys
            .iter()
            .zip(function.order_by())
            .map(|(key, sort)| SortColumn { values: Arc::clone(key), options: Some(sort.options) })
            .collect();
        let order: UInt32Array = lexsort_to_indices(&columns, None)?;
        let groups = UInt64Array::from_iter_values(group_indices.iter().map(|&g| g as u64));
        let groups = take(&groups, &order, None)?;
        let filter = match &self.filter {
            Some(filter) => Some(take(filter, &order, None)?.as_boolean().clone()),
            None => None,
        };
        let arguments = take_arrays(&self.arguments, &order, None)?;
        let groups =
            groups.as_primitive::<arrow::datatypes::UInt64Type>().values().iter().map(|&g| g as usize).collect();
        Ok((Self { arguments, filter }, groups))
    }
}
