//! `approx_top_k`: the most frequent values, by the sketch of Misra and Gries, which merges as Agarwal et al. describe
//! ("Mergeable Summaries", 2012): of more counters than there may be, the greatest that is too many is taken off all.
//!
//! A value occurred at least as often as its counter says, and at most so many times more as was subtracted in all,
//! which is less than the number of values divided by the number of counters. While there are no more different values
//! than counters nothing is subtracted: then the counts are exact, and do not depend on the order of merging.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::counts::{Tally, list_of, state_fields};
use super::{constant, refuse_distinct};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Top {
    signature: Signature,
}

impl Top {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

/// Greatest number of values in an answer.
const K_MAX: usize = 10_000;
/// Counters per value of the answer; the least number of counters too.
const COUNTERS: usize = 16;
const LEAST_COUNTERS: usize = 1024;

/// `{value, least, most}`, with the least and greatest number of occurrences.
fn item(value: &DataType) -> Fields {
    let count = |name| Field::new(name, DataType::Int64, true);
    vec![Field::new("value", value.clone(), true), count("least"), count("most")].into()
}

impl AggregateUDFImpl for Top {
    fn name(&self) -> &'static str {
        "approx_top_k"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let [value, k] = arguments else { return internal_err!("`approx_top_k` takes two arguments") };
        if !k.is_integer() {
            return plan_err!("`approx_top_k(x, k)`: `k` is a whole number from 1 to {K_MAX}, not a {k}");
        }
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Struct(item(value)), true))))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        refuse_distinct(&args)?;
        let k = constant(&args, 1).and_then(|k| k.cast_to(&DataType::UInt64).ok());
        let k = match k {
            Some(ScalarValue::UInt64(Some(k))) => usize::try_from(k).ok().filter(|k| (1..=K_MAX).contains(k)),
            _ => None,
        };
        let Some(k) = k else {
            return plan_err!("`approx_top_k(x, k)`: `k` is a whole number from 1 to {K_MAX}, written as one");
        };
        let value = args.expr_fields[0].data_type().clone();
        let tally = Tally::new(&value)?;
        Ok(Box::new(Heaviest { k, value, tally, taken_off: 0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let mut fields = state_fields(args.name, args.input_fields[0].data_type());
        fields.push(Arc::new(Field::new(format_state_name(args.name, "taken_off"), DataType::Int64, true)));
        Ok(fields)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Heaviest {
    k: usize,
    value: DataType,
    tally: Tally,
    taken_off: i64,
}

impl Heaviest {
    fn counters(&self) -> usize {
        (self.k * COUNTERS).max(LEAST_COUNTERS)
    }

    /// Reduces the counters to the permitted number if there are more than `most`.
    fn reduce(&mut self, most: usize) {
        let counters = self.counters();
        if self.tally.counts.len() <= most {
            return;
        }
        let mut counts: Vec<i64> = self.tally.counts.values().copied().collect();
        // The greatest counter of those that are too many.
        let (_, &mut too_many, _) = counts.select_nth_unstable_by(counters, |a, b| b.cmp(a));
        self.tally.retain(|count| {
            *count -= too_many;
            *count > 0
        });
        self.taken_off = self.taken_off.saturating_add(too_many);
    }
}

/// Rows counted between two checks of the number of counters.
const ROWS: usize = 1024;

impl Accumulator for Heaviest {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for from in (0..values[0].len()).step_by(ROWS) {
            self.tally.add(&values[0].slice(from, ROWS.min(values[0].len() - from)), |_| 1)?;
            self.reduce(self.counters() * 2);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let taken_off = states[2].as_primitive::<Int64Type>();
        for row in 0..taken_off.len() {
            self.tally.merge(&states[0].slice(row, 1), &states[1].slice(row, 1))?;
            self.taken_off = self.taken_off.saturating_add(taken_off.iter().nth(row).flatten().unwrap_or(0));
            self.reduce(self.counters() * 2);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.reduce(self.counters());
        let mut state = self.tally.state()?;
        state.push(ScalarValue::Int64(Some(self.taken_off)));
        Ok(state)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut entries = self.tally.sorted();
        entries.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        entries.truncate(self.k);
        let (values, least) = self.tally.columns(entries)?;
        let most: Int64Array = least.unary(|count| count.saturating_add(self.taken_off));
        list_of(item(&self.value), vec![values, Arc::new(least), Arc::new(most)])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.tally.size()
    }
}
