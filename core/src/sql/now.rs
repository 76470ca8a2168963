//! `now`, which is `current_timestamp`: the time at which the query began, in microseconds.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, internal_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

use crate::stored::in_microseconds;

/// DataFusion's function, with its nanoseconds cut off.
pub(super) fn now() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Now { of: datetime::now(&ConfigOptions::default()) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    of: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Now {
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
        let field = self.of.return_field_from_args(arguments)?;
        let data_type = in_microseconds(field.data_type());
        Ok(Arc::new(field.as_ref().clone().with_data_type(data_type)))
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let of = self.of.inner().with_updated_config(config)?;
        Some(Self { of: Arc::new(of) }.into())
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("`now` is a constant of its query")
    }

    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match self.of.simplify(arguments, context)? {
            ExprSimplifyResult::Simplified(Expr::Literal(ScalarValue::TimestampNanosecond(nanos, zone), metadata)) => {
                let micros = nanos.map(|nanos| nanos.div_euclid(1_000));
                let now = ScalarValue::TimestampMicrosecond(micros, zone);
                ExprSimplifyResult::Simplified(Expr::Literal(now, metadata))
            }
            other => other,
        })
    }
}
