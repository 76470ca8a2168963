//! `date_trunc` and `date_bin` of times whose days are UTC's: as far as the calendar reaches, before 1970 too.
//! DataFusion's count nanoseconds, which end in 2262, and before 1970 they round fractions up.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use datafusion::scalar::ScalarValue;

use super::super::interval::{self, DAY};
use super::{TruncatedField, answer, each, first_day, out_of_range, per_second};

const NANOS: i64 = 1_000_000_000;
const UTC: &str = "UTC";

/// The types; `None` where DataFusion reports the error.
pub(super) fn truncated(arguments: &ScalarFunctionArgs, unit: TimeUnit) -> Result<Option<ColumnarValue>> {
    let [ColumnarValue::Scalar(field), time] = arguments.args.as_slice() else { return Ok(None) };
    let Some(field) = field.try_as_str().flatten().map(str::to_lowercase) else { return Ok(None) };
    let Some(field) = TruncatedField::named(&field) else { return Ok(None) };
    answer(time, 1, |array| truncate(array, per_second(unit), field))
}

fn truncate(array: &ArrayRef, per_second: i64, field: TruncatedField) -> Result<ArrayRef> {
    let day = 86_400 * per_second;
    match field {
        TruncatedField::Fraction(parts) if parts >= per_second => Ok(Arc::clone(array)),
        TruncatedField::Fraction(parts) => changed(array, |time| steps(time, per_second / parts, 0)),
        TruncatedField::Clock(seconds) => changed(array, |time| steps(time, seconds * per_second, 0)),
        TruncatedField::Day => changed(array, |time| steps(time, day, 0)),
        // Weeks begin on Mondays, and 1970 began on a Thursday.
        TruncatedField::Week => changed(array, |time| steps(time, 7 * day, -3 * day)),
        field => changed(array, |time| {
            let first = first_day(date(time.div_euclid(day))?, field).ok()?;
            first.signed_duration_since(NaiveDate::default()).num_days().checked_mul(day)
        }),
    }
}

/// The last multiple of `step` from `origin` that is not after `time`.
fn steps(time: i64, step: i64, origin: i64) -> Option<i64> {
    time.checked_sub(origin)?.div_euclid(step).checked_mul(step)?.checked_add(origin)
}

fn date(days: i64) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(chrono::TimeDelta::try_days(days)?)
}

/// Changes every time of `array`, an array of timestamps; a time without an answer is out of range.
fn changed(array: &ArrayRef, change: impl Fn(i64) -> Option<i64>) -> Result<ArrayRef> {
    let times = cast(array, &DataType::Int64)?;
    let changed: Int64Array =
        times.as_primitive::<Int64Type>().try_unary(|time| change(time).ok_or_else(out_of_range))?;
    Ok(cast(&changed, array.data_type())?)
}

/// A stride, a time, and optionally an origin of the same zone. Arguments that are neither become timestamps.
pub(super) fn types_to_bin(types: &[DataType]) -> Result<Vec<DataType>> {
    let ([_, time] | [_, time, _]) = types else { return plan_err!("`date_bin` takes a stride, a time and an origin") };
    let time = match time {
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => time.clone(),
        DataType::Date32 | DataType::Date64 | DataType::Null => DataType::Timestamp(TimeUnit::Microsecond, None),
        text if text.is_string() => DataType::Timestamp(TimeUnit::Microsecond, None),
        other => return plan_err!("`date_bin` takes a time, not `{other}`"),
    };
    let origin = match &time {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        time => time.clone(),
    };
    Ok([interval::INTERVAL, time, origin].into_iter().take(types.len()).collect())
}

/// The types; `None` where DataFusion reports the error.
pub(super) fn binned(arguments: &ScalarFunctionArgs, unit: TimeUnit) -> Result<Option<ColumnarValue>> {
    let (stride, time, origin) = match arguments.args.as_slice() {
        [ColumnarValue::Scalar(stride), time] => (stride, time, Some(0)),
        [ColumnarValue::Scalar(stride), time, ColumnarValue::Scalar(origin)] => (stride, time, micros(origin)?),
        _ => return Ok(None),
    };
    let (stride, Some(origin)) = (interval::normal(&stride.to_array()?)?, origin) else { return Ok(None) };
    if stride.is_null(0) {
        return Ok(None);
    }
    let stride = stride.value(0);
    let span = i128::from(stride.days) * i128::from(DAY) + i128::from(stride.nanoseconds);
    match (stride.months, span) {
        (0, 1..) => answer(time, 1, |array| in_spans(array, unit, span, origin)),
        (1.., 0) => answer(time, 1, |array| in_months(array, unit, stride.months.into(), origin)),
        (0, _) => exec_err!("the stride of `date_bin` has to be greater than zero"),
        _ => exec_err!("the stride of `date_bin` is months or days and time, not both"),
    }
}

/// The origin, if there is one.
fn micros(origin: &ScalarValue) -> Result<Option<i64>> {
    let micros = cast(&origin.to_array()?, &DataType::Int64)?;
    Ok(micros.as_primitive::<Int64Type>().iter().next().flatten())
}

