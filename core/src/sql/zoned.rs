//! Instants that have a zone: truncated, binned and moved by its calendar, as PostgreSQL does with `timestamptz`
//! in a session of that zone. Times without a zone, and UTC, are in `plain`.

mod at_time_zone;
mod local_zone;
mod plain;
pub(crate) mod shift;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use chrono::{Datelike, NaiveDate, TimeDelta};
use datafusion::common::{Result, exec_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

pub(crate) use self::at_time_zone::{AtTimeZone, to_instants};
pub(crate) use self::local_zone::{LocalZone, local_zone, per_second};
use self::local_zone::{each, out_of_range};
pub(crate) use self::shift::{minus, plus};
use super::interval::{self, DAY};

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
