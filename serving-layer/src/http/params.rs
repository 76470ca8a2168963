//! Parameters of a statement, given as JSON.

use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::LogicalPlan;
use serde_json::Value;

use crate::error::{QueryError, Reason};
use crate::sql::parameters;

/// The values of `$1, $2, ..`, in the types that the plan compares them with.
pub(super) fn bind(plan: &LogicalPlan, params: &[Value]) -> Result<ParamValues, QueryError> {
    let types = parameters::types(plan)?;
    if let Some(most) = types.keys().filter_map(|id| id.trim_start_matches('$').parse::<usize>().ok()).max()
        && most > params.len()
    {
        return Err(wrong(format!("the statement has {most} parameters, {} were sent", params.len())));
    }
    let mut values = vec![];
    for (i, param) in params.iter().enumerate() {
        let value = scalar(param)
            .ok_or_else(|| wrong(format!("parameter ${} is neither text, number, boolean nor null", i + 1)))?;
        let wanted = types.get(&format!("${}", i + 1)).and_then(Option::as_ref);
        values.push(parameters::fit(value, wanted)?);
    }
    Ok(ParamValues::from(values))
}

fn scalar(value: &Value) -> Option<ScalarValue> {
    Some(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::Boolean(Some(*value)),
        Value::String(value) => ScalarValue::Utf8(Some(value.clone())),
        Value::Number(number) => match number.as_i64() {
            Some(number) => ScalarValue::Int64(Some(number)),
            None => ScalarValue::Float64(Some(number.as_f64()?)),
        },
        Value::Array(_) | Value::Object(_) => return None,
    })
}

fn wrong(message: String) -> QueryError {
    QueryError::new(Reason::Data, message)
}
