//! `pg_catalog` from `datafusion-pg-catalog`, completed by missing columns and rows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::{MemTable, TableType, ViewTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, ident, lit};
use datafusion::physical_plan::ExecutionPlan;

/// The only role: it owns everything, and every client connects as it.
pub(crate) const ROLE: &str = "dovetail";

/// The privilege of everybody on a table, in PostgreSQL's form: read.
const TABLE_ACL: &str = "=r/dovetail";
const SCHEMA_ACL: &str = "=U/dovetail";

/// Columns that clients read and that the tables lack.
const LACKING: [(&str, &str); 5] = [
    ("pg_class", "relacl"),
    ("pg_class", "reloptions"),
    ("pg_attribute", "attacl"),
    ("pg_attribute", "attoptions"),
    ("pg_attribute", "attfdwoptions"),
];

/// The schema with the completed tables.
#[derive(Debug)]
pub(crate) struct PgCatalog {
    inner: Arc<dyn SchemaProvider>,
    settings: Vec<(&'static str, String)>,
}

impl PgCatalog {
    pub(crate) fn over(inner: Arc<dyn SchemaProvider>, settings: Vec<(&'static str, String)>) -> Self {
        Self { inner, settings }
    }
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match (name, self.inner.table(name).await?) {
            ("pg_settings", Some(_)) => settings(&self.settings).map(Some),
            ("pg_roles", Some(table)) => roles(&table.schema()).map(Some),
            (_, Some(table)) => completed(name, table).map(Some),
            (_, None) => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

/// A list of texts.
fn texts(values: Option<&[&str]>) -> ScalarValue {
    let values = values.map(|values| values.iter().map(|value| ScalarValue::from(*value)).collect::<Vec<_>>());
    match values {
        Some(values) => ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Utf8)),
        None => ScalarValue::new_null_list(DataType::Utf8, true, 1),
    }
}

/// The table with its missing columns; privileges are arrays, as in PostgreSQL.
fn completed(name: &str, table: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
    let schema = table.schema();
    let is_acl = |column: &str| column.ends_with("acl") && column != "relacl";
    let lacking: Vec<&str> = LACKING
        .iter()
        .filter(|(of, column)| *of == name && schema.field_with_name(column).is_err())
        .map(|(_, column)| *column)
        .collect();
    let has_acl = schema.fields().iter().any(|field| is_acl(field.name()) && *field.data_type() == DataType::Utf8);
    if lacking.is_empty() && !has_acl {
        return Ok(table);
    }
    let made = |column: &str| match column {
        "relacl" => lit(texts(Some(&[TABLE_ACL]))),
        "nspacl" => lit(texts(Some(&[SCHEMA_ACL]))),
        _ => lit(texts(None)),
    };
    let own = schema.fields().iter().map(|field| match is_acl(field.name()) {
        true => made(field.name()).alias(field.name()),
        false => ident(field.name()),
    });
    let columns: Vec<Expr> = own.chain(lacking.iter().map(|column| made(column).alias(*column))).collect();
    let table_type = table.table_type();
    let scan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?;
    let view = ViewTable::new(scan.project(columns)?.build()?, None);
    Ok(Arc::new(Completed { view, table_type }))
}

/// `pg_roles`: one role, which may read.
fn roles(schema: &Schema) -> Result<Arc<dyn TableProvider>> {
    let value = |field: &Arc<Field>| -> Result<Expr> {
        let value = match field.name().as_str() {
            "rolname" => ScalarValue::from(ROLE),
            // The oid of the first role of every PostgreSQL.
            "oid" => ScalarValue::from(10),
            "rolconnlimit" => ScalarValue::from(-1),
            "rolinherit" | "rolcanlogin" => ScalarValue::from(true),
            _ if *field.data_type() == DataType::Boolean => ScalarValue::from(false),
            _ => ScalarValue::try_from(field.data_type())?,
        };
        Ok(lit(value).alias(field.name()))
    };
    let columns = schema.fields().iter().map(value).collect::<Result<Vec<_>>>()?;
    let view = ViewTable::new(LogicalPlanBuilder::empty(true).project(columns)?.build()?, None);
    Ok(Arc::new(Completed { view, table_type: TableType::View }))
}

/// A view that reports itself as a table.
#[derive(Debug)]
struct Completed {
    view: ViewTable,
    table_type: TableType,
}

#[async_trait]
impl TableProvider for Completed {
    fn schema(&self) -> SchemaRef {
        self.view.schema()
    }

    fn table_type(&self) -> TableType {
        self.table_type
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        self.view.get_logical_plan()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.view.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.view.scan(state, projection, filters, limit).await
    }
}

/// `pg_settings`: the defaults of settings, and limits that drivers ask for.
fn settings(known: &[(&'static str, String)]) -> Result<Arc<dyn TableProvider>> {
    let limits = [("block_size", "8192"), ("max_function_args", "100"), ("max_index_keys", "32")];
    let known = known.iter().map(|(name, value)| (*name, value.as_str()));
    let all: Vec<(&str, &str)> = known.chain(limits).collect();
    let column = |of: fn(&(&str, &str)) -> String| -> ArrayRef {
        Arc::new(StringArray::from(all.iter().map(of).collect::<Vec<_>>()))
    };
    let fixed = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; all.len()])) };
    let value = |(_, value): &(&str, &str)| (*value).to_owned();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("name", column(|(name, _)| (*name).to_owned())),
        ("setting", column(value)),
        ("category", fixed("Client Connection Defaults")),
        ("context", fixed("user")),
        ("vartype", fixed("string")),
        ("source", fixed("default")),
        ("boot_val", column(value)),
        ("reset_val", column(value)),
    ];
    for name in ["unit", "short_desc", "extra_desc", "min_val", "max_val", "enumvals", "sourcefile"] {
        columns.push((name, new_null_array(&DataType::Utf8, all.len())));
    }
    columns.push(("sourceline", new_null_array(&DataType::Int32, all.len())));
    columns.push(("pending_restart", new_null_array(&DataType::Boolean, all.len())));
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, column)| column).collect())?;
    let table = MemTable::try_new(schema, vec![vec![rows]])?;
    // A table in memory accepts rows; a view of it does not.
    let scan = LogicalPlanBuilder::scan("pg_settings", provider_as_source(Arc::new(table)), None)?;
    let view = ViewTable::new(scan.build()?, None);
    Ok(Arc::new(Completed { view, table_type: TableType::View }))
}
