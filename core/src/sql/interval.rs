//! Intervals by PostgreSQL's rules: months, days and a time, where a day has 24 hours and a month 30 days for
//! comparison and division.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::function::{ColumnNaming, Function};

pub(super) const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

pub(super) const MICRO: i64 = 1000;
pub(super) const SECOND: i64 = 1_000_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;
const DAYS_PER_MONTH: i128 = 30;

/// The key by which two intervals are compared.
fn key(interval: IntervalMonthDayNano) -> i128 {
    let days = i128::from(interval.months) * DAYS_PER_MONTH + i128::from(interval.days);
    days * i128::from(DAY) + i128::from(interval.nanoseconds)
}

/// `interval_key(i)`: a number in the order of intervals; `24:00:00` and `1 day` have the same.
pub(super) fn interval_key() -> Arc<ScalarUDF> {
    let types = |_: &[DataType]| Ok((vec![INTERVAL], DataType::Decimal128(38, 0)));
    Function::named("interval_key", ColumnNaming::First, types, |arguments, _| {
        let keys = arguments[0].as_primitive::<IntervalMonthDayNanoType>().unary::<_, Decimal128Type>(key);
        Ok(Arc::new(keys.with_precision_and_scale(38, 0)?))
    })
    .udf()
}

/// `interval * number`; a remainder of months becomes days, and one of days time.
pub(super) fn multiplied() -> Arc<ScalarUDF> {
    Function::named("interval_multiply", ColumnNaming::Infix("*"), by_number, |arguments, _| scaled(arguments, times))
        .udf()
}

/// `interval / number`.
pub(super) fn divided() -> Arc<ScalarUDF> {
    Function::named("interval_divide", ColumnNaming::Infix("/"), by_number, |arguments, _| {
        scaled(arguments, |interval, divisor| match divisor == 0.0 {
            true => exec_err!("division by zero"),
            false => over(interval, divisor),
        })
    })
    .udf()
}

fn by_number(types: &[DataType]) -> Result<(Vec<DataType>, DataType)> {
    match types {
        [DataType::Interval(_), number] if number.is_numeric() || number.is_null() => {
            Ok((vec![INTERVAL, DataType::Float64], INTERVAL))
        }
        _ => plan_err!("an interval is multiplied or divided by a number"),
    }
}

fn scaled(
    arguments: &[ArrayRef],
    by: impl Fn(IntervalMonthDayNano, f64) -> Result<IntervalMonthDayNano>,
) -> Result<ArrayRef> {
    let intervals = arguments[0].as_primitive::<IntervalMonthDayNanoType>();
    let numbers: &Float64Array = arguments[1].as_primitive::<Float64Type>();
    let each = intervals.iter().zip(numbers).map(|(interval, number)| match (interval, number) {
        (Some(interval), Some(number)) => by(interval, number).map(Some),
        _ => Ok(None),
    });
    Ok(Arc::new(each.collect::<Result<IntervalMonthDayNanoArray>>()?))
}

fn out_of_range() -> DataFusionError {
    DataFusionError::Execution("interval out of range".to_owned())
}

fn whole(number: f64) -> Result<i32> {
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    if fits { Ok(number as i32) } else { Err(out_of_range()) }
}

/// Rounds to the microsecond, as PostgreSQL's `TSROUND`.
fn to_micros(number: f64) -> f64 {
    (number * 1_000_000.0).round_ties_even() / 1_000_000.0
}

/// PostgreSQL's `interval_mul`, whose cascade of remainders goes through floats; whole numbers stay exact.
fn times(interval: IntervalMonthDayNano, factor: f64) -> Result<IntervalMonthDayNano> {
    if factor.fract() == 0.0 && factor.abs() < 9e15 {
        let factor = factor as i64;
        let times = |number: i64| number.checked_mul(factor).ok_or_else(out_of_range);
        let small = |number: i64| i32::try_from(times(number)?).map_err(|_| out_of_range());
        return Ok(IntervalMonthDayNano::new(
            small(i64::from(interval.months))?,
            small(i64::from(interval.days))?,
            times(interval.nanoseconds)?,
        ));
    }
    cascade(interval, |number| number * factor)
}

fn over(interval: IntervalMonthDayNano, divisor: f64) -> Result<IntervalMonthDayNano> {
    cascade(interval, |number| number / divisor)
}

fn cascade(interval: IntervalMonthDayNano, scale: impl Fn(f64) -> f64) -> Result<IntervalMonthDayNano> {
    let months = scale(f64::from(interval.months));
    let days = scale(f64::from(interval.days));
    let whole_months = whole(months.trunc())?;
    let mut whole_days = whole(days.trunc())?;
    // Days that the months left over, and the time that both left over.
    let month_days = to_micros((months - months.trunc()) * 30.0);
    let mut seconds = to_micros((days - days.trunc() + month_days - month_days.trunc()) * 86_400.0);
    if seconds.abs() >= 86_400.0 {
        let more = (seconds / 86_400.0).trunc();
        whole_days = whole_days.checked_add(whole(more)?).ok_or_else(out_of_range)?;
        seconds -= more * 86_400.0;
    }
    whole_days = whole_days.checked_add(whole(month_days.trunc())?).ok_or_else(out_of_range)?;
    let micros = (scale((interval.nanoseconds / MICRO) as f64) + seconds * 1_000_000.0).round_ties_even();
    if micros.is_nan() || micros.abs() > 9.2e15 {
        return Err(out_of_range());
    }
    Ok(IntervalMonthDayNano::new(whole_months, whole_days, micros as i64 * MICRO))
}

