//! The state of each group: the number of rows, and exact sums of their values, squares and products.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, IntervalMonthDayNanoArray, PrimitiveArray, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Field, FieldRef, Int64Type, IntervalMonthDayNano,
    UInt64Type, i256,
};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::EmitTo;
use datafusion::logical_expr::utils::format_state_name;
use num_bigint::BigInt;

use super::change::{change_exact, change_integers, change_intervals, change_products, each};
use super::exact::{Exact, SumValue, Sums};
use super::integers::Integers;
use super::numbers::Numbers;
use super::quick;
use super::statistic::{KnownSums, Statistic};
use super::term::Special;
use super::whole::{divided, long, rounded, scale, shifted, within};

/// One aggregate of a plan.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) statistic: Statistic,
    /// Name in errors: the function and its argument.
    pub(super) name: Arc<str>,
    /// Type of its first argument, after coercion.
    pub(super) argument: DataType,
    pub(super) answer: DataType,
}

impl Shape {
    /// Whether the first column is added up in 128 bits.
    fn of_integers(argument: &DataType) -> bool {
        argument.is_integer() || matches!(argument, DataType::Duration(_))
    }

    pub(super) fn state_fields(statistic: Statistic, name: &str, argument: &DataType) -> Vec<FieldRef> {
        let needs = statistic.needs();
        let interval = is_interval(argument);
        let first = if Self::of_integers(argument) { Integers::STATE } else { DataType::Binary };
        let columns = [
            (needs.count, "count", DataType::UInt64),
            (needs.a && !interval, "sum", first),
            (interval, "months", Integers::STATE),
            (interval, "days", Integers::STATE),
            (interval, "nanoseconds", Integers::STATE),
            (needs.b, "sum b", DataType::Binary),
            (needs.aa, "squares", DataType::Binary),
            (needs.bb, "squares b", DataType::Binary),
            (needs.ab, "products", DataType::Binary),
        ];
        let needed = columns.into_iter().filter(|(needed, ..)| *needed);
        needed.map(|(_, part, data_type)| Field::new(format_state_name(name, part), data_type, true).into()).collect()
    }
}

#[derive(Debug)]
pub(super) struct Moments {
    pub(super) shape: Shape,
    groups: usize,
    counts: Option<Vec<u64>>,
    a: Option<First>,
    b: Option<Sums<i128>>,
    aa: Option<Sums<i256>>,
    bb: Option<Sums<i256>>,
    ab: Option<Sums<i256>>,
}

#[derive(Debug)]
enum First {
    Exact(Sums<i128>),
    Integers(Integers),
    /// Months, days, nanoseconds.
    Intervals(Box<[Integers; 3]>),
}

impl Moments {
    pub(super) fn new(shape: Shape) -> Self {
        let needs = shape.statistic.needs();
        let first = || match &shape.argument {
            argument if Shape::of_integers(argument) => First::Integers(Integers::default()),
            argument if is_interval(argument) => First::Intervals(Box::default()),
            _ => First::Exact(Sums::default()),
        };
        Self {
            groups: 0,
            counts: needs.count.then(Vec::new),
            a: needs.a.then(first),
            b: needs.b.then(Sums::default),
            aa: needs.aa.then(Sums::default),
            bb: needs.bb.then(Sums::default),
            ab: needs.ab.then(Sums::default),
            shape,
        }
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.groups = groups;
        self.counts.iter_mut().for_each(|counts| counts.resize(groups, 0));
        match &mut self.a {
            Some(First::Exact(sums)) => sums.resize(groups),
            Some(First::Integers(sums)) => sums.resize(groups),
            Some(First::Intervals(parts)) => parts.iter_mut().for_each(|sums| sums.resize(groups)),
            None => {}
        }
        self.b.iter_mut().for_each(|sums| sums.resize(groups));
        for sums in [&mut self.aa, &mut self.bb, &mut self.ab] {
            sums.iter_mut().for_each(|sums| sums.resize(groups));
        }
    }

