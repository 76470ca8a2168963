//! Parameters of prepared statements: their description for clients, and their values once bound.

mod binary;

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use bytes::Bytes;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Statement, Value, ValueWithSpan, visit_expressions, visit_expressions_mut,
};
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::error::PgWireResult;

use super::values::wire_type;
use super::wire_error::session_error;
use crate::error::{QueryError, Reason};
use crate::sql::catalog_queries::expression;
use crate::sql::parameters;
use crate::sql::parameters::{agreed, fit, literal};

/// The types of a parameter once its statement is planned.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    /// The type in which the client sends it: its declared type, else the described one.
    pub(super) wire: Type,
    is_declared: bool,
    /// The type that the plan compares it with.
    wanted: Option<DataType>,
}

/// The types that the client declared, and those that the statement itself declares, as `$1::oid[]`: in a plan an oid
/// is an integer like others.
pub(super) fn declared(statement: &Statement, types: &[Option<Type>]) -> Vec<Option<Type>> {
    let mut declared = types.to_vec();
    let _ = visit_expressions(statement, |expr| {
        if let SqlExpr::Cast { expr, data_type, .. } = expr
            && let SqlExpr::Value(ValueWithSpan { value: Value::Placeholder(id), .. }) = expr.as_ref()
            && let Some(oid) = match data_type.to_string().to_lowercase().as_str() {
                "oid" => Some(Type::OID),
                "oid[]" => Some(Type::OID_ARRAY),
                _ => None,
            }
            && let Some(number) = id.trim_start_matches('$').parse::<u16>().ok().filter(|number| *number > 0)
        {
            let number = usize::from(number);
            declared.resize(declared.len().max(number), None);
            declared[number - 1].get_or_insert(oid);
        }
        ControlFlow::<()>::Continue(())
    });
    declared
}

/// The statement with a cast around each parameter that the client declared as an interval: otherwise `ts - $1` would
/// be planned as the difference of two time stamps.
pub(super) fn with_intervals(mut statement: Statement, types: &[Option<Type>]) -> Statement {
    let _ = visit_expressions_mut(&mut statement, |expr| {
        if let SqlExpr::Value(ValueWithSpan { value: Value::Placeholder(id), .. }) = expr
            && let Ok(number) = id.trim_start_matches('$').parse::<usize>()
            && number.checked_sub(1).and_then(|i| types.get(i)) == Some(&Some(Type::INTERVAL))
            && let Some(cast) = expression(&format!("CAST({id} AS INTERVAL)"))
        {
            *expr = cast;
        }
        ControlFlow::<()>::Continue(())
    });
    statement
}

/// The parameters of a plan, of which some are declared.
pub(super) fn parameters(plan: &LogicalPlan, declared: &[Option<Type>]) -> Result<Vec<Parameter>, QueryError> {
    let mut wanted: Vec<Option<DataType>> = vec![];
    for (id, data_type) in parameters::types(plan)? {
        let Some(number) = id.trim_start_matches('$').parse::<u16>().ok().filter(|number| *number > 0) else {
            return Err(QueryError::new(Reason::Unsupported, format!("`{id}` is no parameter: write `$1`")));
        };
        let number = usize::from(number);
        if wanted.len() < number {
            wanted.resize(number, None);
        }
        wanted[number - 1] = data_type;
    }
    if wanted.len() < declared.len() {
        wanted.resize(declared.len(), None);
    }
    let parameter = |(i, wanted): (usize, Option<DataType>)| {
        // 705 is `unknown`: the client leaves the type to the server.
        let declared = declared.get(i).cloned().flatten().filter(|wire| *wire != Type::UNKNOWN);
        let told = || match &wanted {
            Some(wanted) => wire_type(&Field::new("", wanted.clone(), true)).unwrap_or(Type::TEXT),
            None => Type::TEXT,
        };
        Parameter { is_declared: declared.is_some(), wire: declared.unwrap_or_else(told), wanted }
    };
    Ok(wanted.into_iter().enumerate().map(parameter).collect())
}

