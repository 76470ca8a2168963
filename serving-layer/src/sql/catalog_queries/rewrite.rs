//! Questions to `pg_catalog` in a form that DataFusion can plan, before `datafusion-pg-catalog` sees them.
//!
//! Drivers use forms of PostgreSQL alone: `ARRAY(SELECT ..)`, subqueries that can find only one row, functions over the
//! columns of keys. Most ask for things that do not exist here: see [`crate::sql::catalog_queries::absent`].

use super::syntax::{column, is, last, parsed};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArguments, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut,
};

use crate::sql::catalog_queries::absent::{aggregates, has_groups, is_of_nothing, nothing_like};

/// Columns with the name of a function here, and its oid in PostgreSQL.
const OF_FUNCTIONS: [&str; 7] =
    ["typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout", "typanalyze"];

/// asyncpg's question for unknown types, a recursion through kinds of types that do not exist here.
const INTROSPECTION: &str = include_str!("introspection.sql");

fn is_introspection(query: &Query) -> bool {
    let first = query.with.as_ref().filter(|with| with.recursive).and_then(|with| with.cte_tables.first());
    first.is_some_and(|first| first.alias.name.value == "typeinfo_tree")
}

/// The statement in simpler form; unchanged when it needs none.
pub(super) fn simpler(mut statement: Statement) -> Statement {
    if let Statement::Query(query) = &statement
        && is_introspection(query)
        && let Some(simpler) = parsed(INTROSPECTION)
    {
        return Statement::Query(Box::new(simpler));
    }
    let _ = VisitMut::visit(&mut statement, &mut Simpler);
    statement
}

struct Simpler;

impl VisitorMut for Simpler {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut()
            && is_of_nothing(select)
            && let Some(nothing) = nothing_like(select)
        {
            **select = nothing;
            query.order_by = None;
            query.limit_clause = None;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if is_of_nothing(select)
            && let Some(nothing) = nothing_like(select)
        {
            *select = nothing;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let simpler = match expr {
            Expr::Function(Function { name, args: FunctionArguments::Subquery(query), .. }) if is(name, "array") => {
                array_of(query)
            }
            Expr::Subquery(query) => {
                only_row(query);
                None
            }
            Expr::InSubquery { expr, subquery, negated } if subquery.to_string().contains("'search_path'") => {
                let path = "string_to_array(replace(current_setting('search_path'), ' ', ''), ',')";
                expression(&format!("{}array_has({path}, {expr})", if *negated { "NOT " } else { "" }))
            }
            Expr::Cast { expr, data_type: DataType::Custom(name, _), .. } if is(name, "regproc") => by_name(expr),
            // A name that is known only when the statement runs.
            Expr::Cast { expr, data_type: DataType::Regclass, .. } if is_placeholder(expr) => {
                expression(&format!("to_regclass({expr})"))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right } => {
                if is_of_function(left) && right.to_string() == "0" {
                    **right = text("-");
                }
                None
            }
            _ => None,
        };
        if let Some(simpler) = simpler {
            *expr = simpler;
        }
        ControlFlow::Continue(())
    }
}

fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

fn is_placeholder(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }))
}

fn is_of_function(expr: &Expr) -> bool {
    column(expr).is_some_and(|column| OF_FUNCTIONS.contains(&column.value.as_str()))
}

/// The name in `'pg_catalog.array_in'::regproc` and `typinput::regproc`.
fn by_name(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(name), .. }) => {
            Some(text(name.rsplit('.').next().unwrap_or(name)))
        }
        expr if is_of_function(expr) => Some(expr.clone()),
        _ => None,
    }
}

