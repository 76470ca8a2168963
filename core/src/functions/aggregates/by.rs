//! `max_by` and `min_by`: the value beside the greatest or least one.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::{canonical, refuse_distinct};

/// `max_by` or `min_by`. Rows in which either argument is null do not count. Of rows with the same `y`, `max_by` takes
/// the greatest `x` and `min_by` the least, so the order of rows does not matter.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct By {
    is_greatest: bool,
    signature: Signature,
}

impl By {
    pub(super) fn greatest() -> Self {
        Self { is_greatest: true, signature: Signature::any(2, Volatility::Immutable) }
    }

    pub(super) fn least() -> Self {
        Self { is_greatest: false, ..Self::greatest() }
    }
}

impl AggregateUDFImpl for By {
    fn name(&self) -> &str {
        if self.is_greatest { "max_by" } else { "min_by" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [value, _] => Ok(value.clone()),
            _ => internal_err!("`{}` takes two arguments", self.name()),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        refuse_distinct(&args)?;
        let [value, by] = args.expr_fields else { return internal_err!("`{}` takes two arguments", self.name()) };
        let types = [value.data_type().clone(), by.data_type().clone()];
        Ok(Box::new(Best { types, is_greatest: self.is_greatest, row: None }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |(part, field): (&str, &FieldRef)| {
            Arc::new(Field::new(format_state_name(args.name, part), field.data_type().clone(), true))
        };
        Ok(["value", "by"].into_iter().zip(args.input_fields).map(field).collect())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Best {
    types: [DataType; 2],
    is_greatest: bool,
    /// The value, and the one by which it was chosen; each is an array of one.
    row: Option<[ArrayRef; 2]>,
}

impl Best {
    /// Compares rows of two pairs of columns: by `y`, then by `x`.
    fn order<'a>(
        &self,
        a: &'a [ArrayRef; 2],
        b: &'a [ArrayRef; 2],
    ) -> Result<impl Fn(usize, usize) -> Ordering + use<'a>> {
        let options = SortOptions::default();
        let by = make_comparator(a[1].as_ref(), b[1].as_ref(), options)?;
        let value = make_comparator(a[0].as_ref(), b[0].as_ref(), options)?;
        let is_greatest = self.is_greatest;
        Ok(move |i, j| {
            let order = by(i, j).then_with(|| value(i, j));
            if is_greatest { order } else { order.reverse() }
        })
    }
}

impl Accumulator for Best {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [value, by] = values else { return internal_err!("two columns are expected") };
        let rows = [canonical(value), canonical(by)];
        let nulls = rows.each_ref().map(|column| column.logical_nulls());
        let is_null = |row: usize| nulls.iter().flatten().any(|nulls| nulls.is_null(row));
        let mut best = None;
        {
            let order = self.order(&rows, &rows)?;
            for row in (0..value.len()).filter(|&row| !is_null(row)) {
                if best.is_none_or(|best| order(row, best).is_gt()) {
                    best = Some(row);
                }
            }
        }
        let Some(best) = best else { return Ok(()) };
        if let Some(row) = &self.row
            && self.order(&rows, row)?(best, 0).is_le()
        {
            return Ok(());
        }
        let index = UInt32Array::from_iter_values(u32::try_from(best));
        let [value, by] = &rows;
        self.row = Some([take(value.as_ref(), &index, None)?, take(by.as_ref(), &index, None)?]);
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        match &self.row {
            Some(row) => row.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect(),
            None => self.types.iter().map(ScalarValue::try_from).collect(),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match &self.row {
            Some([value, _]) => ScalarValue::try_from_array(value, 0),
            None => ScalarValue::try_from(&self.types[0]),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.row.iter().flatten().map(|column| column.get_array_memory_size()).sum::<usize>()
    }
}