/// NULLs of the values' types: with them a plan has the schema of its answer.
pub(super) fn nulls(parameters: &[Parameter], zone: &str) -> Result<ParamValues, QueryError> {
    let null = |parameter: &Parameter| Ok(ScalarValue::try_from(&parameter.data_type(zone))?);
    Ok(ParamValues::from(parameters.iter().map(null).collect::<Result<Vec<_>, QueryError>>()?))
}

/// The values that the client sent.
pub(super) fn values<S>(portal: &Portal<S>, parameters: &[Parameter], zone: &str) -> Result<ParamValues, QueryError> {
    let mut values = vec![];
    for (i, parameter) in parameters.iter().enumerate() {
        let sent = portal.parameters.get(i).and_then(Option::as_ref);
        let value = parameter.value(sent, portal.parameter_format.is_binary(i), zone);
        values.push(value.map_err(|error| QueryError { message: format!("${}: {}", i + 1, error.message), ..error })?);
    }
    Ok(ParamValues::from(values))
}

/// Checks that the numbers of values and of formats match the statement, because their readers rely on it.
pub(super) fn check_counts(sent: usize, formats: usize, parameters: usize) -> PgWireResult<()> {
    if sent != parameters {
        let message = format!("bind message supplies {sent} parameters, but prepared statement requires {parameters}");
        return Err(session_error("08P01", message));
    }
    match formats {
        0 | 1 => Ok(()),
        formats if formats == sent => Ok(()),
        formats => {
            let message = format!("bind message has {formats} parameter formats but {sent} parameters");
            Err(session_error("08P01", message))
        }
    }
}

impl Parameter {
    /// The type of its value, whatever the value is.
    fn data_type(&self, zone: &str) -> DataType {
        match (natural(&self.wire, zone), &self.wanted) {
            (Some(own), wanted) if self.is_declared => agreed(&own, wanted.as_ref()),
            (_, Some(wanted)) => wanted.clone(),
            (Some(own), None) => own,
            (None, None) => DataType::Utf8,
        }
    }

    fn value(&self, sent: Option<&Bytes>, is_binary: bool, zone: &str) -> Result<ScalarValue, QueryError> {
        let Some(bytes) = sent else { return Ok(ScalarValue::try_from(&self.data_type(zone))?) };
        let own = natural(&self.wire, zone);
        let value = match (is_binary, own) {
            (true, Some(own)) => binary::value(bytes, &own)?,
            (true, None) if !is_text(&self.wire) => {
                let message = format!("a {} cannot be sent in binary: send it as text", self.wire.name());
                return Err(QueryError::new(Reason::Unsupported, message));
            }
            // A TINYINT is described as the wider int2: every int2 may be compared with it.
            (false, Some(own)) if self.is_declared || own.is_integer() => literal(utf8(bytes)?, &own)?,
            _ => ScalarValue::Utf8(Some(utf8(bytes)?.to_owned())),
        };
        fit(value, self.wanted.as_ref())
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, QueryError> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| QueryError::new(Reason::Data, "invalid byte sequence for encoding \"UTF8\""))
}

/// Types whose binary form is the text itself.
fn is_text(wire: &Type) -> bool {
    let texts = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN, Type::JSON, Type::XML, Type::CHAR];
    texts.contains(wire)
}

/// The type of a value sent as `wire`; `None` for types that are read as text.
fn natural(wire: &Type, zone: &str) -> Option<DataType> {
    if let Some(element) = binary::arrays::element(wire) {
        let element = natural(&element, zone).unwrap_or(DataType::Utf8);
        return Some(DataType::new_list(element, true));
    }
    Some(match *wire {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::OID => DataType::UInt32,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::NUMERIC => DataType::Decimal128(38, 10),
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(zone))),
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => return None,
    })
}
