//! `sum(DISTINCT x)` and its like: the set of values, which are added up when the answer is asked for.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::utils::format_state_name;

use super::alone::Alone;
use super::moments::Shape;
use crate::functions::canonical_float::one_of_each;

#[derive(Debug)]
pub(super) struct Distinct {
    shape: Shape,
    rows: RowConverter,
    /// Each value with its number of occurrences, since a window removes values again.
    values: HashMap<OwnedRow, u64>,
}

impl Distinct {
    pub(super) fn new(shape: Shape) -> Result<Self> {
        let rows = RowConverter::new(vec![SortField::new(shape.argument.clone())])?;
        Ok(Self { shape, rows, values: HashMap::new() })
    }

    pub(super) fn state_field(name: &str, argument: &DataType) -> FieldRef {
        let values = Field::new_list_field(argument.clone(), true);
        Field::new(format_state_name(name, "distinct"), DataType::List(values.into()), true).into()
    }

    fn change(&mut self, column: &ArrayRef, away: bool) -> Result<()> {
        let present = match column.nulls() {
            Some(nulls) => filter(column, &BooleanArray::new(nulls.inner().clone(), None))?,
            None => ArrayRef::clone(column),
        };
        for row in &self.rows.convert_columns(&[one_of_each(&present)])? {
            let count = self.values.entry(row.owned()).or_default();
            *count = if away { count.saturating_sub(1) } else { *count + 1 };
            if *count == 0 {
                self.values.remove(&row.owned());
            }
        }
        Ok(())
    }

    fn column(&self) -> Result<ArrayRef> {
        Ok(self.rows.convert_rows(self.values.keys().map(OwnedRow::row))?.remove(0))
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.change(&columns[0], false)
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.change(&columns[0], true)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sum = Alone::new(self.shape.clone());
        sum.update_batch(&[self.column()?])?;
        sum.evaluate()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![SingleRowListArrayBuilder::new(self.column()?).build_list_scalar()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.change(&values, false)?;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let values: usize = self.values.keys().map(|value| value.as_ref().len() + size_of::<(OwnedRow, u64)>()).sum();
        size_of::<Self>() + values + self.rows.size()
    }
}
