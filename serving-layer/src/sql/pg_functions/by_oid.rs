//! Functions of an oid, with a result for each oid.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, new_empty_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

/// A function of an oid, and optionally a flag that is ignored.
#[derive(Debug)]
pub(super) struct ByOid {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    answers: HashMap<i32, ScalarValue>,
    otherwise: ScalarValue,
}

impl ByOid {
    pub(super) fn function(
        name: &'static str,
        returns: DataType,
        answers: HashMap<i32, ScalarValue>,
        otherwise: ScalarValue,
    ) -> ScalarUDF {
        let signatures = vec![
            TypeSignature::Exact(vec![DataType::Int32]),
            TypeSignature::Exact(vec![DataType::Int32, DataType::Boolean]),
            // The type of an oid written in a statement.
            TypeSignature::Exact(vec![DataType::Int64]),
            TypeSignature::Exact(vec![DataType::Int64, DataType::Boolean]),
        ];
        let signature = Signature::one_of(signatures, Volatility::Stable);
        ScalarUDF::new_from_impl(Self { name, signature, returns, answers, otherwise })
    }
}

/// Functions of equal name are equal.
impl PartialEq for ByOid {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ByOid {}

impl std::hash::Hash for ByOid {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for ByOid {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(oids) = arguments.args.first() else { return Ok(ColumnarValue::Scalar(self.otherwise.clone())) };
        let oids = cast(&oids.to_array(arguments.number_rows)?, &DataType::Int32)?;
        let answers = oids
            .as_primitive::<Int32Type>()
            .iter()
            .map(|oid| oid.and_then(|oid| self.answers.get(&oid)).unwrap_or(&self.otherwise).clone());
        if oids.is_empty() {
            return Ok(ColumnarValue::Array(new_empty_array(&self.returns)));
        }
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(answers)?))
    }
}
