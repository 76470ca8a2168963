//! Instants that have a zone: truncated, binned and moved by its calendar, as PostgreSQL does with `timestamptz`
//! in a session of that zone. Times without a zone, and UTC, are in `plain`.

mod plain;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit};
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, TimeDelta};
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::function::{ColumnNaming, Function, run};
use super::interval::{self, DAY, INTERVAL};
use super::zone::SqlZone;

/// Number of units in a second.
pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn out_of_range() -> DataFusionError {
    DataFusionError::Execution("timestamp out of range".to_owned())
}

/// The unit and zone of a type whose days are not UTC's.
pub(super) fn local_zone(data_type: &DataType) -> Option<(TimeUnit, Arc<str>)> {
    match data_type {
        DataType::Timestamp(unit, Some(zone)) => {
            let is_local = SqlZone::parse(zone).is_ok_and(|zone| !zone.is_utc());
            is_local.then(|| (*unit, Arc::clone(zone)))
        }
        _ => None,
    }
}

/// Maps every instant of an array of timestamps, as numbers of `unit`.
fn each(
    array: &ArrayRef,
    unit: TimeUnit,
    zone: &str,
    mut change: impl FnMut(i64, &mut LocalZone) -> Result<i64>,
) -> Result<ArrayRef> {
    let mut local = LocalZone { zone: SqlZone::parse(zone)?, per_second: per_second(unit) };
    let instants = cast(array, &DataType::Int64)?;
    let instants: &Int64Array = instants.as_primitive::<Int64Type>();
    let changed = instants.iter().map(|instant| instant.map(|instant| change(instant, &mut local)).transpose());
    let changed: Int64Array = changed.collect::<Result<_>>()?;
    Ok(cast(&changed, array.data_type())?)
}

/// A zone, and the unit of its instants.
#[derive(Debug)]
pub(super) struct LocalZone {
    pub(super) zone: SqlZone,
    pub(super) per_second: i64,
}

impl LocalZone {
    /// Units that local time is ahead of UTC.
    fn ahead(&mut self, instant: i64) -> Result<i64> {
        Ok(self.zone.ahead(instant.div_euclid(self.per_second))? * self.per_second)
    }

    fn local(&mut self, instant: i64) -> Result<i64> {
        instant.checked_add(self.ahead(instant)?).ok_or_else(out_of_range)
    }

    fn instant(&mut self, local: i64) -> Result<i64> {
        let (seconds, fraction) = (local.div_euclid(self.per_second), local.rem_euclid(self.per_second));
        let instant = self.zone.instant(seconds)?;
        instant.checked_mul(self.per_second).and_then(|i| i.checked_add(fraction)).ok_or_else(out_of_range)
    }

    fn calendar(&self, local: i64) -> Result<NaiveDateTime> {
        let (seconds, fraction) = (local.div_euclid(self.per_second), local.rem_euclid(self.per_second));
        let nanos = fraction * (1_000_000_000 / self.per_second);
        let time = DateTime::from_timestamp(seconds, nanos as u32).ok_or_else(out_of_range)?;
        Ok(time.naive_utc())
    }

    fn units(&self, time: NaiveDateTime) -> Result<i64> {
        let nanos = i64::from(time.and_utc().timestamp_subsec_nanos());
        let whole = time.and_utc().timestamp().checked_mul(self.per_second).ok_or_else(out_of_range)?;
        whole.checked_add(nanos / (1_000_000_000 / self.per_second)).ok_or_else(out_of_range)
    }
}

/// `date_trunc`: fields below a day keep the offset, so that an hour that occurs twice is two groups; a day is one
/// group, also when the clocks change.
pub(super) fn date_trunc() -> Arc<ScalarUDF> {
    let of = datetime::date_trunc();
    let signature = of.signature().clone();
    Arc::new(ScalarUDF::new_from_impl(Zoned { of, signature, time: 1, zoned: truncated, plain: plain::truncated }))
}

/// `date_bin` without an origin counts bins from the zone's 1970-01-01. With one, each bin has exactly the stride's
/// length, as in PostgreSQL.
pub(super) fn date_bin() -> Arc<ScalarUDF> {
    let of = datetime::date_bin();
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Zoned { of, signature, time: 1, zoned: binned, plain: plain::binned }))
}

