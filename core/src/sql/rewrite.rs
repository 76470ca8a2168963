//! PostgreSQL's syntax in terms that DataFusion knows, where DataFusion does not read it or reads it otherwise. Works
//! on parsed statements, before tables and types are known.

use super::syntax::{RefusedClause, call, number, query_of, select_from, string};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CharacterLength, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Ident, JoinConstraint, JoinOperator, LimitClause, ObjectName, ObjectNamePart, OrderBy, OrderByKind,
    Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Statement, TableAliasColumnDef, TableFactor,
    TableFunctionArgs, TableWithJoins, TimezoneInfo, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
    visit_expressions,
};

use super::relations::{EXCEPT_ALL, INTERSECT_ALL};
use super::{arrays, literals};

fn refused(message: impl Into<String>, hint: impl Into<String>) -> ControlFlow<RefusedClause> {
    ControlFlow::Break(RefusedClause { message: message.into(), hint: hint.into() })
}

/// Rewrites the statement so that DataFusion can plan it.
///
/// # Errors
/// When a clause would be ignored, or would mean something else.
pub fn rewritten(mut statement: Statement) -> Result<Statement, RefusedClause> {
    match VisitMut::visit(&mut statement, &mut Rewriting) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(refused) => Err(refused),
    }
}

struct Rewriting;

