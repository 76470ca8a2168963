//! `||` as a function, so that its result is bounded like those of functions.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::kernels::concat_elements::{concat_elements_dyn, concat_elements_utf8};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `||` of two strings of the same type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Concat {
    signature: Signature,
}

impl Concat {
    pub(super) fn function() -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Self { signature: Signature::user_defined(Volatility::Immutable) }))
    }
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "||"
    }

    /// The operator's name.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Utf8))
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return datafusion::common::internal_err!("`||` takes two arguments");
        };
        let (left, right) = (left.to_array(args.number_rows)?, right.to_array(args.number_rows)?);
        if left.data_type() == &DataType::Utf8 {
            return Ok(ColumnarValue::Array(Arc::new(concat_elements_utf8(
                left.as_string::<i32>(),
                right.as_string::<i32>(),
            )?)));
        }
        Ok(ColumnarValue::Array(concat_elements_dyn(left.as_ref(), right.as_ref())?))
    }
}
