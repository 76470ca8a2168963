//! `to_timestamp`, in microseconds: of a number, which is seconds since 1970, of a text or of a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast as plainly;
use arrow::datatypes::{DataType, FieldRef, Float64Type, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, exec_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

use super::{cast, function};
use crate::stored::in_microseconds;
use crate::texts;

/// DataFusion's function for texts in given formats. It reads floats beyond its range as the first or last instant, and
/// NaN as 1970; and all of its instants end in 2262.
pub(super) fn to_timestamp() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(ToTimestamp { of: datetime::to_timestamp(&ConfigOptions::default()) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestamp {
    of: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &str {
        self.of.name()
    }

    fn aliases(&self) -> &[String] {
        self.of.aliases()
    }

    fn signature(&self) -> &Signature {
        self.of.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.of.return_type(types).map(|returned| in_microseconds(&returned))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.of.return_field_from_args(arguments)?;
        let data_type = in_microseconds(field.data_type());
        Ok(Arc::new(field.as_ref().clone().with_data_type(data_type)))
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let of = self.of.inner().with_updated_config(config)?;
        Some(Self { of: Arc::new(of) }.into())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.as_slice() {
            [number] if number.data_type().is_floating() || number.data_type().is_decimal() => {
                function::run(instants, &arguments)
            }
            [_] => function::run(|arguments, to| cast::casted(&arguments[0], to), &arguments),
            _ => in_micros(&self.of.inner().invoke_with_args(arguments)?),
        }
    }
}

fn in_micros(times: &ColumnarValue) -> Result<ColumnarValue> {
    Ok(match times {
        ColumnarValue::Array(times) => ColumnarValue::Array(texts::timestamps_in(times, TimeUnit::Microsecond)?),
        ColumnarValue::Scalar(time) => {
            let times = texts::timestamps_in(&time.to_array()?, TimeUnit::Microsecond)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&times, 0)?)
        }
    })
}

fn instants(arguments: &[ArrayRef], to: &DataType) -> Result<ArrayRef> {
    let seconds = plainly(&arguments[0], &DataType::Float64)?;
    let each = seconds.as_primitive::<Float64Type>().iter().map(|seconds| seconds.map(instant).transpose());
    let instants: TimestampMicrosecondArray = each.collect::<Result<_>>()?;
    let DataType::Timestamp(_, zone) = to else { return exec_err!("`{to}` is no timestamp") };
    Ok(Arc::new(instants.with_timezone_opt(zone.clone())))
}

fn instant(seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return exec_err!("timestamp cannot be NaN");
    }
    let micros = (seconds * 1_000_000.0).round_ties_even();
    match micros.abs() < 9.2e18 {
        true => Ok(micros as i64),
        false => exec_err!("timestamp out of range: \"{seconds:e}\" seconds"),
    }
}