impl VisitorMut for Rewriting {
    type Break = RefusedClause;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<RefusedClause> {
        ordered_by_columns(query)?;
        set_operations(&mut query.body);
        let Some(fetch) = query.fetch.take() else { return ControlFlow::Continue(()) };
        if fetch.with_ties || fetch.percent {
            return refused("`FETCH .. WITH TIES` and `PERCENT` are not supported", "use rank() in a subquery");
        }
        let limit = fetch.quantity.or_else(|| Some(number(1)));
        let offset = match query.limit_clause.take() {
            Some(LimitClause::LimitOffset { offset, limit: None, .. }) => offset,
            Some(_) => return refused("LIMIT and FETCH stand in one query", "leave one of them out"),
            None => None,
        };
        query.limit_clause = Some(LimitClause::LimitOffset { limit, offset, limit_by: vec![] });
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<RefusedClause> {
        // `GROUP BY ()` is one group, also of no rows.
        if let GroupByExpr::Expressions(groups, _) = &mut select.group_by
            && matches!(groups.as_slice(), [Expr::Tuple(none)] if none.is_empty())
        {
            *groups = vec![Expr::GroupingSets(vec![vec![]])];
        }
        select.from.iter().try_for_each(joined_by_what_is_there)
    }

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<RefusedClause> {
        match table {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                return refused("TABLESAMPLE is not supported", "filter by random(), or by a hash of a column");
            }
            TableFactor::NestedJoin { table_with_joins, .. } => return joined_by_what_is_there(table_with_joins),
            TableFactor::Table { with_ordinality: true, .. }
            | TableFactor::Function { with_ordinality: true, .. }
            | TableFactor::UNNEST { with_ordinality: true, .. } => {
                return refused("WITH ORDINALITY is not supported", "use row_number() in a subquery");
            }
            // A function of one column is named by its alias.
            TableFactor::UNNEST { alias: Some(alias), array_exprs, .. }
                if alias.columns.is_empty() && array_exprs.len() == 1 =>
            {
                alias.columns = vec![TableAliasColumnDef { name: alias.name.clone(), data_type: None }];
            }
            TableFactor::Table { name, alias: Some(alias), args: Some(_), .. }
                if alias.columns.is_empty() && is_series(name) =>
            {
                alias.columns = vec![TableAliasColumnDef { name: alias.name.clone(), data_type: None }];
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<RefusedClause> {
        // DataFusion plans it and finds the wrong rows.
        if let Expr::AllOp { right, .. } = expr
            && matches!(right.as_ref(), Expr::Subquery(_))
        {
            return refused(
                "a comparison with ALL of a subquery is not supported",
                "compare with a subquery of max() or min(), or write NOT IN",
            );
        }
        let changed = match expr {
            Expr::AnyOp { left, compare_op, right, .. } => quantified(left, compare_op, right, true),
            Expr::AllOp { left, compare_op, right } => quantified(left, compare_op, right, false),
            Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                let escape = match escape_char {
                    None => "\\".to_owned(),
                    Some(value) => value.value.clone().into_string().unwrap_or_default(),
                };
                let regex = call("similar_to_regex", vec![pattern.as_ref().clone(), string(&escape)]);
                let op = if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
                Some(Expr::BinaryOp { left: expr.clone(), op, right: Box::new(regex) })
            }
            Expr::Collate { expr, collation } => {
                let known = collation.0.last().and_then(ObjectNamePart::as_ident).map(|name| name.value.to_lowercase());
                match known.as_deref() {
                    Some("c" | "posix" | "default" | "ucs_basic") => Some(expr.as_ref().clone()),
                    _ => {
                        let message = format!("collation `{collation}` is not supported");
                        return refused(message, "text is ordered by its bytes, as with `COLLATE \"C\"`");
                    }
                }
            }
            Expr::UnaryOp { op: UnaryOperator::PGSquareRoot, expr } => Some(call("sqrt", vec![expr.as_ref().clone()])),
            Expr::UnaryOp { op: UnaryOperator::PGCubeRoot, expr } => Some(call("cbrt", vec![expr.as_ref().clone()])),
            Expr::UnaryOp { op: UnaryOperator::PGAbs, expr } => Some(call("abs", vec![expr.as_ref().clone()])),
            Expr::BinaryOp { left, op, right } => {
                let name = match op {
                    BinaryOperator::PGStartsWith => Some("starts_with"),
                    BinaryOperator::PGOverlap => Some("array_has_any"),
                    BinaryOperator::PGExp => Some("power"),
                    _ => None,
                };
                name.map(|name| call(name, vec![left.as_ref().clone(), right.as_ref().clone()]))
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                Some(call("timezone", vec![time_zone.as_ref().clone(), timestamp.as_ref().clone()]))
            }
            Expr::Value(value) => match &value.value {
                Value::UnicodeStringLiteral(text) => Some(string(text)),
                Value::Number(text, _) => literal(text, false)?,
                _ => None,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
                Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) => literal(text, true)?,
                _ => None,
            },
            Expr::TypedString(typed) => {
                literals::in_microseconds(&mut typed.data_type);
                None
            }
            Expr::Cast { expr, data_type, .. } => {
                literals::in_microseconds(data_type);
                literals::exact_decimal(expr, data_type);
                with_length(expr, data_type)
            }
            Expr::Function(function) => renamed(function),
            _ => None,
        };
        if let Some(changed) = changed {
            *expr = changed;
        }
        ControlFlow::Continue(())
    }
}

fn literal(text: &str, negative: bool) -> ControlFlow<RefusedClause, Option<Expr>> {
    match literals::number(text, negative) {
        Ok(expr) => ControlFlow::Continue(expr),
        Err(refused) => ControlFlow::Break(refused),
    }
}

fn is_series(name: &ObjectName) -> bool {
    let name = name.0.last().and_then(ObjectNamePart::as_ident).map(|name| name.value.to_lowercase());
    matches!(name.as_deref(), Some("generate_series" | "range"))
}

/// Rewrites `x = ANY(array)`; one over a subquery stays.
fn quantified(left: &Expr, operator: &BinaryOperator, right: &Expr, is_any: bool) -> Option<Expr> {
    let right = match right {
        Expr::Nested(inner) => inner.as_ref(),
        other => other,
    };
    if matches!(right, Expr::Subquery(_)) {
        return None;
    }
    let operator = match operator {
        BinaryOperator::PGLikeMatch => "LIKE".to_owned(),
        BinaryOperator::PGILikeMatch => "ILIKE".to_owned(),
        BinaryOperator::PGNotLikeMatch => "NOT LIKE".to_owned(),
        BinaryOperator::PGNotILikeMatch => "NOT ILIKE".to_owned(),
        other => other.to_string(),
    };
    let name = arrays::function_for(&operator, is_any)?;
    Some(call(&name, vec![left.clone(), right.clone()]))
}

/// Rewrites a cast to `VARCHAR(n)` or `CHAR(n)`, which cuts.
fn with_length(expr: &Expr, data_type: &DataType) -> Option<Expr> {
    let (name, length) = match data_type {
        DataType::Varchar(length)
        | DataType::CharVarying(length)
        | DataType::CharacterVarying(length)
        | DataType::Nvarchar(length) => ("varchar", (*length)?),
        DataType::Char(length) | DataType::Character(length) => {
            ("bpchar", length.unwrap_or(CharacterLength::IntegerLength { length: 1, unit: None }))
        }
        DataType::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("bpchar") => {
            let length = arguments.first()?.parse().ok()?;
            ("bpchar", CharacterLength::IntegerLength { length, unit: None })
        }
        _ => return None,
    };
    let CharacterLength::IntegerLength { length, .. } = length else { return None };
    let text = literals::cast(expr.clone(), DataType::Varchar(None));
    Some(call(name, vec![text, number(length)]))
}

fn argument_count(function: &Function) -> Option<usize> {
    match &function.args {
        FunctionArguments::List(list) => Some(list.args.len()),
        _ => None,
    }
}

/// Refuses RIGHT and FULL JOIN with USING or NATURAL: the merged column is the left one, which is null where an outer
/// join has no left row.
fn joined_by_what_is_there(table: &TableWithJoins) -> ControlFlow<RefusedClause> {
    for join in &table.joins {
        let (JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)) = &join.join_operator
        else {
            continue;
        };
        if matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural) {
            return refused(
                "RIGHT and FULL JOIN with USING or NATURAL are not supported",
                "write ON a.x = b.x, and coalesce(a.x, b.x) for the column; a RIGHT JOIN can be a LEFT JOIN",
            );
        }
    }
    ControlFlow::Continue(())
}