type OnZoned = fn(&ScalarFunctionArgs, TimeUnit, &str) -> Result<Option<ColumnarValue>>;
type OnPlain = fn(&ScalarFunctionArgs, TimeUnit) -> Result<Option<ColumnarValue>>;

/// A function of DataFusion with another implementation for times of a zone.
#[derive(Debug)]
struct Zoned {
    of: Arc<ScalarUDF>,
    /// The types of `date_bin` are [`plain::types_to_bin`].
    signature: Signature,
    /// Index of the time argument.
    time: usize,
    zoned: OnZoned,
    /// The function for times whose days are UTC's, where DataFusion's is not enough.
    plain: OnPlain,
}

impl PartialEq for Zoned {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of
    }
}

impl Eq for Zoned {}

impl Hash for Zoned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
    }
}

impl ScalarUDFImpl for Zoned {
    fn name(&self) -> &str {
        self.of.name()
    }

    fn aliases(&self) -> &[String] {
        self.of.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        plain::types_to_bin(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.of.return_type(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<arrow::datatypes::FieldRef> {
        self.of.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let time = arguments.args.get(self.time).map(ColumnarValue::data_type);
        if let Some((unit, zone)) = time.as_ref().and_then(local_zone)
            && let Some(answer) = (self.zoned)(&arguments, unit, &zone)?
        {
            return Ok(answer);
        }
        if let Some(DataType::Timestamp(unit, _)) = time
            && let Some(answer) = (self.plain)(&arguments, unit)?
        {
            return Ok(answer);
        }
        self.of.invoke_with_args(arguments)
    }

    /// Where clocks go back over midnight, a later instant may belong to an earlier day.
    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        let time = input.get(self.time).map(|time| time.range.data_type());
        match time.as_ref().and_then(local_zone) {
            Some(_) => Ok(SortProperties::Unordered),
            None => self.of.output_ordering(input),
        }
    }
}

/// Evaluates a column or a constant.
fn answer(
    time: &ColumnarValue,
    rows: usize,
    change: impl FnOnce(&ArrayRef) -> Result<ArrayRef>,
) -> Result<Option<ColumnarValue>> {
    Ok(Some(match time {
        ColumnarValue::Array(array) => ColumnarValue::Array(change(array)?),
        ColumnarValue::Scalar(_) => {
            let changed = change(&time.to_array(rows.min(1))?)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&changed, 0)?)
        }
    }))
}

fn truncated(arguments: &ScalarFunctionArgs, unit: TimeUnit, zone: &str) -> Result<Option<ColumnarValue>> {
    let Some(ColumnarValue::Scalar(field)) = arguments.args.first() else { return Ok(None) };
    let Some(field) = field.try_as_str().flatten().map(str::to_lowercase) else { return Ok(None) };
    let Some(field) = TruncatedField::named(&field) else { return Ok(None) };
    answer(&arguments.args[1], 1, |array| each(array, unit, zone, |instant, local| trunc(instant, field, local)))
}

/// The field to which a time is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TruncatedField {
    /// Length in seconds.
    Clock(i64),
    /// Number of parts in a second.
    Fraction(i64),
    Day,
    Week,
    Month,
    Quarter,
    Years(i32),
}

impl TruncatedField {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "microsecond" | "microseconds" => Self::Fraction(1_000_000),
            "millisecond" | "milliseconds" => Self::Fraction(1_000),
            "second" | "seconds" => Self::Clock(1),
            "minute" | "minutes" => Self::Clock(60),
            "hour" | "hours" => Self::Clock(3600),
            "day" | "days" => Self::Day,
            "week" | "weeks" => Self::Week,
            "month" | "months" => Self::Month,
            "quarter" | "quarters" => Self::Quarter,
            "year" | "years" => Self::Years(1),
            "decade" | "decades" => Self::Years(10),
            "century" | "centuries" => Self::Years(100),
            "millennium" | "millennia" => Self::Years(1000),
            _ => return None,
        })
    }
}

