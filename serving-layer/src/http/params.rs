//! Parameters of a statement, from JSON to the types its plan wants.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ParamValues, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use serde_json::Value;

use crate::error::{QueryError, Reason};

/// The values of `$1, $2, ..`, cast to what the plan compares them with.
pub(super) fn bind(plan: &LogicalPlan, params: &[Value]) -> Result<ParamValues, QueryError> {
    let types = types(plan)?;
    if let Some(most) = types.keys().filter_map(|id| id.trim_start_matches('$').parse::<usize>().ok()).max()
        && most > params.len()
    {
        return Err(wrong(format!("the statement has {most} parameters, {} were sent", params.len())));
    }
    let mut values = vec![];
    for (i, param) in params.iter().enumerate() {
        let value = scalar(param)
            .ok_or_else(|| wrong(format!("parameter ${} is neither text, number, boolean nor null", i + 1)))?;
        values.push(match types.get(&format!("${}", i + 1)) {
            Some(Some(data_type)) => value.cast_to(data_type).map_err(|error| {
                wrong(format!("parameter ${} is no {data_type}: {}", i + 1, error.strip_backtrace()))
            })?,
            _ => value,
        });
    }
    Ok(ParamValues::from(values))
}

/// Types of the placeholders: from what they stand beside, else from the cast around them.
pub(crate) fn types(plan: &LogicalPlan) -> Result<HashMap<String, Option<DataType>>> {
    let mut types = plan.get_parameter_types()?;
    if types.values().all(Option::is_some) {
        return Ok(types);
    }
    plan.apply_with_subqueries(|node| {
        let inputs: Vec<&DFSchema> = node.inputs().into_iter().map(|input| input.schema().as_ref()).collect();
        for expression in node.expressions() {
            expression.apply(|expr| {
                if let Expr::ScalarFunction(function) = expr
                    && let [Expr::Placeholder(placeholder), element] = function.args.as_slice()
                    && function.name() == "array_has"
                    && let Some(data_type) = types.get_mut(&placeholder.id)
                    && let Some(element) = inputs.iter().find_map(|schema| element.get_type(*schema).ok())
                {
                    // `element = ANY($1)`, as it was rewritten.
                    data_type.get_or_insert_with(|| DataType::new_list(element, true));
                }
                if let Expr::Cast(cast) = expr
                    && let Expr::Placeholder(placeholder) = cast.expr.as_ref()
                    && let Some(data_type) = types.get_mut(&placeholder.id)
                {
                    data_type.get_or_insert_with(|| cast.field.data_type().clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(types)
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
