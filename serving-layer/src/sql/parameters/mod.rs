//! Parameters of statements in both interfaces: their types and values.
//!
//! A value is bound as the type that the plan wants if the value is the same in it, else as its own type: `i = $1` with
//! 2.5 compares two floats and finds nothing, as in PostgreSQL. Nothing is rounded or cut off to fit.

mod interval;
mod literal;
mod moment;

use std::collections::HashMap;

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use crate::error::{QueryError, Reason};

pub(crate) use self::interval::in_words;
pub(crate) use self::literal::{decimal, literal};

/// Types of the placeholders by their names: from the expressions beside them, else from the cast around them; unknown
/// where the statement has neither.
pub(crate) fn types(plan: &LogicalPlan) -> Result<HashMap<String, Option<DataType>>> {
    let mut types: HashMap<String, Option<DataType>> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expr| {
                if let Expr::Placeholder(placeholder) = expr {
                    let known = types.entry(placeholder.id.clone()).or_default();
                    let found = placeholder.field.as_ref().map(|field| field.data_type().clone());
                    *known = wider(known.take(), found);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if types.values().all(Option::is_some) {
        return Ok(types);
    }
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for expr in [&limit.skip, &limit.fetch].into_iter().flatten() {
                is_at_least(&mut types, expr, || Some(DataType::Int64));
            }
        }
        let inputs: Vec<&DFSchema> = node.inputs().into_iter().map(|input| input.schema().as_ref()).collect();
        for expression in node.expressions() {
            expression.apply(|expr| {
                if let Expr::ScalarFunction(function) = expr
                    && let [array, element] = function.args.as_slice()
                    && function.name() == "array_has"
                {
                    // `element = ANY($1)`, as it was rewritten.
                    let item = || inputs.iter().find_map(|schema| element.get_type(*schema).ok());
                    is_at_least(&mut types, array, || item().map(|item| DataType::new_list(item, true)));
                }
                if let Expr::Cast(cast) = expr {
                    is_at_least(&mut types, &cast.expr, || Some(cast.field.data_type().clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(types)
}

/// Sets the type of `expr` if it is a placeholder of unknown type.
fn is_at_least(
    types: &mut HashMap<String, Option<DataType>>,
    expr: &Expr,
    data_type: impl FnOnce() -> Option<DataType>,
) {
    if let Expr::Placeholder(placeholder) = expr
        && let Some(known) = types.get_mut(&placeholder.id)
        && known.is_none()
    {
        *known = data_type();
    }
}

/// The type of a parameter beside several types: the first, or the wider one of two integers.
fn wider(known: Option<DataType>, found: Option<DataType>) -> Option<DataType> {
    match (known, found) {
        (Some(known), Some(found))
            if known.is_integer() && found.is_integer() && found.primitive_width() > known.primitive_width() =>
        {
            Some(found)
        }
        (known, found) => known.or(found),
    }
}

/// The type in which a parameter of type `own` is bound where the plan wants `wanted`.
pub(crate) fn agreed(own: &DataType, wanted: Option<&DataType>) -> DataType {
    let Some(wanted) = wanted else { return own.clone() };
    let alike = match (own, wanted) {
        (DataType::Null, _) => true,
        (own, wanted) if is_text(own) => !matches!(wanted, DataType::Struct(_)),
        (own, wanted) if own.is_integer() => wanted.is_integer(),
        (DataType::Float32, DataType::Float64) => true,
        (own, wanted) if own.is_floating() => wanted.is_decimal(),
        (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, zone)) => zone.is_some(),
        (DataType::Timestamp(_, None), DataType::Timestamp(..)) => true,
        (DataType::Time64(_) | DataType::Time32(_), DataType::Time64(_) | DataType::Time32(_)) => true,
        (own, wanted) if is_bytes(own) => is_bytes(wanted),
        (DataType::List(own), DataType::List(item)) => {
            agreed(own.data_type(), Some(item.data_type())) == *item.data_type()
        }
        _ => false,
    };
    if alike { wanted.clone() } else { own.clone() }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// The value in the type that the plan wants if it is the same there, else unchanged. A text is parsed as that type.
///
/// # Errors
/// When a text is no value of that type.
pub(crate) fn fit(value: ScalarValue, wanted: Option<&DataType>) -> Result<ScalarValue, QueryError> {
    let Some(wanted) = wanted else { return Ok(value) };
    if value.is_null() {
        return Ok(ScalarValue::try_from(&agreed(&value.data_type(), Some(wanted)))?);
    }
    let own = value.data_type();
    match value {
        ScalarValue::Utf8(Some(text)) => literal(&text, wanted),
        ScalarValue::List(list) if matches!(wanted, DataType::List(_)) => {
            let DataType::List(item) = wanted else { return Ok(ScalarValue::List(list)) };
            let values = list.value(0);
            let mut fitted = vec![];
            for i in 0..values.len() {
                fitted.push(fit(ScalarValue::try_from_array(&values, i)?, Some(item.data_type()))?);
            }
            match fitted.iter().all(|value| value.data_type() == *item.data_type()) {
                true => Ok(ScalarValue::List(ScalarValue::new_list_nullable(&fitted, item.data_type()))),
                false => Ok(ScalarValue::List(list)),
            }
        }
        value if own.is_floating() && wanted.is_decimal() => {
            // The decimal of the float's text: `d = $1` with 0.1 finds 0.1.
            Ok(decimal(&value.to_string()).unwrap_or(value))
        }
        value if agreed(&own, Some(wanted)) == *wanted => Ok(value.cast_to(wanted).unwrap_or(value)),
        value => Ok(value),
    }
}

fn wrong(text: &str, wanted: &DataType) -> QueryError {
    let most = text.char_indices().nth(100).map_or(text, |(end, _)| &text[..end]);
    QueryError::new(Reason::Data, format!("invalid parameter: `{most}` is no {}", name(wanted)))
}

/// The type's name in SQL.
pub(crate) fn name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt8 => "TINYINT UNSIGNED".to_owned(),
        DataType::UInt16 => "SMALLINT UNSIGNED".to_owned(),
        DataType::UInt32 => "INT UNSIGNED".to_owned(),
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        DataType::Float32 => "REAL".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("DECIMAL({precision}, {scale})")
        }
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        DataType::List(item) => format!("{}[]", name(item.data_type())),
        other if is_bytes(other) => "BYTEA".to_owned(),
        other if is_text(other) => "VARCHAR".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