pub(super) fn trunc(instant: i64, field: TruncatedField, local: &mut LocalZone) -> Result<i64> {
    let clock = |step: i64, time: i64| time.div_euclid(step).checked_mul(step).ok_or_else(out_of_range);
    match field {
        TruncatedField::Fraction(parts) if parts >= local.per_second => Ok(instant),
        TruncatedField::Fraction(parts) => clock(local.per_second / parts, instant),
        TruncatedField::Clock(seconds) => {
            let ahead = local.ahead(instant)?;
            let time = instant.checked_add(ahead).ok_or_else(out_of_range)?;
            Ok(clock(seconds * local.per_second, time)? - ahead)
        }
        _ => {
            let time = local.local(instant)?;
            let day = first_day(local.calendar(time)?.date(), field)?;
            let midnight = local.units(day.and_time(chrono::NaiveTime::MIN))?;
            local.instant(midnight)
        }
    }
}

/// The first day of the period that contains `day`.
fn first_day(day: NaiveDate, field: TruncatedField) -> Result<NaiveDate> {
    let first = match field {
        TruncatedField::Week => {
            day.checked_sub_signed(TimeDelta::days(i64::from(day.weekday().num_days_from_monday())))
        }
        TruncatedField::Month => day.with_day(1),
        TruncatedField::Quarter => NaiveDate::from_ymd_opt(day.year(), (day.month0() / 3) * 3 + 1, 1),
        // A decade begins with a 0, a century and a millennium with a 1.
        TruncatedField::Years(1) => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        TruncatedField::Years(10) => NaiveDate::from_ymd_opt(day.year().div_euclid(10) * 10, 1, 1),
        TruncatedField::Years(years) => NaiveDate::from_ymd_opt((day.year() - 1).div_euclid(years) * years + 1, 1, 1),
        _ => Some(day),
    };
    first.ok_or_else(out_of_range)
}

