//! Functions that PostgreSQL clients call and that DataFusion and its `pg_catalog` lack.

mod by_oid;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use dovetail_core::view::Planned;

use self::by_oid::ByOid;
use crate::error::QueryError;
use crate::sql::pg_catalog::ROLE;
use crate::sql::schemas::PUBLIC;
use crate::sql::settings::{SERVER_VERSION, known_settings};

/// Registers them over the relations of `pg_catalog`, whose oids stay for the life of the process.
pub(crate) async fn register(context: &SessionContext, views: &[Planned]) -> Result<(), QueryError> {
    let relations = relations(context).await?;
    let visible = relations.iter().map(|r| (r.oid, ScalarValue::Boolean(Some(r.is_visible())))).collect();
    let no = ScalarValue::Boolean(Some(false));
    context.register_udf(ByOid::function("pg_table_is_visible", DataType::Boolean, visible, no));
    let sql = |relation: &Relation| views.iter().find(|v| v.name().as_str() == relation.name).map(definition);
    let definitions =
        relations.iter().filter(|r| r.is_view()).filter_map(|r| Some((r.oid, ScalarValue::from(sql(r)?))));
    let none = ScalarValue::Utf8(None);
    context.register_udf(ByOid::function("pg_get_viewdef", DataType::Utf8, definitions.collect(), none));
    context.register_udf(to_regclass(&relations));
    register_constants(context);
    Ok(())
}

fn definition(view: &Planned) -> String {
    match view {
        Planned::Folded(view) => view.sql.clone(),
        Planned::Derived(view) => view.sql.clone(),
    }
}

/// A table or view in `pg_class`.
struct Relation {
    oid: i32,
    schema: String,
    name: String,
}

impl Relation {
    /// Whether its name is found without its schema.
    fn is_visible(&self) -> bool {
        matches!(self.schema.as_str(), PUBLIC | "pg_catalog")
    }

    fn is_view(&self) -> bool {
        !matches!(self.schema.as_str(), "raw" | "sys" | "pg_catalog" | "information_schema")
    }
}

async fn relations(context: &SessionContext) -> Result<Vec<Relation>, QueryError> {
    let sql = "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
               ON n.oid = c.relnamespace";
    let mut relations = vec![];
    for batch in context.sql(sql).await?.collect().await? {
        let (oids, schemas, names) = (batch.column(0), batch.column(1), batch.column(2));
        let oids = cast(oids, &DataType::Int32).map_err(DataFusionError::from)?;
        for row in 0..batch.num_rows() {
            relations.push(Relation {
                oid: oids.as_primitive::<Int32Type>().value(row),
                schema: schemas.as_string::<i32>().value(row).to_owned(),
                name: names.as_string::<i32>().value(row).to_owned(),
            });
        }
    }
    Ok(relations)
}

/// The oid of a relation by its name, with or without its schema; null for an unknown one.
fn to_regclass(relations: &[Relation]) -> ScalarUDF {
    let mut oids: HashMap<String, i32> = HashMap::new();
    for relation in relations {
        oids.insert(format!("{}.{}", relation.schema, relation.name), relation.oid);
        if relation.is_visible() {
            oids.entry(relation.name.clone()).or_insert(relation.oid);
        }
    }
    let answer = move |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let names = ColumnarValue::values_to_arrays(arguments)?;
        let Some(names) = names.first() else { return Ok(ColumnarValue::Scalar(ScalarValue::Int32(None))) };
        let oid = |name: &str| oids.get(&name.replace('"', "")).copied().or_else(|| name.parse().ok());
        let found = names.as_string::<i32>().iter().map(|name| name.and_then(oid));
        Ok(ColumnarValue::Array(Arc::new(found.collect::<Int32Array>()) as ArrayRef))
    };
    create_udf("to_regclass", vec![DataType::Utf8], DataType::Int32, Volatility::Stable, Arc::new(answer))
}