/// The bins of `array`; `span` counts nanoseconds, `origin` microseconds.
fn in_spans(array: &ArrayRef, unit: TimeUnit, span: i128, origin: i64) -> Result<ArrayRef> {
    let per = i128::from(NANOS / per_second(unit));
    let origin = i128::from(origin) * 1_000;
    if span % per == 0
        && origin % per == 0
        && let (Ok(span), Ok(origin)) = (i64::try_from(span / per), i64::try_from(origin / per))
    {
        return changed(array, |time| steps(time, span, origin));
    }
    changed(array, |time| {
        let start = (i128::from(time) * per - origin).div_euclid(span) * span + origin;
        i64::try_from(start.div_euclid(per)).ok()
    })
}

/// The start of a bin of `months` months from `origin`, which counts microseconds; bins lie before it too.
fn in_months(array: &ArrayRef, unit: TimeUnit, months: i64, origin: i64) -> Result<ArrayRef> {
    let origin = DateTime::from_timestamp_micros(origin).ok_or_else(out_of_range)?.naive_utc();
    let number = |time: NaiveDateTime| i64::from(time.year()) * 12 + i64::from(time.month0());
    each(array, unit, UTC, |time, local| {
        let time = local.calendar(time)?;
        let away = (number(time) - number(origin)).div_euclid(months) * months;
        let start = months_after(origin, away)?;
        // When the origin is not the first moment of its month, the start may be later than the time.
        local.units(if start > time { months_after(origin, away - months)? } else { start })
    })
}

fn months_after(time: NaiveDateTime, months: i64) -> Result<NaiveDateTime> {
    let by = Months::new(u32::try_from(months.unsigned_abs()).map_err(|_| out_of_range())?);
    let moved = if months < 0 { time.checked_sub_months(by) } else { time.checked_add_months(by) };
    moved.ok_or_else(out_of_range)
}

#[cfg(test)]
mod tests {
    use arrow::array::TimestampMicrosecondArray;

    use super::*;

    fn instants(texts: &[&str]) -> ArrayRef {
        let of = |text: &&str| text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros();
        Arc::new(TimestampMicrosecondArray::from_iter_values(texts.iter().map(of)))
    }

    /// PostgreSQL 15's `date_trunc(field, '..'::timestamp)`.
    #[test]
    fn times_are_truncated_wherever_they_are() {
        let times = ["0002-03-04T05:06:07.123456", "1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"];
        for (field, wanted) in [
            (
                "microseconds",
                ["0002-03-04T05:06:07.123456", "1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"],
            ),
            ("milliseconds", ["0002-03-04T05:06:07.123", "1969-12-31T23:59:59.999", "9999-12-31T23:59:59.999"]),
            ("second", ["0002-03-04T05:06:07", "1969-12-31T23:59:59", "9999-12-31T23:59:59"]),
            ("minute", ["0002-03-04T05:06:00", "1969-12-31T23:59:00", "9999-12-31T23:59:00"]),
            ("hour", ["0002-03-04T05:00:00", "1969-12-31T23:00:00", "9999-12-31T23:00:00"]),
            ("day", ["0002-03-04T00:00:00", "1969-12-31T00:00:00", "9999-12-31T00:00:00"]),
            ("week", ["0002-03-04T00:00:00", "1969-12-29T00:00:00", "9999-12-27T00:00:00"]),
            ("month", ["0002-03-01T00:00:00", "1969-12-01T00:00:00", "9999-12-01T00:00:00"]),
            ("quarter", ["0002-01-01T00:00:00", "1969-10-01T00:00:00", "9999-10-01T00:00:00"]),
            ("year", ["0002-01-01T00:00:00", "1969-01-01T00:00:00", "9999-01-01T00:00:00"]),
        ] {
            let truncated = truncate(&instants(&times), 1_000_000, TruncatedField::named(field).unwrap()).unwrap();
            assert_eq!(&truncated, &instants(&wanted), "{field}");
        }
        let first: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN]));
        assert!(truncate(&first, 1_000_000, TruncatedField::Day).is_err());
        assert!(truncate(&first, 1_000_000, TruncatedField::Years(1)).is_err());
    }

    /// PostgreSQL 15's `date_bin(stride, '..'::timestamp, origin)`.
    #[test]
    fn times_are_binned_wherever_they_are() {
        let times =
            instants(&["0002-03-04T05:06:07.123456", "1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"]);
        let quarters = instants(&["0002-03-04T05:00:00", "1969-12-31T23:45:00", "9999-12-31T23:45:00"]);
        let of = |span: i64, origin| in_spans(&times, TimeUnit::Microsecond, span.into(), origin).unwrap();
        assert_eq!(&of(900 * NANOS, 0), &quarters);
        let shifted = instants(&["0002-03-04T04:52:30", "1969-12-31T23:52:30", "9999-12-31T23:52:30"]);
        assert_eq!(&of(900 * NANOS, 450_000_000), &shifted);
        // A stride of half a microsecond.
        assert_eq!(&of(500, 0), &times);
    }

    /// By hand: PostgreSQL has no bins of months.
    #[test]
    fn months_are_binned_wherever_they_are() {
        let times =
            instants(&["0002-03-04T05:06:07.123456", "1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"]);
        let of = |months, origin| in_months(&times, TimeUnit::Microsecond, months, origin).unwrap();
        assert_eq!(&of(3, 0), &instants(&["0002-01-01T00:00:00", "1969-10-01T00:00:00", "9999-10-01T00:00:00"]));
        // From 1970-01-15 on.
        let origin = 14 * 86_400_000_000;
        assert_eq!(&of(1, origin), &instants(&["0002-02-15T00:00:00", "1969-12-15T00:00:00", "9999-12-15T00:00:00"]));
    }
}