fn binned(arguments: &ScalarFunctionArgs, unit: TimeUnit, zone: &str) -> Result<Option<ColumnarValue>> {
    let [ColumnarValue::Scalar(stride), time] = arguments.args.as_slice() else { return Ok(None) };
    let stride = interval::normal(&stride.to_array()?)?;
    if stride.is_null(0) {
        return Ok(None);
    }
    let stride = Stride::new(stride.value(0), per_second(unit))?;
    answer(time, 1, |array| each(array, unit, zone, |instant, local| bin(instant, stride, local)))
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Stride {
    Months(i64),
    Units(i64),
}

impl Stride {
    fn new(stride: IntervalMonthDayNano, per_second: i64) -> Result<Self> {
        let nanos = i64::from(stride.days).checked_mul(DAY).and_then(|days| days.checked_add(stride.nanoseconds));
        let units = nanos.ok_or_else(out_of_range)? / (1_000_000_000 / per_second);
        match (stride.months, units) {
            (1.., 0) => Ok(Self::Months(i64::from(stride.months))),
            (0, 1..) => Ok(Self::Units(units)),
            (0, _) => exec_err!("the stride of `date_bin` has to be greater than zero"),
            _ => exec_err!("the stride of `date_bin` is months or days and time, not both"),
        }
    }
}

pub(super) fn bin(instant: i64, stride: Stride, local: &mut LocalZone) -> Result<i64> {
    let time = local.local(instant)?;
    let start = match stride {
        Stride::Units(units) => time.div_euclid(units).checked_mul(units).ok_or_else(out_of_range)?,
        Stride::Months(months) => {
            let day = local.calendar(time)?.date();
            let since = (i64::from(day.year()) - 1970) * 12 + i64::from(day.month0());
            let first = since.div_euclid(months) * months;
            let year = i32::try_from(1970 + first.div_euclid(12)).map_err(|_| out_of_range())?;
            let month = first.rem_euclid(12) as u32 + 1;
            let day = NaiveDate::from_ymd_opt(year, month, 1).ok_or_else(out_of_range)?;
            local.units(day.and_time(chrono::NaiveTime::MIN))?
        }
    };
    let found = local.instant(start)?;
    let Stride::Units(units) = stride else { return Ok(found) };
    // Where clocks go back, the start of a short bin occurs twice, and each half has its own.
    let ahead = local.ahead(instant)?;
    let same = start - ahead;
    let is_start = same <= instant && local.ahead(same)? == ahead;
    let repeated = ahead - local.ahead(found)?;
    Ok(if is_start && found > instant && units <= repeated.abs() { same } else { found })
}

/// `t + i` by the calendar of `t`'s zone: months, then days, each as a local time; then the time, as elapsed time.
pub(super) fn plus() -> Arc<ScalarUDF> {
    Function::named("timestamptz_plus", ColumnNaming::Infix("+"), moved_types, |arguments, _| moved(arguments, 1)).udf()
}

/// `t - i`.
pub(super) fn minus() -> Arc<ScalarUDF> {
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

pub(super) fn shifted(instant: i64, interval: IntervalMonthDayNano, sign: i64, local: &mut LocalZone) -> Result<i64> {
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

/// Converts local times to instants of the wanted zone, where `arrow` refuses those at a change of clocks.
pub(super) fn to_instants(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, Some(zone)) = wanted else { return Err(out_of_range()) };
    let without = cast(array, &DataType::Timestamp(*unit, None))?;
    let instants = each(&without, *unit, zone, |time, local| local.instant(time))?;
    Ok(cast(&cast(&instants, &DataType::Int64)?, wanted)?)
}

/// Converts instants to local times in `zone`.
fn to_local(array: &ArrayRef, unit: TimeUnit, zone: &str) -> Result<ArrayRef> {
    let times = each(array, unit, zone, |instant, local| local.local(instant))?;
    Ok(cast(&cast(&times, &DataType::Int64)?, &DataType::Timestamp(unit, None))?)
}

/// `timezone(zone, t)`, which is `t AT TIME ZONE zone`: a local time becomes the instant, an instant the local time.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AtTimeZone {
    signature: Signature,
}

impl AtTimeZone {
    pub(super) fn udf() -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { signature }))
    }
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        "timezone"
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(arguments.last().map(|time| time.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let time = DataType::Timestamp(TimeUnit::Microsecond, None);
        match types {
            [_, time @ DataType::Timestamp(..)] => Ok(vec![DataType::Utf8, time.clone()]),
            [_, DataType::Date32 | DataType::Date64 | DataType::Utf8 | DataType::Null] => {
                Ok(vec![DataType::Utf8, time])
            }
            _ => plan_err!("`AT TIME ZONE` wants a timestamp"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        plan_err!("the type of `AT TIME ZONE` depends on the zone")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<arrow::datatypes::FieldRef> {
        let zone = arguments.scalar_arguments.first().copied().flatten().and_then(|zone| zone.try_as_str().flatten());
        let result = match arguments.arg_fields.get(1).map(|field| field.data_type()) {
            Some(DataType::Timestamp(unit, Some(_))) => DataType::Timestamp(*unit, None),
            Some(DataType::Timestamp(unit, None)) => {
                let zone = zone.map(|zone| SqlZone::parse(zone).map(|_| Arc::from(zone))).transpose()?;
                DataType::Timestamp(*unit, Some(zone.unwrap_or_else(|| Arc::from("UTC"))))
            }
            _ => return plan_err!("`AT TIME ZONE` wants a timestamp"),
        };
        Ok(Arc::new(arrow::datatypes::Field::new(self.name(), result, true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        run(at_time_zone, &arguments)
    }
}

fn at_time_zone(arguments: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let zones = arguments[0].as_string::<i32>();
    let time = &arguments[1];
    let DataType::Timestamp(unit, had) = time.data_type() else { return Err(out_of_range()) };
    let change = |time: &ArrayRef, zone: &str| match had {
        Some(_) => to_local(time, *unit, zone),
        None => {
            let instants = each(time, *unit, zone, |time, local| local.instant(time))?;
            Ok(cast(&cast(&instants, &DataType::Int64)?, result)?)
        }
    };
    let first = if zones.is_empty() || zones.is_null(0) { None } else { Some(zones.value(0)) };
    if let Some(zone) = first
        && zones.iter().all(|other| other == Some(zone))
    {
        return change(time, zone);
    }
    let rows: Vec<ArrayRef> = (0..time.len())
        .map(|row| match zones.is_null(row) {
            true => Ok(arrow::array::new_null_array(result, 1)),
            false => change(&time.slice(row, 1), zones.value(row)),
        })
        .collect::<Result<_>>()?;
    if rows.is_empty() {
        return Ok(arrow::array::new_empty_array(result));
    }
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    Ok(arrow::compute::concat(&rows)?)
}
