//! `EXTRACT(field FROM t)`: seconds with their fraction, as an exact number. `date_part` is the same as a float.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

use super::interval::{self, DAY, SECOND};
use super::zone::SqlZone;
use super::zoned::per_second;

pub(super) fn extract() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Extract { of: datetime::date_part(), exact: true }))
}

pub(super) fn date_part() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Extract { of: datetime::date_part(), exact: false }))
}

#[derive(Debug)]
struct Extract {
    /// The function for all other fields.
    of: Arc<ScalarUDF>,
    exact: bool,
}

impl PartialEq for Extract {
    fn eq(&self, other: &Self) -> bool {
        self.exact == other.exact
    }
}

impl Eq for Extract {}

impl Hash for Extract {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.exact.hash(state);
    }
}

/// Fields with a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FractionField {
    Second,
    Millisecond,
    Epoch,
}

impl FractionField {
    fn named(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "second" | "seconds" => Some(Self::Second),
            "millisecond" | "milliseconds" => Some(Self::Millisecond),
            "epoch" => Some(Self::Epoch),
            _ => None,
        }
    }

    /// Number of digits behind the point, when counted in nanoseconds.
    fn digits(self) -> i8 {
        if self == Self::Millisecond { 6 } else { 9 }
    }
}

fn name_of(field: Option<&ScalarValue>) -> Option<&str> {
    field.and_then(|field| field.try_as_str().flatten())
}

fn part(field: Option<&ScalarValue>) -> Option<FractionField> {
    name_of(field).and_then(FractionField::named)
}

/// Fields that DataFusion does not know, as whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// Computed from years.
    Decade,
    Century,
    Millennium,
    /// Computed from the seconds that local time is ahead of UTC.
    Zone,
    ZoneHour,
    ZoneMinute,
}

impl Whole {
    fn named(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "decade" | "decades" => Some(Self::Decade),
            "century" | "centuries" => Some(Self::Century),
            "millennium" | "millenniums" | "millennia" => Some(Self::Millennium),
            "timezone" => Some(Self::Zone),
            "timezone_hour" => Some(Self::ZoneHour),
            "timezone_minute" => Some(Self::ZoneMinute),
            _ => None,
        }
    }

    fn is_of_zone(self) -> bool {
        matches!(self, Self::Zone | Self::ZoneHour | Self::ZoneMinute)
    }

    /// The field's value. A span has as many as are whole; the first century and the first millennium begin with year
    /// 1.
    fn of(self, number: i64, is_span: bool) -> i64 {
        let counted = |years: i64| match (is_span, number > 0) {
            (true, _) => number / years,
            (false, true) => (number + years - 1) / years,
            (false, false) => -((years - number) / years),
        };
        match self {
            Self::Decade if is_span => number / 10,
            Self::Decade => number.div_euclid(10),
            Self::Century => counted(100),
            Self::Millennium => counted(1000),
            Self::Zone => number,
            Self::ZoneHour => number / 3600,
            Self::ZoneMinute => number / 60 % 60,
        }
    }
}

fn whole(field: Option<&ScalarValue>) -> Option<Whole> {
    name_of(field).and_then(Whole::named)
}

impl ScalarUDFImpl for Extract {
    fn name(&self) -> &str {
        if self.exact { "extract" } else { "date_part" }
    }

    /// DataFusion's name, so that an unnamed column keeps it.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        self.of.schema_name(arguments)
    }

    fn aliases(&self) -> &[String] {
        if self.exact { &[] } else { self.of.aliases() }
    }

    fn signature(&self) -> &Signature {
        self.of.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.of.coerce_types(types)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        plan_err!("the type of `EXTRACT` depends on its field")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = arguments.scalar_arguments.first().copied().flatten();
        if whole(field).is_some() {
            let data_type = if self.exact { DataType::Int32 } else { DataType::Float64 };
            return Ok(Arc::new(Field::new(self.name(), data_type, true)));
        }
        let part = part(field);
        let data_type = match part {
            Some(part) if self.exact => {
                DataType::Decimal128(if part == FractionField::Epoch { 28 } else { 11 }, part.digits())
            }
            Some(_) => DataType::Float64,
            None => return self.of.return_field_from_args(arguments),
        };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(field), time] = arguments.args.as_slice() else {
            return self.of.invoke_with_args(arguments);
        };
        if let Some(whole) = whole(Some(field)) {
            return self.whole(whole, &arguments);
        }
        let Some(part) = part(Some(field)) else { return self.of.invoke_with_args(arguments) };
        let to = arguments.return_field.data_type();
        Ok(match time {
            ColumnarValue::Array(array) => ColumnarValue::Array(numbers(array, part, to)?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&numbers(&scalar.to_array()?, part, to)?, 0)?)
            }
        })
    }
}

impl Extract {
    fn whole(&self, whole: Whole, arguments: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let time = arguments.args[1].to_array(arguments.number_rows)?;
        let is_span = matches!(time.data_type(), DataType::Interval(_) | DataType::Duration(_));
        let numbers = if whole.is_of_zone() { zone_seconds(&time)? } else { self.years(&time, arguments)? };
        let numbers = numbers.as_primitive::<Int64Type>();
        let numbers: Int64Array = numbers.unary(|number| whole.of(number, is_span));
        Ok(ColumnarValue::Array(cast(&numbers, arguments.return_field.data_type())?))
    }