    /// Adds rows of the argument columns to their groups, those that are `valid`; or takes rows away that were added.
    pub(super) fn change(
        &mut self,
        columns: &[ArrayRef],
        valid: Option<&NullBuffer>,
        groups: &[usize],
        away: bool,
    ) -> Result<()> {
        if let Some(counts) = &mut self.counts {
            let change = if away { u64::MAX } else { 1 };
            each(valid, groups, |_, group| counts[group] = counts[group].wrapping_add(change));
        }
        match &mut self.a {
            Some(First::Exact(sums)) => change_exact(sums, Numbers::of(&columns[0])?, valid, groups, away),
            Some(First::Integers(sums)) => change_integers(sums, Numbers::of(&columns[0])?, valid, groups, away),
            Some(First::Intervals(parts)) => change_intervals(parts, &columns[0], valid, groups, away),
            None => {}
        }
        if let Some(sums) = &mut self.b {
            change_exact(sums, Numbers::of(&columns[1])?, valid, groups, away);
        }
        for (sums, left, right) in [(&mut self.aa, 0, 0), (&mut self.bb, 1, 1), (&mut self.ab, 0, 1)] {
            if let Some(sums) = sums {
                let (left, right) = (Numbers::floats(&columns[left])?, Numbers::floats(&columns[right])?);
                change_products(sums, left, right, valid, groups, away);
            }
        }
        Ok(())
    }

    /// Adds an infinity or NaN to all sums of a group.
    pub(super) fn add_special(&mut self, group: usize, special: Special) {
        if let Some(First::Exact(sums)) = &mut self.a {
            sums.add_special(group, special);
        }
        self.b.iter_mut().for_each(|sums| sums.add_special(group, special));
        for sums in [&mut self.aa, &mut self.bb, &mut self.ab] {
            sums.iter_mut().for_each(|sums| sums.add_special(group, special));
        }
    }

    pub(super) fn merge(&mut self, states: &[ArrayRef], groups: &[usize]) -> Result<()> {
        let mut states = states.iter();
        let mut next = || states.next().map_or_else(|| exec_err!("a state has too few columns"), Ok);
        if let Some(counts) = &mut self.counts {
            let state = next()?.as_primitive::<UInt64Type>();
            for (&group, count) in groups.iter().zip(state) {
                counts[group] += count.unwrap_or(0);
            }
        }
        match &mut self.a {
            Some(First::Exact(sums)) => sums.merge(next()?.as_binary(), groups)?,
            Some(First::Integers(sums)) => sums.merge(next()?, groups),
            Some(First::Intervals(parts)) => {
                for sums in parts.iter_mut() {
                    sums.merge(next()?, groups);
                }
            }
            None => {}
        }
        if let Some(sums) = &mut self.b {
            sums.merge(next()?.as_binary(), groups)?;
        }
        for sums in [&mut self.aa, &mut self.bb, &mut self.ab].into_iter().flatten() {
            sums.merge(next()?.as_binary(), groups)?;
        }
        Ok(())
    }

