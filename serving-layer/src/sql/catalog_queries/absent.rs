//! Queries of `pg_catalog` without a result: about keys, indexes, triggers, policies. A query that joins an empty
//! catalog table has no rows, whatever else it says, so it is answered without them.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, GroupByExpr, Join, JoinOperator, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins,
};

use crate::sql::catalog_queries::syntax::{column, is, last, parsed};

/// Tables of `pg_catalog` without rows. Functions are not listed: those of DataFusion are not PostgreSQL's.
const OF_NOTHING: [&str; 29] = [
    "pg_attrdef",
    "pg_auth_members",
    "pg_collation",
    "pg_constraint",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_depend",
    "pg_enum",
    "pg_event_trigger",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_index",
    "pg_inherits",
    "pg_largeobject",
    "pg_partitioned_table",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_rewrite",
    "pg_seclabel",
    "pg_sequence",
    "pg_statistic_ext",
    "pg_subscription",
    "pg_trigger",
    "pg_user_mapping",
    "pg_conversion",
];

pub(super) fn has_groups(select: &Select) -> bool {
    !matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty())
}

/// Whether the FROM clause can give no row.
pub(super) fn is_of_nothing(select: &Select) -> bool {
    let has_a_row_of_its_own =
        !has_groups(select) && select.projection.iter().any(|item| aggregates(&item.to_string()));
    !has_a_row_of_its_own && select.from.iter().any(from_is_of_nothing)
}

fn from_is_of_nothing(from: &TableWithJoins) -> bool {
    let keeps_right = |join: &Join| {
        matches!(join.join_operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_))
    };
    let is_inner_of_nothing = |join: &Join| {
        matches!(join.join_operator, JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_))
            && factor_is_of_nothing(&join.relation)
    };
    !from.joins.iter().any(keeps_right)
        && (factor_is_of_nothing(&from.relation) || from.joins.iter().any(is_inner_of_nothing))
}

/// Whether an aggregate without groups makes a row of nothing.
pub(super) fn aggregates(item: &str) -> bool {
    // Aggregates in a subquery belong to it.
    let item = item.to_lowercase();
    let item = item.split("(select").next().unwrap_or_default();
    ["count(", "sum(", "min(", "max(", "array_agg(", "string_agg(", "bool_or(", "bool_and(", "json_agg("]
        .iter()
        .any(|aggregate| item.contains(aggregate))
}

fn factor_is_of_nothing(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { name, args: None, .. } => {
            let in_catalog = match name.0.as_slice() {
                [schema, _] => schema.as_ident().is_some_and(|schema| schema.value.eq_ignore_ascii_case("pg_catalog")),
                parts => parts.len() == 1,
            };
            in_catalog && last(name).is_some_and(|table| OF_NOTHING.contains(&table.as_str()))
        }
        // The options and privileges of a table: there are none to expand.
        TableFactor::Table { name, args: Some(args), .. } if is(name, "unnest") || is(name, "aclexplode") => {
            args.args.first().is_some_and(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => is_never_there(argument),
                _ => false,
            })
        }
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.first().is_some_and(is_never_there),
        TableFactor::Derived { subquery, .. } => {
            matches!(subquery.body.as_ref(), SetExpr::Select(select) if is_of_nothing(select))
        }
        TableFactor::NestedJoin { table_with_joins, .. } => factor_is_of_nothing(&table_with_joins.relation),
        _ => false,
    }
}

fn is_never_there(expr: &Expr) -> bool {
    column(expr).is_some_and(|column| matches!(column.value.as_str(), "reloptions" | "attacl" | "attoptions"))
}

/// A query without rows and with the same columns; `None` when their names are not known.
pub(super) fn nothing_like(select: &Select) -> Option<Select> {
    let mut names: Vec<String> = vec![];
    for item in &select.projection {
        let name = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
            SelectItem::UnnamedExpr(expr) => match (column(expr), expr) {
                (Some(column), _) => column.value.clone(),
                (None, Expr::Function(function)) => last(&function.name)?,
                _ => "?column?".to_owned(),
            },
            _ => return None,
        };
        let taken = names.iter().filter(|known| **known == name).count();
        names.push(if taken > 0 { format!("{name} {}", names.len()) } else { name });
    }
    let columns: Vec<String> = names.iter().map(|name| format!("NULL AS \"{}\"", name.replace('"', "\"\""))).collect();
    let columns = if columns.is_empty() { "1".to_owned() } else { columns.join(", ") };
    match parsed(&format!("SELECT {columns} WHERE false"))?.body.as_ref() {
        SetExpr::Select(nothing) => Some((**nothing).clone()),
        _ => None,
    }
}
