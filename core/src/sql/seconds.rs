//! `to_timestamp` of a float: seconds since 1970, to the microsecond.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, TimestampNanosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, exec_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::function;

/// `to_timestamp`: DataFusion's for all types but floats, of which it reads those beyond the range as the first or last
/// instant and NaN as 1970.
pub(super) fn to_timestamp() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(ToTimestamp { of: datetime::to_timestamp(&ConfigOptions::default()) }))
}

#[derive(Debug)]
struct ToTimestamp {
    of: Arc<ScalarUDF>,
}

impl PartialEq for ToTimestamp {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of
    }
}

impl Eq for ToTimestamp {}

impl Hash for ToTimestamp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
    }
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
        self.of.return_type(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.of.return_field_from_args(arguments)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let of = self.of.inner().with_updated_config(config)?;
        Some(Self { of: Arc::new(of) }.into())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.as_slice() {
            [number] if number.data_type().is_floating() => function::run(instants, &arguments),
            _ => self.of.inner().invoke_with_args(arguments),
        }
    }
}

fn instants(arguments: &[ArrayRef], to: &DataType) -> Result<ArrayRef> {
    let seconds = cast(&arguments[0], &DataType::Float64)?;
    let each = seconds.as_primitive::<Float64Type>().iter().map(|seconds| seconds.map(instant).transpose());
    let instants: TimestampNanosecondArray = each.collect::<Result<_>>()?;
    let DataType::Timestamp(_, zone) = to else { return exec_err!("`{to}` is no timestamp") };
    Ok(Arc::new(instants.with_timezone_opt(zone.clone())))
}

fn instant(seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return exec_err!("timestamp cannot be NaN");
    }
    let micros = (seconds * 1_000_000.0).round_ties_even();
    let nanos = if micros.abs() < 9.2e18 { (micros as i64).checked_mul(1000) } else { None };
    match nanos {
        Some(nanos) => Ok(nanos),
        None => exec_err!("timestamp out of range: \"{seconds:e}\" seconds; it reaches from 1677 to 2262"),
    }
}
