//! SQL column definitions -> an Arrow schema, by DataFusion's own conversion of types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use chrono_tz::Tz;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result as DfResult, TableReference, plan_err};
use datafusion::logical_expr::planner::ContextProvider;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::{ColumnDef, ColumnOption, Ident};

use super::error::ErrorReport;
use super::suggest::did_you_mean;
use crate::record::column::METADATA;
use crate::stored::in_microseconds;

/// The schema that `columns` declare. Every error is reported; a column whose type is wrong is `Null` here, so that
/// nobody complains that it is missing.
pub(super) fn schema(columns: &[ColumnDef], zone: Option<Tz>, report: &mut ErrorReport<'_>) -> SchemaRef {
    let types = TypesOnly::new(zone);
    let mut fields: Vec<Field> = Vec::with_capacity(columns.len());
    for column in columns {
        let at = column.name.span.start;
        let field = field(&types, column, zone, report);
        if METADATA.contains(&field.name().as_str()) {
            let message = format!("column name `{}` is reserved", field.name());
            report.hint(at, message, "every stream has this column already; leave it out");
        }
        if fields.iter().any(|other| other.name() == field.name()) {
            report.error(at, format!("column `{}` is declared twice", field.name()));
        }
        fields.push(field);
    }
    Arc::new(Schema::new(fields))
}

fn field(types: &TypesOnly, column: &ColumnDef, zone: Option<Tz>, report: &mut ErrorReport<'_>) -> Field {
    check_constraints(column, report);
    let options = ParserOptions::new().with_map_string_types_to_utf8view(false);
    let built = SqlToRel::new_with_options(types, options).build_schema(vec![column.clone()]);
    let name = normalized(&column.name);
    match built.map(|schema| schema.fields().first().cloned()) {
        Ok(Some(field)) => {
            check_fields(&field, &name, column, report);
            let data_type = in_microseconds(field.data_type());
            let data_type = zone.map_or(data_type.clone(), |zone| in_zone(&data_type, zone));
            Field::new(name, data_type, field.is_nullable())
        }
        Ok(None) => Field::new(name, DataType::Null, true),
        Err(error) => {
            let message = format!("column `{name}` has type `{}`: {}", column.data_type, reason(&error));
            report.push(column.name.span.start, message, instead_of(&column.data_type.to_string()));
            Field::new(name, DataType::Null, true)
        }
    }
}

/// Quoted names keep their case, others are lower-cased.
pub(super) fn normalized(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_ascii_lowercase(),
    }
}

fn check_constraints(column: &ColumnDef, report: &mut ErrorReport<'_>) {
    for option in &column.options {
        if !matches!(option.option, ColumnOption::NotNull | ColumnOption::Null) {
            let message = format!("column `{}` has the constraint `{}`", column.name.value, option.option);
            report.hint(column.name.span.start, message, "the only constraint a column can have is `NOT NULL`");
        }
    }
}

/// Fields of one struct need different names, at any depth.
fn check_fields(field: &Field, path: &str, column: &ColumnDef, report: &mut ErrorReport<'_>) {
    match field.data_type() {
        DataType::Struct(fields) => {
            for (i, inner) in fields.iter().enumerate() {
                if fields.iter().take(i).any(|other| other.name() == inner.name()) {
                    let message = format!("column `{path}` has two fields `{}`", inner.name());
                    report.error(column.name.span.start, message);
                }
                check_fields(inner, &format!("{path}.{}", inner.name()), column, report);
            }
        }
        DataType::List(inner) | DataType::FixedSizeList(inner, _) => check_fields(inner, path, column, report),
        _ => {}
    }
}

/// Every timestamp in `data_type`, at any depth, as an instant of `zone`.
fn in_zone(data_type: &DataType, zone: Tz) -> DataType {
    let inner = |field: &FieldRef| {
        let data_type = in_zone(field.data_type(), zone);
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some(zone.name().into())),
        DataType::List(field) => DataType::List(inner(field)),
        DataType::FixedSizeList(field, n) => DataType::FixedSizeList(inner(field), *n),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}

fn reason(error: &DataFusionError) -> String {
    match error {
        DataFusionError::NotImplemented(_) => "it is not supported".to_owned(),
        DataFusionError::Plan(why) => lower_first(why.lines().next().unwrap_or_default()),
        other => lower_first(&other.strip_backtrace()),
    }
}

/// The text with its first letter in lower case, as errors are here.
pub(super) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Supported types without parameters, in their usual spelling.
const TYPES: [&str; 21] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "INTEGER",
    "BIGINT",
    "TINYINT UNSIGNED",
    "SMALLINT UNSIGNED",
    "INT UNSIGNED",
    "BIGINT UNSIGNED",
    "REAL",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "VARCHAR",
    "TEXT",
    "STRING",
    "BYTEA",
    "DATE",
    "TIME",
    "TIMESTAMP",
];

fn instead_of(sql_type: &str) -> Option<String> {
    let word: String = sql_type.to_uppercase().chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
    let write = match word.as_str() {
        "CHARACTER" | "CHARVARYING" | "NVARCHAR" | "UUID" | "CLOB" | "ENUM" => "VARCHAR",
        "JSON" | "JSONB" | "MAP" => "`STRUCT<name TYPE, ..>` for the fields you need, or VARCHAR",
        "DATETIME" | "DATETIME64" | "TIMESTAMP_NTZ" => "TIMESTAMP",
        "TIMESTAMP" => "TIMESTAMP(0), (3) or (6)",
        "INT64" | "SIGNED" => "BIGINT",
        "INT32" | "MEDIUMINT" => "INT",
        "INT16" => "SMALLINT",
        "UINT64" | "UNSIGNED" => "BIGINT UNSIGNED",
        "UINT32" => "INT UNSIGNED",
        "FLOAT64" | "DOUBLE" | "NUMBER" => "DOUBLE",
        "FLOAT32" => "REAL",
        "BINARY" | "VARBINARY" | "BLOB" | "BYTES" => "BYTEA",
        "ARRAY" => "`TYPE[]` or `ARRAY<TYPE>`",
        "DEC" | "DECIMAL" | "NUMERIC" | "BIGNUMERIC" | "BIGDECIMAL" => "DECIMAL(precision, scale), up to 76 digits",
        _ => return Some(did_you_mean(&word, &TYPES, "types")),
    };
    Some(format!("write {write}"))
}

/// The planner's context for the conversion of types: settings, and no tables or functions.
struct TypesOnly {
    options: ConfigOptions,
}

impl TypesOnly {
    fn new(zone: Option<Tz>) -> Self {
        let mut options = ConfigOptions::new();
        options.execution.time_zone = Some(zone.map_or("UTC", |zone| zone.name()).to_owned());
        Self { options }
    }
}

impl ContextProvider for TypesOnly {
    fn get_table_source(&self, name: TableReference) -> DfResult<Arc<dyn TableSource>> {
        plan_err!("no table `{name}` here")
    }
    fn get_function_meta(&self, _name: &str) -> Option<Arc<ScalarUDF>> {
        None
    }
    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }
    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }
    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }
    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }
    fn options(&self) -> &ConfigOptions {
        &self.options
    }
    fn udf_names(&self) -> Vec<String> {
        Vec::new()
    }
    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }
    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }
    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
