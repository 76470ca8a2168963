//! Questions of PostgreSQL's clients in forms that DataFusion does not understand.
//!
//! `datafusion-pg-catalog` handles most of them; the rest, for SQLAlchemy and others, is here.

mod absent;
mod relations;
mod rewrite;
mod syntax;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Interval,
    LimitClause, ObjectName, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Value, ValueWithSpan,
    VisitMut, VisitorMut, visit_expressions_mut,
};

pub(crate) use crate::sql::catalog_queries::rewrite::expression;
use crate::sql::parameters::in_words;

/// The statements in simpler form, if DataFusion cannot plan them as they are; see [`rewrite`].
pub(crate) fn simpler(statements: &[Statement]) -> Option<Vec<Statement>> {
    let simpler: Vec<Statement> = statements.iter().cloned().map(rewrite::simpler).collect();
    (simpler != statements).then_some(simpler)
}

/// The statement in a form that DataFusion knows: `x LIKE p ESCAPE '/'` escapes with a backslash, and look-ups in
/// catalogs that are always empty are null.
pub(crate) fn rewritten(mut statement: Statement) -> Statement {
    let _ = visit_expressions_mut(&mut statement, |expr| {
        if let Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } = expr
            && let Some(ValueWithSpan { value: Value::SingleQuotedString(escape), .. }) = escape_char
            && escape != "\\"
        {
            let doubled = replace((**pattern).clone(), "\\", "\\\\");
            **pattern = replace(doubled, escape, "\\");
            *escape_char = None;
        }
        if let Some(Value::SingleQuotedString(text)) = interval_of(expr)
            && (text.contains(':') || text.trim_start().starts_with(['P', 'p']))
            && let Some(words) = in_words(text)
        {
            *text = words;
        }
        let nothing = match expr {
            Expr::Subquery(query) => is_of_nothing(query),
            Expr::Function(function) => is_of_no_key(function),
            _ => false,
        };
        if nothing {
            *expr = Expr::Value(Value::Null.into());
        }
        ControlFlow::<()>::Continue(())
    });
    let _ = VisitMut::visit(&mut statement, &mut Queries);
    statement
}

/// The text of an interval: `INTERVAL '1:30:00'`, `'PT1H'::interval`.
fn interval_of(expr: &mut Expr) -> Option<&mut Value> {
    let text = match expr {
        Expr::Interval(Interval { value, leading_field: None, .. }) => value,
        Expr::Cast { expr, data_type: DataType::Interval { .. }, .. } => expr,
        _ => return None,
    };
    match text.as_mut() {
        Expr::Value(text) => Some(&mut text.value),
        _ => None,
    }
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        relations::replace(factor);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        relations::rename(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        name_settings(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        name_casts(query);
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause {
            limit.iter_mut().chain(offset.iter_mut().map(|offset| &mut offset.value)).for_each(counted);
        }
        ControlFlow::Continue(())
    }
}

/// Names casts in `SELECT CAST(x AS VARCHAR) .. ORDER BY x`: in PostgreSQL the cast is called `x`, and the rows are
/// ordered by it. DataFusion would add the column `x` to sort by, beside a cast of the same name, and refuse both.
fn name_casts(query: &mut Query) {
    if query.order_by.is_some()
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr @ Expr::Cast { .. }) = item
                && let Some(alias) = column_of(expr)
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
    }
}

/// Names session functions in the select list after themselves, as they are replaced by their results.
fn name_settings(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Function(function)) = item
            && let Some(name) = function.name.0.last().and_then(|part| part.as_ident())
            && let name = name.value.to_lowercase()
            && matches!(name.as_str(), "current_setting" | "set_config" | "current_schema")
        {
            *item = SelectItem::ExprWithAlias { expr: Expr::Function(function.clone()), alias: Ident::new(name) };
        }
    }
}

/// Reads `LIMIT '5'` as 5, as drivers write it that put the values into the text of a statement.
fn counted(count: &mut Expr) {
    if let Expr::Value(ValueWithSpan { value: value @ Value::SingleQuotedString(_), .. }) = count
        && let Value::SingleQuotedString(text) = value
        && let Ok(number) = text.trim().parse::<u64>()
    {
        *value = Value::Number(number.to_string(), false);
    }
}

/// The column that is cast, without its table.
fn column_of(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Cast { expr, .. } => column_of(expr),
        Expr::Identifier(name) => Some(name.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().cloned(),
        _ => None,
    }
}

/// Whether a scalar subquery asks for things that do not exist here: defaults, sequences, collations.
fn is_of_nothing(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let Some(TableFactor::Table { name, .. }) = select.from.first().map(|from| &from.relation) else { return false };
    let table = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str());
    match table {
        Some("pg_attrdef" | "pg_sequence" | "pg_collation") => true,
        Some("pg_type") => select.projection.iter().all(|column| column.to_string().contains("typcollation")),
        _ => false,
    }
}

/// Whether a function expands the columns of an index or a constraint, which do not exist here.
fn is_of_no_key(function: &Function) -> bool {
    let named = |name: &ObjectName| {
        name.0.last().and_then(|part| part.as_ident()).is_some_and(|name| {
            matches!(name.value.to_lowercase().as_str(), "unnest" | "generate_subscripts" | "pg_get_indexdef")
        })
    };
    let FunctionArguments::List(list) = &function.args else { return false };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))) = list.args.first() else { return false };
    let column = match argument {
        Expr::CompoundIdentifier(parts) => parts.last(),
        Expr::Identifier(column) => Some(column),
        _ => None,
    };
    let keys = ["indkey", "indoption", "indclass", "indcollation", "conkey", "confkey", "indexrelid"];
    named(&function.name) && column.is_some_and(|column| keys.contains(&column.value.as_str()))
}

fn replace(text: Expr, from: &str, to: &str) -> Expr {
    let literal = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).into());
    let argument = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("replace")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![argument(text), argument(literal(from)), argument(literal(to))],
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}
