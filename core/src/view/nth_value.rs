//! `nth_value(x, n ORDER BY ..)` for rows that come in any order.
//!
//! DataFusion's own keeps the first n values that it gets and relies on sorted input; batches of a stream are not
//! sorted against each other. Its state is two lists, and so is this one's: the values that may still be the n-th, and
//! their sort keys.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::utils::compare_rows;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;

/// The accumulator of `expr`, an `nth_value` with an ORDER BY.
pub(super) fn accumulator(expr: &AggregateFunctionExpr) -> Result<Box<dyn Accumulator>> {
    let arguments = expr.expressions();
    let n = arguments.get(1).and_then(|n| n.downcast_ref::<Literal>()).map(|n| n.value().clone());
    let Some(ScalarValue::Int64(Some(n))) = n else {
        return plan_err!("`nth_value(x, n)` needs a number n that is written out");
    };
    if n == 0 {
        return plan_err!("`nth_value(x, n)` counts from 1, or from -1 backwards");
    }
    let fields = expr.state_fields()?;
    let orderings = match fields.get(1).map(|field| field.data_type()) {
        Some(DataType::List(item)) => match item.data_type() {
            DataType::Struct(fields) => fields.clone(),
            other => return internal_err!("the state of `nth_value` is a list of {other}"),
        },
        other => return internal_err!("the state of `nth_value` has no orderings: {other:?}"),
    };
    Ok(Box::new(NthValue {
        from_start: (n > 0) != expr.is_reversed(),
        n: usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX),
        ignore_nulls: expr.ignore_nulls(),
        value: expr.field().data_type().clone(),
        orderings,
        options: expr.order_bys().iter().map(|sort| sort.options).collect(),
        rows: vec![],
        settled: 0,
    }))
}

#[derive(Debug)]
struct NthValue {
    from_start: bool,
    n: usize,
    ignore_nulls: bool,
    value: DataType,
    orderings: Fields,
    options: Vec<SortOptions>,
    /// The first n, or the last n, settled rows, in order, followed by the rows added since.
    rows: Vec<NthRow>,
    settled: usize,
}

/// Least number of rows that are sorted at once.
const UNSETTLED: usize = 64;

#[derive(Debug)]
struct NthRow {
    value: ScalarValue,
    ordering: Vec<ScalarValue>,
}

impl NthValue {
    fn add(&mut self, value: &dyn Array, orderings: &[ArrayRef], row: usize) -> Result<()> {
        if self.ignore_nulls && value.is_null(row) {
            return Ok(());
        }
        let ordering = orderings.iter().map(|o| ScalarValue::try_from_array(o, row)).collect::<Result<Vec<_>>>()?;
        if self.is_beaten(&ordering)? {
            return Ok(());
        }
        if self.rows.len() >= self.settled.saturating_add(self.n.max(UNSETTLED)) {
            self.settle()?;
        }
        self.rows.push(NthRow { value: ScalarValue::try_from_array(value, row)?, ordering });
        Ok(())
    }

    /// Whether n rows are known that come before this one, from the end at which n is counted.
    fn is_beaten(&self, ordering: &[ScalarValue]) -> Result<bool> {
        if self.settled < self.n {
            return Ok(false);
        }
        let (edge, beaten) = match self.from_start {
            true => (self.settled - 1, Ordering::Greater),
            false => (0, Ordering::Less),
        };
        Ok(compare_rows(ordering, &self.rows[edge].ordering, &self.options)? == beaten)
    }

    fn settle(&mut self) -> Result<()> {
        let mut failed = None;
        self.rows.sort_by(|a, b| {
            compare_rows(&a.ordering, &b.ordering, &self.options).unwrap_or_else(|error| {
                failed = Some(error);
                Ordering::Equal
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        match self.from_start {
            true => self.rows.truncate(self.n),
            false => drop(self.rows.drain(..self.rows.len().saturating_sub(self.n))),
        }
        self.settled = self.rows.len();
        Ok(())
    }

    fn ordering_column(&self, i: usize, field: &Field) -> Result<ArrayRef> {
        let values = self.rows.iter().map(|row| row.ordering[i].clone());
        if self.rows.is_empty() { Ok(new_empty_array(field.data_type())) } else { ScalarValue::iter_to_array(values) }
    }
}

impl Accumulator for NthValue {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [value, _, orderings @ ..] = values else { return internal_err!("`nth_value` has two arguments") };
        for row in 0..value.len() {
            self.add(value, orderings, row)?;
        }
        self.settle()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, orderings] = states else { return internal_err!("the state of `nth_value` is two lists") };
        let (values, orderings) = (values.as_list::<i32>(), orderings.as_list::<i32>());
        for i in (0..values.len()).filter(|&i| values.is_valid(i) && orderings.is_valid(i)) {
            let (values, orderings) = (values.value(i), orderings.value(i));
            let orderings = orderings.as_struct().columns();
            for row in 0..values.len() {
                self.add(&values, orderings, row)?;
            }
            self.settle()?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> = self.rows.iter().map(|row| row.value.clone()).collect();
        let values = ScalarValue::List(ScalarValue::new_list_nullable(&values, &self.value));
        let columns = self.orderings.iter().enumerate().map(|(i, field)| self.ordering_column(i, field));
        let orderings = StructArray::try_new_with_length(
            self.orderings.clone(),
            columns.collect::<Result<_>>()?,
            None,
            self.rows.len(),
        )?;
        let item = Field::new_list_field(DataType::Struct(self.orderings.clone()), true);
        let offsets = OffsetBuffer::from_lengths([self.rows.len()]);
        let orderings = ListArray::try_new(Arc::new(item), offsets, Arc::new(orderings), None)?;
        Ok(vec![values, ScalarValue::List(Arc::new(orderings))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let index = if self.from_start { Some(self.n - 1) } else { self.rows.len().checked_sub(self.n) };
        match index.and_then(|index| self.rows.get(index)) {
            Some(row) => Ok(row.value.clone()),
            None => ScalarValue::try_from(&self.value),
        }
    }

    fn size(&self) -> usize {
        let row = |row: &NthRow| row.value.size() + ScalarValue::size_of_vec(&row.ordering) + size_of::<NthRow>();
        size_of_val(self) + self.rows.iter().map(row).sum::<usize>()
    }
}
