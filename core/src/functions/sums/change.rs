//! Adding rows to the sums of their groups, and taking them away again.

use arrow::array::{ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType, i256};

use super::exact::Sums;
use super::integers::Integers;
use super::numbers::Numbers;
use super::term::{Special, Term};

/// Greatest width of a float's integer in bits; a product has twice as many.
const WIDTH: u32 = f64::MANTISSA_DIGITS;

pub(super) fn each(valid: Option<&NullBuffer>, groups: &[usize], mut change: impl FnMut(usize, usize)) {
    match valid {
        None => groups.iter().enumerate().for_each(|(row, &group)| change(row, group)),
        Some(valid) => valid.valid_indices().for_each(|row| change(row, groups[row])),
    }
}

pub(super) fn change_exact(
    sums: &mut Sums<i128>,
    numbers: Numbers<'_>,
    valid: Option<&NullBuffer>,
    groups: &[usize],
    away: bool,
) {
    let integer = |sums: &mut Sums<i128>, group, value| {
        let term = Term::of_integer(value).negated_if(away);
        sums.add(group, term, term.width());
    };
    match numbers {
        Numbers::Float(values) => each(valid, groups, |row, group| match Term::of_float(values[row]) {
            Some(term) => sums.add(group, term.negated_if(away), WIDTH),
            None => sums.add_special(group, Special::of(values[row]).unwrap_or(Special::NotANumber)),
        }),
        Numbers::Int(values) => each(valid, groups, |row, group| integer(sums, group, values[row].into())),
        Numbers::Long(values) => each(valid, groups, |row, group| integer(sums, group, values[row].into())),
        Numbers::UnsignedInt(values) => each(valid, groups, |row, group| integer(sums, group, values[row].into())),
        Numbers::UnsignedLong(values) => each(valid, groups, |row, group| integer(sums, group, values[row].into())),
        Numbers::Decimal(values) => each(valid, groups, |row, group| integer(sums, group, values[row])),
        Numbers::LongDecimal(values) => {
            each(valid, groups, |row, group| sums.add_long(group, values[row], away));
        }
    }
}

pub(super) fn change_integers(
    sums: &mut Integers,
    numbers: Numbers<'_>,
    valid: Option<&NullBuffer>,
    groups: &[usize],
    away: bool,
) {
    let sign = if away { -1 } else { 1 };
    match numbers {
        Numbers::Int(values) => each(valid, groups, |row, group| sums.add(group, sign * i128::from(values[row]))),
        Numbers::Long(values) => each(valid, groups, |row, group| sums.add(group, sign * i128::from(values[row]))),
        Numbers::UnsignedInt(values) => {
            each(valid, groups, |row, group| sums.add(group, sign * i128::from(values[row])));
        }
        Numbers::UnsignedLong(values) => {
            each(valid, groups, |row, group| sums.add(group, sign * i128::from(values[row])));
        }
        Numbers::Float(_) | Numbers::Decimal(_) | Numbers::LongDecimal(_) => {}
    }
}

pub(super) fn change_intervals(
    parts: &mut [Integers; 3],
    column: &ArrayRef,
    valid: Option<&NullBuffer>,
    groups: &[usize],
    away: bool,
) {
    let sign = if away { -1 } else { 1 };
    let intervals = column.as_primitive::<IntervalMonthDayNanoType>().values();
    each(valid, groups, |row, group| {
        let IntervalMonthDayNano { months, days, nanoseconds } = intervals[row];
        for (sums, part) in parts.iter_mut().zip([months.into(), days.into(), i128::from(nanoseconds)]) {
            sums.add(group, sign * part);
        }
    });
}

pub(super) fn change_products(
    sums: &mut Sums<i256>,
    left: &[f64],
    right: &[f64],
    valid: Option<&NullBuffer>,
    groups: &[usize],
    away: bool,
) {
    each(valid, groups, |row, group| match (Term::of_float(left[row]), Term::of_float(right[row])) {
        (Some(a), Some(b)) => sums.add(group, a.times(b).negated_if(away), 2 * WIDTH),
        _ => sums.add_special(group, Special::of(left[row] * right[row]).unwrap_or(Special::NotANumber)),
    });
}
