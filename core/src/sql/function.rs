//! A scalar function as a plain value: its types and its implementation.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

/// From the types of arguments to the types that they are cast to and the type of the result.
pub(super) type Types = fn(&[DataType]) -> Result<(Vec<DataType>, DataType)>;

/// From arguments of one length and the type of the result to the result.
pub(super) type ScalarBody = fn(&[ArrayRef], &DataType) -> Result<ArrayRef>;

/// The name of an unnamed column that a function computes.
#[derive(Debug, Clone, Copy)]
pub(super) enum ColumnNaming {
    /// `name(arguments)`.
    Call,
    /// The name of its first argument, as DataFusion names casts.
    First,
    /// `a + b`.
    Infix(&'static str),
}

/// A function without state: equal arguments give equal results.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) types: Types,
    pub(super) run: ScalarBody,
    pub(super) named: ColumnNaming,
    signature: Signature,
}

impl Function {
    pub(super) fn new(name: &'static str, types: Types, run: ScalarBody) -> Self {
        Self::named(name, ColumnNaming::Call, types, run)
    }

    pub(super) fn named(name: &'static str, named: ColumnNaming, types: Types, run: ScalarBody) -> Self {
        Self { name, types, run, named, signature: Signature::user_defined(Volatility::Immutable) }
    }

    pub(super) fn udf(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(self))
    }
}

/// Functions of equal name are equal.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let names: Vec<String> = arguments.iter().map(|argument| argument.schema_name().to_string()).collect();
        Ok(match (self.named, names.as_slice()) {
            (ColumnNaming::First, [first, ..]) => first.clone(),
            (ColumnNaming::Infix(operator), [left, right]) => format!("{left} {operator} {right}"),
            _ => format!("{}({})", self.name, names.join(",")),
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        (self.types)(types).map(|(wanted, _)| wanted)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        (self.types)(types).map(|(_, result)| result)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        run(self.run, &arguments)
    }
}

/// Runs `function` on arrays. Constants are expanded, unless all arguments are constant.
pub(super) fn run(function: ScalarBody, arguments: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { arguments.number_rows };
    let arrays = arguments.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let result = function(&arrays, arguments.return_field.data_type())?;
    Ok(match constant && result.len() == 1 {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
        false => ColumnarValue::Array(result),
    })
}
