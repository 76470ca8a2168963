//! Relations of the catalogs that DataFusion lacks, or fills differently from PostgreSQL: a query replaces each.

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, ObjectNamePart, SetExpr, TableFactor, TableWithJoins};

use crate::sql::catalog_queries::syntax::parsed;

const PG_CATALOG: &str = "pg_catalog";
const INFORMATION_SCHEMA: &str = "information_schema";

const QUERIES: [(&str, &str, &str); 3] = [
    (INFORMATION_SCHEMA, "columns", include_str!("relations/columns.sql")),
    (PG_CATALOG, "pg_views", include_str!("relations/views.sql")),
    (PG_CATALOG, "pg_tables", include_str!("relations/tables.sql")),
];

/// Empty relations, with the columns that clients read.
const EMPTY: [(&str, &str, &str); 8] = [
    (
        INFORMATION_SCHEMA,
        "table_constraints",
        "constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name constraint_type \
         is_deferrable initially_deferred enforced nulls_distinct",
    ),
    (
        INFORMATION_SCHEMA,
        "key_column_usage",
        "constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name column_name \
         ordinal_position position_in_unique_constraint",
    ),
    (
        INFORMATION_SCHEMA,
        "referential_constraints",
        "constraint_catalog constraint_schema constraint_name unique_constraint_catalog unique_constraint_schema \
         unique_constraint_name match_option update_rule delete_rule",
    ),
    (
        INFORMATION_SCHEMA,
        "constraint_column_usage",
        "table_catalog table_schema table_name column_name constraint_catalog constraint_schema constraint_name",
    ),
    (INFORMATION_SCHEMA, "check_constraints", "constraint_catalog constraint_schema constraint_name check_clause"),
    (
        INFORMATION_SCHEMA,
        "sequences",
        "sequence_catalog sequence_schema sequence_name data_type start_value minimum_value maximum_value increment",
    ),
    (
        INFORMATION_SCHEMA,
        "triggers",
        "trigger_catalog trigger_schema trigger_name event_manipulation event_object_schema event_object_table",
    ),
    (PG_CATALOG, "pg_indexes", "schemaname tablename indexname tablespace indexdef"),
];

/// Replaces a table by its query, if it has one.
pub(super) fn replace(factor: &mut TableFactor) {
    let TableFactor::Table { name, alias, args: None, .. } = factor else { return };
    let Some((table, query)) = name_of(name).and_then(|(schema, table)| Some((table, query(schema, table)?))) else {
        return;
    };
    let Some(mut standing) = parsed(&format!("SELECT * FROM ({query}\n) AS {table}")) else { return };
    let SetExpr::Select(select) = standing.body.as_mut() else { return };
    let Some(TableWithJoins { relation: mut derived, .. }) = select.from.pop() else { return };
    if let (TableFactor::Derived { alias, .. }, Some(own)) = (&mut derived, alias.take()) {
        *alias = Some(own);
    }
    *factor = derived;
}

/// Qualifies `information_schema.columns.data_type` by the table's replacement, which has no schema.
pub(super) fn rename(expr: &mut Expr) {
    if let Expr::CompoundIdentifier(parts) = expr
        && let [schema, table, _] = parts.as_slice()
        && query(&schema.value.to_lowercase(), &table.value.to_lowercase()).is_some()
    {
        parts.remove(0);
    }
}

/// The schema and the table, if the schema is named.
fn name_of(name: &ObjectName) -> Option<(&str, &str)> {
    let (table, before) = name.0.split_last()?;
    let schema = before.last().and_then(ObjectNamePart::as_ident)?;
    Some((schema.value.as_str(), table.as_ident()?.value.as_str()))
}

fn query(schema: &str, table: &str) -> Option<String> {
    let is = |(of, name, _): &&(&str, &str, &str)| of.eq_ignore_ascii_case(schema) && name.eq_ignore_ascii_case(table);
    if let Some((_, _, query)) = QUERIES.iter().find(is) {
        return Some((*query).to_owned());
    }
    let (_, _, columns) = EMPTY.iter().find(is)?;
    let columns: Vec<String> = columns.split_whitespace().map(|column| format!("NULL AS {column}")).collect();
    Some(format!("SELECT {} WHERE false", columns.join(", ")))
}