/// `ARRAY(SELECT x ..)` as `array_agg`, and an empty array where there are no rows.
fn array_of(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let empty = "arrow_cast(make_array(), 'List(Utf8)')";
    if is_of_nothing(select) {
        return expression(empty);
    }
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice()
    else {
        return None;
    };
    let mut gathered = query.clone();
    let order = gathered.order_by.take().map(|order| order.to_string()).unwrap_or_default();
    let SetExpr::Select(inner) = gathered.body.as_mut() else { return None };
    // `ORDER BY 1` means the collected expression.
    let order = if order.ends_with(" 1") { format!("ORDER BY {item}") } else { order };
    inner.projection = vec![SelectItem::UnnamedExpr(expression(&format!("array_agg({item} {order})"))?)];
    expression(&format!("coalesce(({gathered}), {empty})"))
}

/// Parses `sql` as an expression.
pub(crate) fn expression(sql: &str) -> Option<Expr> {
    let SetExpr::Select(mut select) = *parsed(&format!("SELECT {sql}"))?.body else { return None };
    match select.projection.pop()? {
        SelectItem::UnnamedExpr(expr) => Some(expr),
        _ => None,
    }
}

/// Limits a subquery over `pg_catalog` in place of a value to one row: it looks a row up by its oid.
fn only_row(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let is_of_catalog = select.from.iter().all(|from| {
        matches!(&from.relation, TableFactor::Table { name, .. } if last(name).is_some_and(|n| n.starts_with("pg_")))
    });
    if !is_of_catalog || select.from.is_empty() || has_groups(select) || query.limit_clause.is_some() {
        return;
    }
    if let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
        select.projection.as_mut_slice()
        && !aggregates(&item.to_string())
        && let Some(first) = expression(&format!("first_value({item})"))
    {
        *item = first;
        query.order_by = None;
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn simple(sql: &str) -> String {
        let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        simpler(statement).to_string()
    }

    #[test]
    fn what_joins_a_table_of_nothing_finds_nothing() {
        let nothing = "SELECT NULL AS \"a\", NULL AS \"b\" WHERE false";
        for sql in [
            "SELECT i.a, x AS b FROM pg_index i ORDER BY 1",
            "SELECT a, b FROM pg_class c JOIN pg_catalog.pg_constraint t ON c.oid = t.conrelid",
            "SELECT a, max(x) AS b FROM pg_index GROUP BY a",
            "SELECT r.a, b FROM (SELECT a, b FROM pg_class c, pg_index i WHERE c.oid = i.indrelid) AS r WHERE (r.k).x = 1",
        ] {
            assert_eq!(simple(sql), nothing, "{sql}");
        }
        for same in [
            "SELECT a FROM pg_class c LEFT JOIN pg_index i ON c.oid = i.indrelid",
            "SELECT count(*) FROM pg_index",
            "SELECT * FROM pg_index",
            "SELECT a FROM mine.pg_index",
            "SELECT a FROM pg_class",
        ] {
            assert_eq!(simple(same), same);
        }
    }

    #[test]
    fn arrays_of_subqueries_are_gathered() {
        assert_eq!(
            simple("SELECT ARRAY(SELECT b FROM pg_roles AS b WHERE b.oid = r.oid ORDER BY 1) FROM pg_roles AS r"),
            "SELECT coalesce((SELECT array_agg(b ORDER BY b) FROM pg_roles AS b WHERE b.oid = r.oid), \
             arrow_cast(make_array(), 'List(Utf8)')) FROM pg_roles AS r"
        );
        assert_eq!(
            simple("SELECT ARRAY(SELECT polname FROM pg_policy)"),
            "SELECT arrow_cast(make_array(), 'List(Utf8)')"
        );
    }

    #[test]
    fn functions_are_known_by_their_names() {
        assert_eq!(
            simple("SELECT typinput = 'pg_catalog.array_in'::regproc FROM pg_type WHERE typreceive <> 0"),
            "SELECT typinput = 'array_in' FROM pg_type WHERE typreceive <> '-'"
        );
    }

    #[test]
    fn schemas_of_the_search_path_are_those_of_the_session() {
        assert_eq!(
            simple("SELECT a IN (SELECT trim(s) FROM unnest(string_to_array(current_setting('search_path'), ',')) s)"),
            "SELECT array_has(string_to_array(replace(current_setting('search_path'), ' ', ''), ','), a)"
        );
    }
}
