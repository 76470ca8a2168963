//! `age(a, b)`: the years, months, days and time from `b` to `a` on the calendar.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, TimeUnit};
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, Timelike};
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::function::Function;
use super::interval::INTERVAL;
use super::zone::SqlZone;
use super::zoned::per_second;

const NANOS: i64 = 1_000_000_000;

/// `age(a, b)`. Instants count by the local time of their zones.
pub(super) fn age() -> Arc<ScalarUDF> {
    Function::new("age", types, |arguments, _| {
        let (to, from) = (locals(&arguments[0])?, locals(&arguments[1])?);
        let each = to.into_iter().zip(from).map(|pair| match pair {
            (Some(to), Some(from)) => Some(between(to, from)),
            _ => None,
        });
        Ok(Arc::new(each.collect::<IntervalMonthDayNanoArray>()))
    })
    .udf()
}

fn types(types: &[DataType]) -> Result<(Vec<DataType>, DataType)> {
    let [to, from] = types else { return plan_err!("`age` takes two times, or one that is compared with today") };
    let wanted = [to, from].map(|time| match time {
        DataType::Timestamp(..) => Ok(time.clone()),
        DataType::Date32 | DataType::Date64 | DataType::Null => Ok(DataType::Timestamp(TimeUnit::Microsecond, None)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        other => plan_err!("`age` takes times, not `{other}`"),
    });
    Ok((wanted.into_iter().collect::<Result<_>>()?, INTERVAL))
}

/// The local times of an array of timestamps.
fn locals(array: &ArrayRef) -> Result<Vec<Option<NaiveDateTime>>> {
    let DataType::Timestamp(unit, zone) = array.data_type() else { return exec_err!("`age` takes times") };
    let per_second = per_second(*unit);
    let mut zone = zone.as_deref().map(SqlZone::parse).transpose()?;
    let instants = cast(array, &DataType::Int64)?;
    let mut local = |instant: i64| {
        let (seconds, part) = (instant.div_euclid(per_second), instant.rem_euclid(per_second));
        let ahead = zone.as_mut().map(|zone| zone.ahead(seconds)).transpose()?;
        let time = DateTime::from_timestamp(seconds + ahead.unwrap_or(0), (part * (NANOS / per_second)) as u32);
        time.map(|time| time.naive_utc()).ok_or_else(|| exec_datafusion_err!("timestamp out of range"))
    };
    instants.as_primitive::<Int64Type>().iter().map(|instant| instant.map(&mut local).transpose()).collect()
}

/// PostgreSQL's `timestamp_age`: fields are subtracted one by one, and missing days are borrowed from the month of the
/// earlier time.
fn between(to: NaiveDateTime, from: NaiveDateTime) -> IntervalMonthDayNano {
    let (late, early, sign) = if to >= from { (to, from, 1) } else { (from, to, -1) };
    let months = |time: NaiveDateTime| i64::from(time.year()) * 12 + i64::from(time.month0());
    let clock =
        |time: NaiveDateTime| i64::from(time.num_seconds_from_midnight()) * NANOS + i64::from(time.nanosecond());
    let mut month = months(late) - months(early);
    let mut day = i64::from(late.day()) - i64::from(early.day());
    let mut nanos = clock(late) - clock(early);
    if nanos < 0 {
        nanos += 86_400 * NANOS;
        day -= 1;
    }
    // Borrow once more where that month is too short.
    while day < 0 {
        day += days_of_month(early.date());
        month -= 1;
    }
    IntervalMonthDayNano::new((sign * month) as i32, (sign * day) as i32, sign * nanos)
}

fn days_of_month(date: NaiveDate) -> i64 {
    let first = date.with_day(1);
    let next = first.and_then(|first| first.checked_add_months(Months::new(1)));
    first.zip(next).map_or(31, |(first, next)| next.signed_duration_since(first).num_days())
}
