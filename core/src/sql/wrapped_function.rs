//! A function of DataFusion under another name, or with changed answers.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

type ResultChange = fn(&ArrayRef) -> Result<ArrayRef>;

#[derive(Debug)]
pub(super) struct Wrapped {
    of: Arc<ScalarUDF>,
    name: &'static str,
    change: Option<ResultChange>,
}

impl Wrapped {
    /// `of` under the name `name`.
    pub(super) fn renamed(of: Arc<ScalarUDF>, name: &'static str) -> Self {
        Self { of, name, change: None }
    }

    /// `of` with `change` applied to its answers.
    pub(super) fn after(of: Arc<ScalarUDF>, name: &'static str, change: ResultChange) -> Self {
        Self { of, name, change: Some(change) }
    }
}

impl PartialEq for Wrapped {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Wrapped {}

impl Hash for Wrapped {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Wrapped {
    fn name(&self) -> &str {
        self.name
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

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.of.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let answer = self.of.invoke_with_args(arguments)?;
        let Some(change) = self.change else { return Ok(answer) };
        Ok(match answer {
            ColumnarValue::Array(array) => ColumnarValue::Array(change(&array)?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&change(&scalar.to_array()?)?, 0)?)
            }
        })
    }
}
