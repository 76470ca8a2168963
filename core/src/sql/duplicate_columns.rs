//! Columns with the same name, as in `SELECT count(*), count(*)`: PostgreSQL allows them, DataFusion requires distinct
//! names. Those after the first are marked while the statement is planned.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::{Column, Result, TableReference};
use datafusion::logical_expr::{Expr as Planned, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart, Select, SelectItem,
    SetExpr, Statement, VisitMut, VisitorMut,
};

/// Separates a name from the number of the column; no written name contains it.
const MARK: char = '\u{1}';

/// Gives each column of the answer a distinct name. In subqueries only columns without a name get one: a reference to a
/// name that occurs twice there is ambiguous.
pub fn marked(mut statement: Statement) -> Statement {
    let _ = VisitMut::visit(&mut statement, &mut Inside);
    if let Statement::Query(query) = &mut statement {
        mark(&mut query.body);
    }
    statement
}

struct Inside;

impl VisitorMut for Inside {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        mark_list(select, is_nameless);
        ControlFlow::Continue(())
    }
}

fn is_nameless(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(expr) if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
}

fn mark(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => mark_list(select, |_| true),
        SetExpr::Query(query) => mark(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            mark(left);
            mark(right);
        }
        _ => {}
    }
}

fn mark_list(select: &mut Select, which: impl Fn(&SelectItem) -> bool) {
    let is_wildcard = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    let has_wildcard = select.projection.iter().any(is_wildcard);
    let mut seen = HashSet::new();
    for (number, item) in select.projection.iter_mut().enumerate() {
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), name_of(expr)),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.clone()),
            _ => continue,
        };
        let is_column = matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
        let key = match item {
            // Equal column names of two tables are two columns.
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts))
                if !seen.contains(&folded(&name).to_lowercase()) =>
            {
                parts.iter().map(folded).collect::<Vec<_>>().join(".")
            }
            SelectItem::UnnamedExpr(expr) => bare(expr).to_string(),
            _ => folded(&name),
        };
        let is_new = seen.insert(key.to_lowercase());
        seen.insert(folded(&name).to_lowercase());
        if which(item) && (!is_new || (has_wildcard && is_column)) {
            let alias = Ident::with_quote('"', format!("{}{MARK}{number}", folded(&name)));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

/// The expression without casts, which DataFusion leaves out of its name, and without tables, which it adds.
fn bare(expr: &Expr) -> Expr {
    struct Baring;

    impl VisitorMut for Baring {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            match expr {
                Expr::Cast { expr: of, .. } | Expr::Nested(of) => *expr = of.as_ref().clone(),
                Expr::TypedString(typed) => *expr = Expr::Value(typed.value.clone()),
                Expr::Subquery(_) => *expr = Expr::Identifier(Ident::new("<subquery>")),
                // Casts to a length, see `rewrite`.
                Expr::Function(function) if is_cast(function) => {
                    if let FunctionArguments::List(list) = &function.args
                        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(of))) = list.args.first()
                    {
                        *expr = of.clone();
                    }
                }
                Expr::CompoundIdentifier(parts) => {
                    if let Some(column) = parts.pop() {
                        *expr = Expr::Identifier(column);
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }

    let mut expr = expr.clone();
    let _ = VisitMut::visit(&mut expr, &mut Baring);
    expr
}

fn is_cast(function: &Function) -> bool {
    let name = function.name.0.last().and_then(ObjectNamePart::as_ident).map(|name| name.value.as_str());
    matches!(name, Some("bpchar" | "varchar"))
}

/// The name of an item without an alias.
fn name_of(expr: &Expr) -> Ident {
    match expr {
        Expr::Identifier(name) => name.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().cloned().unwrap_or_else(|| Ident::new("")),
        Expr::Cast { expr, .. } | Expr::Nested(expr) => name_of(expr),
        other => Ident::with_quote('"', other.to_string()),
    }
}

fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// Removes the marks from the names of `plan`'s columns, which then may be equal.
pub fn unmarked(plan: LogicalPlan) -> Result<LogicalPlan> {
    let names: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    if names.iter().all(|name| !name.contains(MARK)) {
        return Ok(plan);
    }
    let plain: Vec<&str> = names.iter().map(|name| name.split(MARK).next().unwrap_or_default()).collect();
    let columns: Vec<Planned> =
        plan.schema().iter().map(|(table, field)| Planned::Column(Column::from((table, field.as_ref())))).collect();
    let named = columns.into_iter().zip(&plain).enumerate().map(|(number, (column, name))| {
        let table = (plain.iter().filter(|other| *other == name).count() > 1)
            .then(|| TableReference::bare(format!("_{number}")));
        column.alias_qualified(table, *name)
    });
    let named: Vec<Planned> = named.collect();
    LogicalPlanBuilder::from(plan).project(named)?.build()
}
