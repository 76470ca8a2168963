//! Functions that return another type than they declare, mended.
//!
//! `to_timestamp` and its kin declare a time in the session's zone. From a column of texts they return one without a
//! zone, which does not fit into the planned batch. From a number they return times that cannot be printed.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::sql::in_calendar;

const MENDED: [&str; 6] = [
    "from_unixtime",
    "to_timestamp",
    "to_timestamp_seconds",
    "to_timestamp_millis",
    "to_timestamp_micros",
    "to_timestamp_nanos",
];

/// Replaces the functions registered in `context` by the mended ones.
pub fn register_mended_functions(context: &SessionContext) {
    for name in MENDED {
        let found = context.state().scalar_functions().get(name).cloned();
        if let Some(function) = found {
            context.register_udf(AsDeclared { function }.into());
        }
    }
}

/// Casts a function's result to its declared type: the same instants, in the declared zone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AsDeclared {
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for AsDeclared {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = self.function.inner().with_updated_config(config)?;
        Some(Self { function: Arc::new(function) }.into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let declared = args.return_field.data_type().clone();
        let value = self.function.inner().invoke_with_args(args)?;
        match &value {
            ColumnarValue::Array(times) => in_calendar(times)?,
            ColumnarValue::Scalar(time) => in_calendar(&time.to_array()?)?,
        }
        match (value.data_type(), &declared) {
            (got, declared) if got == *declared => Ok(value),
            // Without a zone it counts from 1970 in UTC; a cast would read it as a local time.
            (DataType::Timestamp(unit, None), DataType::Timestamp(..)) => {
                value.cast_to(&DataType::Timestamp(unit, Some("UTC".into())), None)?.cast_to(&declared, None)
            }
            _ => value.cast_to(&declared, None),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}
