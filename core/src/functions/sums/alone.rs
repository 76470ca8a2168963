//! The accumulator for one group: for an aggregate without GROUP BY, and for windows, which also remove rows.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo};

use super::grouped::valid;
use super::moments::{Moments, Shape};
use super::statistic::Statistic;
use super::term::Special;

#[derive(Debug)]
pub(super) struct Alone {
    moments: Moments,
    /// Group of every row, which is the only one.
    groups: Vec<usize>,
    /// Counts for a window whose start moves.
    sliding: Option<Sliding>,
}

/// The infinities and NaNs in a window, which cannot be subtracted from a sum.
#[derive(Debug, Default)]
struct Sliding {
    rows: u64,
    positive: u64,
    negative: u64,
    not_a_number: u64,
}

impl Alone {
    pub(super) fn new(shape: Shape) -> Self {
        let mut moments = Moments::new(shape);
        moments.resize(1);
        Self { moments, groups: vec![], sliding: None }
    }

    pub(super) fn sliding(shape: Shape) -> Self {
        Self { sliding: Some(Sliding::default()), ..Self::new(shape) }
    }

    fn change(&mut self, columns: &[ArrayRef], away: bool) -> Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        self.groups.resize(rows, 0);
        let valid = valid(columns, None);
        let Some(sliding) = &mut self.sliding else {
            return self.moments.change(columns, valid.as_ref(), &self.groups, away);
        };
        let count = rows - valid.as_ref().map_or(0, |valid| valid.null_count());
        step(&mut sliding.rows, count as u64, away);
        let is_valid = |row| valid.as_ref().is_none_or(|valid| valid.is_valid(row));
        let special: Vec<_> = (0..rows).map(|row| if is_valid(row) { special(columns, row) } else { None }).collect();
        if special.iter().all(Option::is_none) {
            return self.moments.change(columns, valid.as_ref(), &self.groups, away);
        }
        for special in special.iter().flatten() {
            step(sliding.of(*special), 1, away);
        }
        let finite = BooleanArray::from_iter(special.iter().map(|special| Some(special.is_none())));
        let columns = columns.iter().map(|column| filter(column, &finite)).collect::<Result<Vec<_>, _>>()?;
        let left = &self.groups[..columns.first().map_or(0, |column| column.len())];
        self.moments.change(&columns, super::grouped::valid(&columns, None).as_ref(), left, away)
    }
}

impl Sliding {
    fn of(&mut self, special: Special) -> &mut u64 {
        match special {
            Special::PositiveInfinity => &mut self.positive,
            Special::NegativeInfinity => &mut self.negative,
            Special::NotANumber => &mut self.not_a_number,
        }
    }

    fn special(&self) -> Option<Special> {
        match (self.positive, self.negative, self.not_a_number) {
            (0, 0, 0) => None,
            (_, 0, 0) => Some(Special::PositiveInfinity),
            (0, _, 0) => Some(Special::NegativeInfinity),
            _ => Some(Special::NotANumber),
        }
    }
}

fn step(count: &mut u64, by: u64, away: bool) {
    *count = if away { count.saturating_sub(by) } else { *count + by };
}

/// The infinity or NaN that a row adds, if any.
fn special(columns: &[ArrayRef], row: usize) -> Option<Special> {
    let mut floats = columns.iter().filter(|column| *column.data_type() == DataType::Float64);
    floats.find_map(|column| Special::of(column.as_primitive::<Float64Type>().value(row)))
}

impl Accumulator for Alone {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.change(columns, false)
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.change(columns, true)
    }

    fn supports_retract_batch(&self) -> bool {
        self.sliding.is_some()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let shape = &self.moments.shape;
        match &self.sliding {
            Some(sliding) if shape.statistic == Statistic::Count => Ok(ScalarValue::UInt64(Some(sliding.rows))),
            Some(sliding) if sliding.rows < shape.statistic.least_rows() => ScalarValue::try_from(&shape.answer),
            Some(Sliding { rows: _, positive: 0, negative: 0, not_a_number: 0 }) | None => {
                ScalarValue::try_from_array(&self.moments.answer()?, 0)
            }
            Some(sliding) => {
                let special = sliding.special().unwrap_or(Special::NotANumber);
                Ok(ScalarValue::Float64(Some(self.moments.special(special))))
            }
        }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        if let Some(special) = self.sliding.as_ref().and_then(Sliding::special) {
            self.moments.add_special(0, special);
        }
        let state = self.moments.take(EmitTo::All).into_state()?;
        self.moments.resize(1);
        state.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.groups.resize(states.first().map_or(0, |state| state.len()), 0);
        self.moments.merge(states, &self.groups)
    }

    fn size(&self) -> usize {
        self.moments.size() + self.groups.capacity() * size_of::<usize>()
    }
}