    fn years(&self, time: &ArrayRef, arguments: &ScalarFunctionArgs) -> Result<ArrayRef> {
        let year = ColumnarValue::Scalar(ScalarValue::Utf8(Some("year".to_owned())));
        let years = self.of.invoke_with_args(ScalarFunctionArgs {
            args: vec![year, ColumnarValue::Array(Arc::clone(time))],
            arg_fields: arguments.arg_fields.clone(),
            number_rows: arguments.number_rows,
            return_field: Arc::new(Field::new(self.name(), DataType::Int32, true)),
            config_options: Arc::clone(&arguments.config_options),
        })?;
        Ok(cast(&years.to_array(arguments.number_rows)?, &DataType::Int64)?)
    }
}

/// Seconds that the local time of each instant's zone is ahead of UTC.
fn zone_seconds(time: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, Some(zone)) = time.data_type() else {
        return exec_err!(
            "unit \"timezone\" not supported for type `{}`: only instants of a zone have one",
            time.data_type()
        );
    };
    let (mut zone, per_second) = (SqlZone::parse(zone)?, per_second(*unit));
    let instants = cast(time, &DataType::Int64)?;
    let mut ahead = |instant: i64| zone.ahead(instant.div_euclid(per_second));
    let seconds = instants.as_primitive::<Int64Type>().iter().map(|i| i.map(&mut ahead).transpose());
    Ok(Arc::new(seconds.collect::<Result<Int64Array>>()?))
}

fn numbers(array: &ArrayRef, part: FractionField, to: &DataType) -> Result<ArrayRef> {
    let nanos = nanoseconds(array, part)?;
    Ok(match to {
        DataType::Float64 => {
            let divisor = 10_f64.powi(part.digits().into());
            Arc::new(nanos.into_iter().map(|n| n.map(|n| n as f64 / divisor)).collect::<Float64Array>())
        }
        DataType::Decimal128(precision, scale) => {
            let decimals: Decimal128Array = nanos.into_iter().collect();
            Arc::new(decimals.with_precision_and_scale(*precision, *scale)?)
        }
        other => return exec_err!("`EXTRACT` has no type `{other}`"),
    })
}

/// Nanoseconds of the minute, or since the epoch.
fn nanoseconds(array: &ArrayRef, part: FractionField) -> Result<Vec<Option<i128>>> {
    const MINUTE: i128 = 60 * SECOND as i128;
    let whole = part == FractionField::Epoch;
    let of_minute = |nanos: i128| if whole { nanos } else { nanos.rem_euclid(MINUTE) };
    match array.data_type() {
        DataType::Interval(_) | DataType::Duration(_) => {
            let intervals = interval::normal(array)?;
            Ok(intervals
                .iter()
                .map(|interval| {
                    interval.map(|interval| {
                        let nanos = i128::from(interval.nanoseconds);
                        if !whole {
                            return nanos % MINUTE;
                        }
                        // A year has 365.25 days here; a month left over has 30.
                        let (years, months) = (i128::from(interval.months / 12), i128::from(interval.months % 12));
                        let quarters = years * 1461 + (months * 30 + i128::from(interval.days)) * 4;
                        quarters * i128::from(DAY / 4) + nanos
                    })
                })
                .collect())
        }
        DataType::Date32 | DataType::Date64 => {
            let days = cast(&cast(&cast(array, &DataType::Date32)?, &DataType::Int32)?, &DataType::Int64)?;
            let days: &Int64Array = days.as_primitive::<Int64Type>();
            Ok(days.iter().map(|day| day.map(|day| of_minute(i128::from(day) * i128::from(DAY)))).collect())
        }
        DataType::Timestamp(unit, zone) => {
            let mut zone = zone.as_deref().filter(|_| !whole).map(SqlZone::parse).transpose()?;
            let per_second = per_second(*unit);
            let mut nanos = |instant: i64| -> Result<i128> {
                let ahead = zone.as_mut().map(|zone| zone.ahead(instant.div_euclid(per_second))).transpose()?;
                let local = i128::from(instant) + i128::from(ahead.unwrap_or(0)) * i128::from(per_second);
                Ok(of_minute(local * i128::from(SECOND / per_second)))
            };
            let instants = cast(array, &DataType::Int64)?;
            let instants: &Int64Array = instants.as_primitive::<Int64Type>();
            instants.iter().map(|instant| instant.map(&mut nanos).transpose()).collect()
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let times = cast(&cast(array, &DataType::Time64(TimeUnit::Nanosecond))?, &DataType::Int64)?;
            let times: &Int64Array = times.as_primitive::<Int64Type>();
            Ok(times.iter().map(|time| time.map(|time| of_minute(time.into()))).collect())
        }
        other => exec_err!("`EXTRACT` takes a time, not `{other}`"),
    }
}