/// Refuses `SELECT -x AS x .. ORDER BY x + 1`: `x` is the column in PostgreSQL, and the alias in DataFusion.
fn ordered_by_columns(query: &Query) -> ControlFlow<RefusedClause> {
    let (Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }), SetExpr::Select(select)) =
        (&query.order_by, query.body.as_ref())
    else {
        return ControlFlow::Continue(());
    };
    let folded = |name: &Ident| match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    };
    let renamed: Vec<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } => {
                let is_the_column = match expr {
                    Expr::Identifier(column) => folded(column) == folded(alias),
                    Expr::CompoundIdentifier(parts) => parts.last().map(folded) == Some(folded(alias)),
                    _ => false,
                };
                // The name is ambiguous only if it is an alias of an expression over the column of that name.
                (!is_the_column && mentions(expr, &folded(alias), folded)).then(|| folded(alias))
            }
            _ => None,
        })
        .collect();
    let called = |item: &SelectItem, name: &str| match item {
        SelectItem::ExprWithAlias { expr, alias } if folded(alias) == name => Some(expr.to_string()),
        SelectItem::UnnamedExpr(expr @ Expr::Identifier(column)) if folded(column) == name => Some(expr.to_string()),
        SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts))
            if parts.last().map(folded).as_deref() == Some(name) =>
        {
            Some(expr.to_string())
        }
        _ => None,
    };
    for key in keys.iter().map(|key| &key.expr) {
        let Expr::Identifier(name) = key else { continue };
        let name = folded(name);
        let mut columns = select.projection.iter().filter_map(|item| called(item, &name));
        if let Some(first) = columns.next()
            && columns.any(|other| other != first)
        {
            return refused(format!("ORDER BY `{name}` is ambiguous"), "give the columns of that name different ones");
        }
    }
    for key in keys.iter().map(|key| &key.expr).filter(|key| !matches!(key, Expr::Identifier(_))) {
        if let Some(name) = renamed.iter().find(|name| mentions(key, name, folded)) {
            return refused(
                format!(
                    "ORDER BY computes with `{name}`, which is a column and the name of another one in the select list"
                ),
                "give the one in the select list another name, or order by its name alone",
            );
        }
    }
    ControlFlow::Continue(())
}

/// Whether `expr` contains a column called by `name` alone.
fn mentions(expr: &Expr, name: &str, folded: impl Fn(&Ident) -> String) -> bool {
    visit_expressions(expr, |part| match part {
        Expr::Identifier(column) if folded(column) == name => ControlFlow::Break(()),
        Expr::CompoundIdentifier(parts) if parts.last().is_some_and(|column| folded(column) == name) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Renames functions that have another name in DataFusion.
fn renamed(function: &mut Function) -> Option<Expr> {
    let name = function.name.0.last().and_then(ObjectNamePart::as_ident)?.value.to_lowercase();
    match name.as_str() {
        "age" => {
            let FunctionArguments::List(list) = &mut function.args else { return None };
            if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(_))] = list.args.as_slice() {
                list.args.insert(0, FunctionArg::Unnamed(FunctionArgExpr::Expr(call("current_date", vec![]))));
            }
        }
        "log" if argument_count(function) == Some(1) => {
            function.name = ObjectName::from(vec![Ident::new("log10")]);
        }
        "every" => function.name = ObjectName::from(vec![Ident::new("bool_and")]),
        "clock_timestamp" | "statement_timestamp" | "transaction_timestamp" => {
            function.name = ObjectName::from(vec![Ident::new("now")]);
        }
        "mod" => {
            let FunctionArguments::List(list) = &function.args else { return None };
            let [FunctionArg::Unnamed(FunctionArgExpr::Expr(a)), FunctionArg::Unnamed(FunctionArgExpr::Expr(b))] =
                list.args.as_slice()
            else {
                return None;
            };
            let [a, b] = [a, b].map(|operand| Box::new(Expr::Nested(Box::new(operand.clone()))));
            let modulo = Expr::BinaryOp { left: a, op: BinaryOperator::Modulo, right: b };
            return Some(Expr::Nested(Box::new(modulo)));
        }
        "localtimestamp" if matches!(function.args, FunctionArguments::None) => {
            return Some(literals::cast(call("now", vec![]), DataType::Timestamp(Some(6), TimezoneInfo::None)));
        }
        _ => {}
    }
    None
}

/// EXCEPT ALL and INTERSECT ALL become functions of two queries, which [`super::relations`] plans.
fn set_operations(body: &mut SetExpr) {
    let SetExpr::SetOperation { left, op, set_quantifier, right } = body else { return };
    set_operations(left);
    set_operations(right);
    let name = match (op, set_quantifier) {
        (SetOperator::Except, SetQuantifier::All) => EXCEPT_ALL,
        (SetOperator::Intersect, SetQuantifier::All) => INTERSECT_ALL,
        _ => return,
    };
    let argument = |body: &SetExpr| {
        let query = match body {
            SetExpr::Query(query) => query.as_ref().clone(),
            body => query_of(body.clone()),
        };
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Subquery(Box::new(query))))
    };
    let args = TableFunctionArgs { args: vec![argument(left), argument(right)], settings: None };
    *body = SetExpr::Select(Box::new(select_from(TableFactor::Table {
        name: ObjectName::from(vec![Ident::new(name)]),
        alias: None,
        args: Some(args),
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    })));
}