/// `justify_days`, `justify_hours` and `justify_interval`.
pub(super) fn justify() -> [Arc<ScalarUDF>; 3] {
    let types = |types: &[DataType]| match types {
        [DataType::Interval(_) | DataType::Duration(_) | DataType::Null] => Ok((vec![INTERVAL], INTERVAL)),
        _ => plan_err!("an interval is wanted"),
    };
    [
        Function::new("justify_days", types, |arguments, _| each(&arguments[0], justify_days)).udf(),
        Function::new("justify_hours", types, |arguments, _| each(&arguments[0], justify_hours)).udf(),
        Function::new("justify_interval", types, |arguments, _| {
            each(&arguments[0], |interval| signs_agree(justify_days(justify_hours(interval)?)?))
        })
        .udf(),
    ]
}

fn each(
    intervals: &ArrayRef,
    change: impl Fn(IntervalMonthDayNano) -> Result<IntervalMonthDayNano>,
) -> Result<ArrayRef> {
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let changed = intervals.iter().map(|interval| interval.map(&change).transpose());
    Ok(Arc::new(changed.collect::<Result<IntervalMonthDayNanoArray>>()?))
}

fn justify_days(interval: IntervalMonthDayNano) -> Result<IntervalMonthDayNano> {
    let (mut months, mut days) = (i64::from(interval.months) + i64::from(interval.days) / 30, interval.days % 30);
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - 30);
    }
    let months = i32::try_from(months).map_err(|_| out_of_range())?;
    Ok(IntervalMonthDayNano::new(months, days, interval.nanoseconds))
}

fn justify_hours(interval: IntervalMonthDayNano) -> Result<IntervalMonthDayNano> {
    let mut days = i64::from(interval.days) + interval.nanoseconds / DAY;
    let mut nanos = interval.nanoseconds % DAY;
    if days > 0 && nanos < 0 {
        (days, nanos) = (days - 1, nanos + DAY);
    } else if days < 0 && nanos > 0 {
        (days, nanos) = (days + 1, nanos - DAY);
    }
    let days = i32::try_from(days).map_err(|_| out_of_range())?;
    Ok(IntervalMonthDayNano::new(interval.months, days, nanos))
}

/// Gives the months and the rest the same sign.
fn signs_agree(interval: IntervalMonthDayNano) -> Result<IntervalMonthDayNano> {
    let IntervalMonthDayNano { mut months, mut days, mut nanoseconds } = interval;
    let below = |days: i32, nanos: i64| i128::from(days) * i128::from(DAY) + i128::from(nanos);
    if months > 0 && below(days, nanoseconds) < 0 {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && below(days, nanoseconds) > 0 {
        (months, days) = (months + 1, days - 30);
    }
    if days > 0 && nanoseconds < 0 {
        (days, nanoseconds) = (days - 1, nanoseconds + DAY);
    } else if days < 0 && nanoseconds > 0 {
        (days, nanoseconds) = (days + 1, nanoseconds - DAY);
    }
    Ok(IntervalMonthDayNano::new(months, days, nanoseconds))
}

/// An interval in PostgreSQL's text form: `1 year 2 mons 3 days 04:05:06.7`.
pub(super) fn text(interval: IntervalMonthDayNano) -> String {
    let (years, months, days) = (interval.months / 12, interval.months % 12, interval.days);
    let nanos = interval.nanoseconds;
    let mut parts = vec![];
    // After a negative part a positive one has a sign.
    let mut negative = false;
    for (number, unit) in [(years, "year"), (months, "mon"), (days, "day")] {
        if number != 0 {
            let plus = if negative && number > 0 { "+" } else { "" };
            parts.push(format!("{plus}{number} {unit}{}", if number == 1 { "" } else { "s" }));
            negative = number < 0;
        }
    }
    if nanos != 0 || parts.is_empty() {
        let sign = match nanos {
            ..0 => "-",
            _ if negative => "+",
            _ => "",
        };
        let nanos = nanos.unsigned_abs();
        let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let fraction = super::digits::fraction(fraction);
        parts.push(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"));
    }
    parts.join(" ")
}

/// Any interval or duration as months, days and nanoseconds; durations get days, as the difference of two timestamps
/// does in PostgreSQL.
pub(super) fn normal(array: &ArrayRef) -> Result<IntervalMonthDayNanoArray> {
    let intervals = cast(array, &INTERVAL)?.as_primitive::<IntervalMonthDayNanoType>().clone();
    Ok(match array.data_type() {
        DataType::Duration(_) => intervals.unary(|interval: IntervalMonthDayNano| {
            let days = (interval.nanoseconds / DAY) as i32;
            IntervalMonthDayNano::new(0, days, interval.nanoseconds % DAY)
        }),
        _ => intervals,
    })
}