fn register_constants(context: &SessionContext) {
    let version = format!(
        "PostgreSQL {SERVER_VERSION} (Dovetail {}, DataFusion {})",
        env!("CARGO_PKG_VERSION"),
        datafusion::DATAFUSION_VERSION
    );
    context.register_udf(constant("version", vec![], Some(version)));
    context.register_udf(constant("obj_description", vec![DataType::Int32, DataType::Utf8], None));
    context.register_udf(constant("col_description", vec![DataType::Int32, DataType::Int32], None));
    context.register_udf(constant("shobj_description", vec![DataType::Int32, DataType::Utf8], None));
    context.register_udf(constant("pg_get_indexdef", vec![DataType::Int32], None));
    context.register_udf(no_oid("to_regtype"));
    for name in [
        "pg_type_is_visible",
        "pg_function_is_visible",
        "pg_collation_is_visible",
        "pg_opclass_is_visible",
        "pg_opfamily_is_visible",
        "pg_operator_is_visible",
        "pg_conversion_is_visible",
        "pg_statistics_obj_is_visible",
    ] {
        let yes = ScalarValue::Boolean(Some(true));
        context.register_udf(ByOid::function(name, DataType::Boolean, HashMap::new(), yes));
    }
    // The size of a relation is not known.
    for name in ["pg_table_size", "pg_indexes_size"] {
        context.register_udf(ByOid::function(name, DataType::Int64, HashMap::new(), ScalarValue::Int64(None)));
    }
    context.register_udf(size_pretty());
    context.register_udf(no_size("pg_database_size"));
    context.register_udf(constant("pg_tablespace_location", vec![DataType::Int32], Some(String::new())));
    for name in ["pg_get_function_result", "pg_get_function_arguments", "pg_get_function_identity_arguments"] {
        context.register_udf(constant(name, vec![DataType::Int32], None));
    }
    // There are no temporary tables, and nothing to recover.
    for (name, value) in
        [("pg_my_temp_schema", ScalarValue::Int32(Some(0))), ("pg_is_in_recovery", ScalarValue::Boolean(Some(false)))]
    {
        let data_type = value.data_type();
        let answer = move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(value.clone()));
        context.register_udf(create_udf(name, vec![], data_type, Volatility::Stable, Arc::new(answer)));
    }
    context.register_udf(of_text("quote_literal", |text| text.map(quoted)));
    context.register_udf(of_text("quote_nullable", |text| Some(text.map_or_else(|| "NULL".to_owned(), quoted))));
    context.register_udf(current_setting());
    for name in ["current_user", "session_user"] {
        context.register_udf(constant(name, vec![], Some(ROLE.to_owned())));
    }
    let role = ScalarValue::from(ROLE);
    context.register_udf(ByOid::function("pg_get_userbyid", DataType::Utf8, HashMap::new(), role));
}

/// A function from a text to a text.
fn of_text(name: &str, value: fn(Option<&str>) -> Option<String>) -> ScalarUDF {
    let answer = move |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let texts = ColumnarValue::values_to_arrays(arguments)?;
        let Some(texts) = texts.first() else { return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))) };
        let values = texts.as_string::<i32>().iter().map(value);
        Ok(ColumnarValue::Array(Arc::new(values.collect::<StringArray>()) as ArrayRef))
    };
    create_udf(name, vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(answer))
}

/// The text as a constant in SQL.
fn quoted(text: &str) -> String {
    let text = text.replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\")),
        false => format!("'{text}'"),
    }
}

/// `current_setting` where no session can have changed a setting.
fn current_setting() -> ScalarUDF {
    let answer = |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let names = ColumnarValue::values_to_arrays(arguments)?;
        let Some(names) = names.first() else { return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))) };
        let known = known_settings();
        let setting = |name: &str| {
            let found = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let unknown = || DataFusionError::Plan(format!("unrecognized configuration parameter \"{name}\""));
            found.map(|(_, value)| value.clone()).ok_or_else(unknown)
        };
        let found = names.as_string::<i32>().iter().map(|name| name.map(setting).transpose());
        Ok(ColumnarValue::Array(Arc::new(found.collect::<Result<StringArray>>()?) as ArrayRef))
    };
    create_udf("current_setting", vec![DataType::Utf8], DataType::Utf8, Volatility::Stable, Arc::new(answer))
}

/// A function from a name to a size, which is null because it is not known.
fn no_size(name: &str) -> ScalarUDF {
    let answer = |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(ScalarValue::Int64(None)));
    create_udf(name, vec![DataType::Utf8], DataType::Int64, Volatility::Stable, Arc::new(answer))
}

/// `pg_size_pretty(bytes)`.
fn size_pretty() -> ScalarUDF {
    let answer = |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let sizes = ColumnarValue::values_to_arrays(arguments)?;
        let Some(sizes) = sizes.first() else { return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))) };
        let pretty = sizes.as_primitive::<Int64Type>().iter().map(|size| size.map(pretty_size));
        Ok(ColumnarValue::Array(Arc::new(pretty.collect::<StringArray>()) as ArrayRef))
    };
    create_udf("pg_size_pretty", vec![DataType::Int64], DataType::Utf8, Volatility::Immutable, Arc::new(answer))
}

/// PostgreSQL's rule: the next unit from 10 of it on, rounded half away from zero.
fn pretty_size(bytes: i64) -> String {
    let (mut size, mut unit) = (i128::from(bytes), "bytes");
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if size.abs() < 10 * 1024 {
            break;
        }
        size = (size + size.signum() * 512) / 1024;
        unit = next;
    }
    format!("{size} {unit}")
}

/// A function from a name to the oid of an object of a kind that does not exist here.
fn no_oid(name: &str) -> ScalarUDF {
    let answer = |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(ScalarValue::Int32(None)));
    create_udf(name, vec![DataType::Utf8], DataType::Int32, Volatility::Stable, Arc::new(answer))
}

/// A function with the same text for all arguments.
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