    /// Takes out the groups that `emit_to` names.
    pub(super) fn take(&mut self, emit_to: EmitTo) -> Self {
        let groups = match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(groups) => groups,
        };
        self.groups -= groups;
        Self {
            shape: self.shape.clone(),
            groups,
            counts: self.counts.as_mut().map(|counts| emit_to.take_needed(counts)),
            a: self.a.as_mut().map(|first| match first {
                First::Exact(sums) => First::Exact(sums.take(emit_to)),
                First::Integers(sums) => First::Integers(sums.take(emit_to)),
                First::Intervals(parts) => First::Intervals(Box::new(parts.each_mut().map(|sums| sums.take(emit_to)))),
            }),
            b: self.b.as_mut().map(|sums| sums.take(emit_to)),
            aa: self.aa.as_mut().map(|sums| sums.take(emit_to)),
            bb: self.bb.as_mut().map(|sums| sums.take(emit_to)),
            ab: self.ab.as_mut().map(|sums| sums.take(emit_to)),
        }
    }

    pub(super) fn into_state(self) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = vec![];
        columns.extend(self.counts.map(|counts| Arc::new(UInt64Array::from(counts)) as ArrayRef));
        match self.a {
            Some(First::Exact(sums)) => columns.push(Arc::new(sums.state())),
            Some(First::Integers(sums)) => columns.push(sums.state()?),
            Some(First::Intervals(parts)) => {
                for sums in *parts {
                    columns.push(sums.state()?);
                }
            }
            None => {}
        }
        columns.extend(self.b.map(|sums| Arc::new(sums.state()) as ArrayRef));
        let products = [self.aa, self.bb, self.ab].into_iter().flatten();
        columns.extend(products.map(|sums| Arc::new(sums.state()) as ArrayRef));
        Ok(columns)
    }

    pub(super) fn size(&self) -> usize {
        let first = match &self.a {
            Some(First::Exact(sums)) => sums.size(),
            Some(First::Integers(sums)) => sums.size(),
            Some(First::Intervals(parts)) => parts.iter().map(Integers::size).sum(),
            None => 0,
        };
        let products: usize = [&self.aa, &self.bb, &self.ab].into_iter().flatten().map(Sums::size).sum();
        let counts = self.counts.as_ref().map_or(0, |counts| counts.capacity() * size_of::<u64>());
        size_of::<Self>() + counts + first + self.b.as_ref().map_or(0, Sums::size) + products
    }

    /// One value per group.
    ///
    /// # Errors
    /// When a value is out of the range of its type; the accumulators never are.
    pub(super) fn answer(&self) -> Result<ArrayRef> {
        match &self.shape.answer {
            DataType::Float64 => {
                let floats = (0..self.groups).map(|group| self.float(group));
                Ok(Arc::new(floats.collect::<Result<Float64Array>>()?))
            }
            DataType::UInt64 if self.shape.statistic == Statistic::Count => {
                Ok(Arc::new(UInt64Array::from_iter_values((0..self.groups).map(|group| self.count(group)))))
            }
            DataType::UInt64 => self.integers::<UInt64Type>(|whole| whole.to_i128()?.try_into().ok()),
            DataType::Int64 => self.integers::<Int64Type>(|whole| whole.to_i128()?.try_into().ok()),
            DataType::Duration(_) => {
                let integers = self.integers::<Int64Type>(|whole| whole.to_i128()?.try_into().ok())?;
                Ok(cast(&integers, &self.shape.answer)?)
            }
            &DataType::Decimal128(precision, scale) => {
                self.integers::<Decimal128Type>(|whole| within::<Decimal128Type>(whole.to_i128()?, precision, scale))
            }
            &DataType::Decimal256(precision, scale) => {
                self.integers::<Decimal256Type>(|whole| within::<Decimal256Type>(whole, precision, scale))
            }
            DataType::Interval(_) => {
                let intervals = (0..self.groups).map(|group| self.interval(group));
                Ok(Arc::new(intervals.collect::<Result<IntervalMonthDayNanoArray>>()?))
            }
            other => exec_err!("`{}` cannot be {other}", self.shape.name),
        }
    }

    fn interval(&self, group: usize) -> Result<Option<IntervalMonthDayNano>> {
        let Some(First::Intervals(parts)) = &self.a else { return Ok(None) };
        let [Some(months), Some(days), Some(nanoseconds)] = parts.each_ref().map(|sums| sums.value(group)) else {
            return Ok(None);
        };
        match (months.try_into(), days.try_into(), nanoseconds.try_into()) {
            (Ok(months), Ok(days), Ok(nanoseconds)) => Ok(Some(IntervalMonthDayNano { months, days, nanoseconds })),
            _ => self.out_of_range(),
        }
    }

    fn integers<T: ArrowPrimitiveType>(&self, of: impl Fn(i256) -> Option<T::Native>) -> Result<ArrayRef> {
        let values = (0..self.groups).map(|group| match self.whole(group)? {
            Some(whole) => of(whole).map_or_else(|| self.out_of_range(), |value| Ok(Some(value))),
            None => Ok(None),
        });
        let values = values.collect::<Result<Vec<_>>>()?.into_iter().collect::<PrimitiveArray<T>>();
        Ok(match self.shape.answer {
            DataType::Duration(_) => Arc::new(values),
            _ => Arc::new(values.with_data_type(self.shape.answer.clone())),
        })
    }

    /// The sum or average of integers or decimals, in units of the answer's last digit.
    fn whole(&self, group: usize) -> Result<Option<i256>> {
        let count = match (self.shape.statistic, self.count(group)) {
            (Statistic::Sum, _) => 1,
            (_, 0) => return Ok(None),
            (_, count) => count,
        };
        let small = match &self.a {
            Some(First::Integers(sums)) => sums.value(group),
            Some(First::Exact(sums)) => sums.window(group).and_then(|(window, exponent)| shifted(window, exponent)),
            Some(First::Intervals(_)) | None => None,
        };
        let more_digits = scale(&self.shape.answer).saturating_sub(scale(&self.shape.argument)).max(0).unsigned_abs();
        if let Some(whole) = small.and_then(|small| divided(small, more_digits, count)) {
            return Ok(Some(i256::from_i128(whole)));
        }
        let sum = match &self.a {
            Some(First::Integers(sums)) => sums.value(group).map(BigInt::from),
            Some(First::Exact(sums)) => match sums.value(group) {
                SumValue::Finite(exact) => Some(exact.whole()),
                _ => None,
            },
            Some(First::Intervals(_)) | None => None,
        };
        let Some(sum) = sum else { return Ok(None) };
        let whole = long(&rounded(&(sum * BigInt::from(10).pow(more_digits.into())), count));
        whole.map_or_else(|| self.out_of_range(), |whole| Ok(Some(whole)))
    }

    fn float(&self, group: usize) -> Result<Option<f64>> {
        let statistic = self.shape.statistic;
        let count = self.counts.as_ref().map_or(1, |counts| counts[group]);
        if count < statistic.least_rows() {
            return Ok(None);
        }
        let quick = self.quick(group, count);
        let value = match quick {
            Some(quick) => quick,
            None => match self.known(group, count) {
                Ok(known) => match known.statistic(statistic) {
                    Some(value) => value,
                    None => return Ok(None),
                },
                Err(SumValue::Special(special)) => return Ok(Some(self.special(special))),
                Err(_) => return Ok(None),
            },
        };
        if value.is_infinite() { self.out_of_range() } else { Ok(Some(value)) }
    }

    fn quick(&self, group: usize, count: u64) -> Option<f64> {
        let first = match &self.a {
            Some(First::Integers(sums)) => return Some(quick::average(sums.value(group)?, 0, count)),
            Some(First::Exact(sums)) => Some(sums),
            Some(First::Intervals(_)) | None => None,
        };
        match (self.shape.statistic, first, &self.b, &self.aa) {
            (Statistic::Sum | Statistic::Average | Statistic::AverageY, Some(sums), ..)
            | (Statistic::AverageX, _, Some(sums), _) => {
                let (window, exponent) = sums.window(group)?;
                Some(quick::average(window, exponent, count))
            }
            (Statistic::Variance(divisor), Some(sums), _, Some(squares)) => {
                quick::variance(sums.window(group)?, squares.window(group)?, count, divisor)
            }
            (Statistic::Deviation(divisor), Some(sums), _, Some(squares)) => {
                quick::variance(sums.window(group)?, squares.window(group)?, count, divisor).map(f64::sqrt)
            }
            _ => None,
        }
    }

    /// The answer for a group with an infinity or NaN: sums and averages of infinities are infinite, statistics of
    /// squares are NaN.
    pub(super) fn special(&self, special: Special) -> f64 {
        match self.shape.statistic {
            Statistic::Sum | Statistic::Average | Statistic::AverageX | Statistic::AverageY => special.float(),
            _ => f64::NAN,
        }
    }

    /// The exact sums of a group, or the first one that is no finite number.
    fn known(&self, group: usize, n: u64) -> Result<KnownSums, SumValue> {
        let a = match &self.a {
            Some(First::Exact(sums)) => finite(sums.value(group))?,
            Some(First::Integers(sums)) => {
                Exact { integer: sums.value(group).ok_or(SumValue::Empty)?.into(), exponent: 0 }
            }
            Some(First::Intervals(_)) | None => Exact::ZERO,
        };
        let b = self.b.as_ref().map_or(Ok(Exact::ZERO), |sums| finite(sums.value(group)))?;
        let of = |sums: &Option<Sums<i256>>| sums.as_ref().map_or(Ok(Exact::ZERO), |sums| finite(sums.value(group)));
        Ok(KnownSums { n, a, b, aa: of(&self.aa)?, bb: of(&self.bb)?, ab: of(&self.ab)? })
    }

    fn count(&self, group: usize) -> u64 {
        self.counts.as_ref().map_or(0, |counts| counts[group])
    }

    fn out_of_range<T>(&self) -> Result<T> {
        let data_type = match &self.shape.answer {
            DataType::Float64 => "DOUBLE".to_owned(),
            DataType::Int64 => "BIGINT".to_owned(),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                format!("DECIMAL({precision}, {scale})")
            }
            other => other.to_string(),
        };
        exec_err!("`{}` of a group is out of range for {data_type}", self.shape.name)
    }
}

fn finite(value: SumValue) -> Result<Exact, SumValue> {
    match value {
        SumValue::Finite(exact) => Ok(exact),
        other => Err(other),
    }
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}
