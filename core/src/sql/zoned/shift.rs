//! Instants plus and minus intervals, by the calendar of their zone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType};
use chrono::Months;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::{LocalZone, out_of_range, per_second};
use crate::sql::function::{ColumnNaming, Function};
use crate::sql::interval::INTERVAL;
use crate::sql::zone::SqlZone;

/// `t + i` by the calendar of `t`'s zone: months, then days, each as a local time; then the time, as elapsed time.
pub(crate) fn plus() -> Arc<ScalarUDF> {
    Function::named("timestamptz_plus", ColumnNaming::Infix("+"), moved_types, |arguments, _| moved(arguments, 1)).udf()
}

/// `t - i`.
pub(crate) fn minus() -> Arc<ScalarUDF> {
    Function::named("timestamptz_minus", ColumnNaming::Infix("-"), moved_types, |arguments, _| moved(arguments, -1))
        .udf()
}

fn moved_types(types: &[DataType]) -> Result<(Vec<DataType>, DataType)> {
    match types {
        [time @ DataType::Timestamp(_, Some(_)), DataType::Interval(_) | DataType::Duration(_) | DataType::Null] => {
            Ok((vec![time.clone(), INTERVAL], time.clone()))
        }
        _ => plan_err!("an interval is added to a timestamp of a zone"),
    }
}

fn moved(arguments: &[ArrayRef], sign: i64) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, Some(zone)) = arguments[0].data_type() else { return Err(out_of_range()) };
    let mut local = LocalZone { zone: SqlZone::parse(zone)?, per_second: per_second(*unit) };
    let instants = cast(&arguments[0], &DataType::Int64)?;
    let instants: &Int64Array = instants.as_primitive::<Int64Type>();
    let intervals = arguments[1].as_primitive::<IntervalMonthDayNanoType>();
    let each = instants.iter().zip(intervals).map(|(instant, interval)| match (instant, interval) {
        (Some(instant), Some(interval)) => shifted(instant, interval, sign, &mut local).map(Some),
        _ => Ok(None),
    });
    let moved: Int64Array = each.collect::<Result<_>>()?;
    Ok(cast(&moved, arguments[0].data_type())?)
}

pub(crate) fn shifted(instant: i64, interval: IntervalMonthDayNano, sign: i64, local: &mut LocalZone) -> Result<i64> {
    let (months, days) = (sign * i64::from(interval.months), sign * i64::from(interval.days));
    let mut instant = instant;
    if months != 0 {
        let time = local.local(instant)?;
        let time = local.calendar(time)?;
        let by = Months::new(u32::try_from(months.unsigned_abs()).map_err(|_| out_of_range())?);
        let time = if months > 0 { time.checked_add_months(by) } else { time.checked_sub_months(by) };
        let time = local.units(time.ok_or_else(out_of_range)?)?;
        instant = local.instant(time)?;
    }
    if days != 0 {
        let by = days.checked_mul(86_400 * local.per_second).ok_or_else(out_of_range)?;
        let time = local.local(instant)?.checked_add(by).ok_or_else(out_of_range)?;
        instant = local.instant(time)?;
    }
    let nanos = interval.nanoseconds.checked_mul(sign).ok_or_else(out_of_range)?;
    instant.checked_add(nanos / (1_000_000_000 / local.per_second)).ok_or_else(out_of_range)
}
