//! AT TIME ZONE: local times of a zone to instants, and back.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{each, out_of_range};
use crate::sql::function::run;
use crate::sql::zone::SqlZone;

/// Converts local times to instants of the wanted zone, where `arrow` refuses those at a change of clocks.
pub(crate) fn to_instants(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, Some(zone)) = wanted else { return Err(out_of_range()) };
    let without = cast(array, &DataType::Timestamp(*unit, None))?;
    let instants = each(&without, *unit, zone, |time, local| local.instant(time))?;
    Ok(cast(&cast(&instants, &DataType::Int64)?, wanted)?)
}

/// Converts instants to local times in `zone`.
pub(crate) fn to_local(array: &ArrayRef, unit: TimeUnit, zone: &str) -> Result<ArrayRef> {
    let times = each(array, unit, zone, |instant, local| local.local(instant))?;
    Ok(cast(&cast(&times, &DataType::Int64)?, &DataType::Timestamp(unit, None))?)
}

/// `timezone(zone, t)`, which is `t AT TIME ZONE zone`: a local time becomes the instant, an instant the local time.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AtTimeZone {
    signature: Signature,
}

impl AtTimeZone {
    pub(crate) fn udf() -> Arc<ScalarUDF> {
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

pub(crate) fn at_time_zone(arguments: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
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
