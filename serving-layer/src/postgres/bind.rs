//! Parameters of prepared statements: their types, and their values once bound.

use arrow::datatypes::DataType;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use crate::error::{QueryError, Reason};
use crate::http::placeholder_types;

/// Types of `$1, $2, ..`, unknown where the statement does not say or does not use one.
fn inferred(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>, QueryError> {
    let mut types = vec![];
    for (id, data_type) in placeholder_types(plan)? {
        let Some(number) = id.trim_start_matches('$').parse::<u16>().ok().filter(|number| *number > 0) else {
            return Err(QueryError::new(Reason::Unsupported, format!("`{id}` is no parameter: write `$1`")));
        };
        let number = usize::from(number);
        if types.len() < number {
            types.resize(number, None);
        }
        types[number - 1] = data_type;
    }
    Ok(types)
}

/// What the client is told to send.
pub(super) fn wire_types(plan: &LogicalPlan) -> Result<Vec<Type>, PgWireError> {
    let inferred = inferred(plan).map_err(|error| super::respond::wire_error(error, ""))?;
    inferred
        .iter()
        .map(|data_type| data_type.as_ref().map_or(Ok(Type::TEXT), into_pg_type))
        .collect::<PgWireResult<_>>()
}

/// The values that the client sent.
pub(super) fn values<S: Clone>(portal: &Portal<S>, plan: &LogicalPlan) -> Result<ParamValues, QueryError> {
    let types = inferred(plan)?;
    if types.len() > portal.parameter_len() {
        let message = format!("the statement has {} parameters, {} were bound", types.len(), portal.parameter_len());
        return Err(QueryError::new(Reason::Data, message));
    }
    let wire = wire_types(plan).map_err(wrong)?;
    let types: Vec<Option<&DataType>> = types.iter().map(Option::as_ref).collect();
    let wire: Vec<Option<&Type>> = wire.iter().map(Some).collect();
    deserialize_parameters_with_server_types(portal, &types, &wire).map_err(wrong)
}

fn wrong(error: PgWireError) -> QueryError {
    let message = match error {
        PgWireError::UserError(info) => info.message,
        other => other.to_string(),
    };
    QueryError::new(Reason::Data, message)
}
