//! Small functions.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use chrono::NaiveDate;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::functions::math;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

use super::function::Function;
use crate::sql::wrapped_function::Wrapped;

/// `isfinite(t)`: infinite times and intervals do not exist here.
pub(super) fn isfinite() -> Arc<ScalarUDF> {
    let types = |types: &[DataType]| match types {
        [time] if time.is_temporal() || time.is_null() => Ok((vec![time.clone()], DataType::Boolean)),
        _ => plan_err!("`isfinite` takes a time"),
    };
    Function::new("isfinite", types, |arguments, _| {
        let time = &arguments[0];
        let finite = (0..time.len()).map(|row| if time.is_null(row) { None } else { Some(true) });
        Ok(Arc::new(finite.collect::<BooleanArray>()))
    })
    .udf()
}

/// `make_timestamp(year, month, day, hour, minute, second)`.
pub(super) fn make_timestamp() -> Arc<ScalarUDF> {
    let types = |types: &[DataType]| {
        if types.len() != 6 {
            return plan_err!("`make_timestamp` takes year, month, day, hour, minute and second");
        }
        let mut wanted = vec![DataType::Int64; 5];
        wanted.push(DataType::Float64);
        Ok((wanted, DataType::Timestamp(TimeUnit::Microsecond, None)))
    };
    Function::new("make_timestamp", types, |arguments, _| {
        let whole: Vec<_> = arguments[..5].iter().map(|part| part.as_primitive::<Int64Type>()).collect();
        let seconds = arguments[5].as_primitive::<Float64Type>();
        let each = (0..seconds.len()).map(|row| {
            if arguments.iter().any(|argument| argument.is_null(row)) {
                return Ok(None);
            }
            let parts = [whole[0], whole[1], whole[2], whole[3], whole[4]].map(|part| part.value(row));
            match timestamp(parts, seconds.value(row)) {
                Some(micros) => Ok(Some(micros)),
                None => exec_err!("date/time field value out of range"),
            }
        });
        Ok(Arc::new(each.collect::<Result<TimestampMicrosecondArray>>()?))
    })
    .udf()
}

fn timestamp([year, month, day, hour, minute]: [i64; 5], seconds: f64) -> Option<i64> {
    let date =
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?;
    // 24:00 is the next day's beginning, and 60 seconds the next minute's.
    let is_clock = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&seconds);
    let is_midnight = hour == 24 && minute == 0 && seconds == 0.0;
    if !is_clock && !is_midnight {
        return None;
    }
    let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
    let micros = (seconds * 1_000_000.0).round_ties_even() as i64;
    Some((midnight + hour * 3600 + minute * 60) * 1_000_000 + micros)
}

/// `sign`, which DataFusion calls `signum`.
pub(super) fn sign() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Wrapped::renamed(math::signum(), "sign")))
}

/// `round`: floats round half to even; decimals away from zero, as in DataFusion.
pub(super) fn round() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Round { of: math::round() }))
}

#[derive(Debug)]
struct Round {
    of: Arc<ScalarUDF>,
}

/// All instances are equal.
impl PartialEq for Round {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Round {}

impl Hash for Round {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        "round"
    }

    fn signature(&self) -> &Signature {
        self.of.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.of.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.of.return_type(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<arrow::datatypes::FieldRef> {
        self.of.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.as_slice() {
            [ColumnarValue::Array(array)] if *array.data_type() == DataType::Float64 => {
                Ok(ColumnarValue::Array(to_even(array)))
            }
            [ColumnarValue::Scalar(ScalarValue::Float64(number))] => {
                Ok(ColumnarValue::Scalar(ScalarValue::Float64(number.map(f64::round_ties_even))))
            }
            [ColumnarValue::Array(array)] if *array.data_type() == DataType::Float32 => {
                let numbers = array.as_primitive::<arrow::datatypes::Float32Type>();
                Ok(ColumnarValue::Array(Arc::new(
                    numbers.unary::<_, arrow::datatypes::Float32Type>(f32::round_ties_even),
                )))
            }
            [ColumnarValue::Scalar(ScalarValue::Float32(number))] => {
                Ok(ColumnarValue::Scalar(ScalarValue::Float32(number.map(f32::round_ties_even))))
            }
            _ => self.of.invoke_with_args(arguments),
        }
    }
}

fn to_even(array: &ArrayRef) -> ArrayRef {
    let numbers: Float64Array = array.as_primitive::<Float64Type>().unary(f64::round_ties_even);
    Arc::new(numbers)
}
