//! Functions that PostgreSQL clients ask for and DataFusion or its `pg_catalog` lack.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

/// What `version()` begins with: clients choose their catalog queries by it.
pub(crate) const SERVER_VERSION: &str = "16.6";

/// Registers them.
pub(crate) fn register(context: &SessionContext) {
    let version = format!(
        "PostgreSQL {SERVER_VERSION} (Dovetail {}, DataFusion {})",
        env!("CARGO_PKG_VERSION"),
        datafusion::DATAFUSION_VERSION
    );
    context.register_udf(constant("version", vec![], Some(version)));
    context.register_udf(constant("pg_get_viewdef", vec![DataType::Int32], None));
    context.register_udf(constant("obj_description", vec![DataType::Int32, DataType::Utf8], None));
    context.register_udf(constant("col_description", vec![DataType::Int32, DataType::Int32], None));
    context.register_udf(constant("shobj_description", vec![DataType::Int32, DataType::Utf8], None));
    context.register_udf(constant("pg_get_indexdef", vec![DataType::Int32], None));
    context.register_udf(constant("current_user", vec![], Some("dovetail".to_owned())));
}

/// A function that answers the same text whatever it is asked.
fn constant(name: &str, arguments: Vec<DataType>, value: Option<String>) -> ScalarUDF {
    let answer = move |arguments: &[ColumnarValue]| {
        let rows = arguments.iter().find_map(|argument| match argument {
            ColumnarValue::Array(array) => Some(array.len()),
            ColumnarValue::Scalar(_) => None,
        });
        Ok(match rows {
            Some(rows) => ColumnarValue::Array(Arc::new(StringArray::from(vec![value.clone(); rows])) as ArrayRef),
            None => ColumnarValue::Scalar(ScalarValue::Utf8(value.clone())),
        })
    };
    create_udf(name, arguments, DataType::Utf8, Volatility::Stable, Arc::new(answer))
}
