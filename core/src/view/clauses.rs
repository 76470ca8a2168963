//! A view's SQL before it is planned: clauses that the planner would overlook are refused, and `*` of a stream becomes
//! its declared columns.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use datafusion::logical_expr::Volatility;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Expr, FunctionArg, FunctionArgExpr, GroupByExpr, Ident, ObjectName, Query, Select, SelectFlavor,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement as Sql, TableAlias, TableFactor, TableWithJoins,
    Visit, Visitor, WildcardAdditionalOptions, visit_expressions,
};

use super::refusal::Refusal;
use crate::record::column::METADATA;

/// Refuses clauses that the planner would overlook.
pub(super) fn all_understood(statement: &Statement, state: &SessionState) -> Result<(), Refusal> {
    let Statement::Statement(statement) = statement else { return Ok(()) };
    match statement.visit(&mut Clauses { state }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(refusal) => Err(refusal),
    }
}

struct Clauses<'a> {
    state: &'a SessionState,
}

impl Visitor for Clauses<'_> {
    type Break = Refusal;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refusal> {
        first_present(&[
            (query.fetch.is_some(), "FETCH FIRST", "write LIMIT"),
            (!query.locks.is_empty(), "FOR UPDATE", "leave it out"),
            (query.for_clause.is_some(), "FOR XML or FOR JSON", "leave it out"),
            (query.settings.is_some(), "SETTINGS", "leave it out"),
            (query.format_clause.is_some(), "FORMAT", "leave it out"),
        ])
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Refusal> {
        let modifiers = match &select.group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
        };
        first_present(&[
            (!modifiers.is_empty(), "GROUP BY .. WITH", "write GROUP BY ROLLUP (..), CUBE (..) or GROUPING SETS (..)"),
            (select.top.is_some(), "TOP", "write LIMIT"),
            (select.exclude.is_some(), "EXCLUDE at the end of the list", "write it behind the `*`: * EXCLUDE (..)"),
            (!select.lateral_views.is_empty(), "LATERAL VIEW", UNNEST_IN_SUBQUERY),
            (select.prewhere.is_some(), "PREWHERE", "write WHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY", "leave it out"),
            (!select.cluster_by.is_empty(), "CLUSTER BY", "leave it out"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY", "leave it out"),
            (!select.sort_by.is_empty(), "SORT BY", "write ORDER BY"),
            (select.value_table_mode.is_some(), "SELECT AS", "name the columns"),
            (select.select_modifiers.is_some(), "a modifier of SELECT", "leave it out"),
        ])
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Refusal> {
        match table {
            TableFactor::Table {
                name,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
                alias: _,
            } => {
                first_present(&[
                    (sample.is_some(), "TABLESAMPLE", SAMPLE_BY_HASH),
                    (version.is_some(), "AS OF", "leave it out: a view is folded over all records"),
                    (*with_ordinality, "WITH ORDINALITY", "leave it out"),
                    (!with_hints.is_empty() || !index_hints.is_empty(), "a hint of FROM", "leave it out"),
                    (!partitions.is_empty(), "PARTITION", "write WHERE _partition = .."),
                    (json_path.is_some(), "a path in FROM", UNNEST_IN_SUBQUERY),
                ])?;
                match args {
                    Some(args) => self.function(name, &args.args),
                    None => ControlFlow::Continue(()),
                }
            }
            TableFactor::Derived { sample, .. } => first_present(&[(sample.is_some(), "TABLESAMPLE", SAMPLE_BY_HASH)]),
            TableFactor::UNNEST { array_exprs, with_offset, with_ordinality, .. } => {
                first_present(&[(*with_offset || *with_ordinality, "UNNEST .. WITH", "leave it out")])?;
                if array_exprs.iter().any(reads_a_column) { unnest_in_from() } else { ControlFlow::Continue(()) }
            }
            TableFactor::Function { name, args, with_ordinality, .. } => {
                first_present(&[(*with_ordinality, "WITH ORDINALITY", "leave it out")])?;
                self.function(name, args)
            }
            // The planner refuses these by name.
            _ => ControlFlow::Continue(()),
        }
    }
}

const UNNEST_IN_SUBQUERY: &str = "write FROM (SELECT .., unnest(tags) AS tag FROM stream)";
const SAMPLE_BY_HASH: &str = "write a condition that picks the same rows each time, such as WHERE id % 10 = 0";

/// `(present, clause, what to write instead)`.
fn first_present(clauses: &[(bool, &str, &str)]) -> ControlFlow<Refusal> {
    match clauses.iter().find(|(present, ..)| *present) {
        Some((_, clause, hint)) => ControlFlow::Break(Refusal {
            message: format!("`{clause}` has no place in a view: it would be overlooked"),
            hint: (*hint).to_owned(),
        }),
        None => ControlFlow::Continue(()),
    }
}

fn unnest_in_from() -> ControlFlow<Refusal> {
    ControlFlow::Break(Refusal {
        message: "UNNEST of a column in FROM cannot be planned".to_owned(),
        hint: UNNEST_IN_SUBQUERY.to_owned(),
    })
}

impl Clauses<'_> {
    /// Refuses a function in FROM: it is evaluated when the view is planned, which each layer does on its own.
    fn function(&self, name: &ObjectName, args: &[FunctionArg]) -> ControlFlow<Refusal> {
        let arguments = args.iter().filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => Some(expr),
            _ => None,
        });
        for argument in arguments {
            if plain(name).as_deref() == Some("unnest") && reads_a_column(argument) {
                return unnest_in_from();
            }
            let changing = visit_expressions(argument, |expr| match expr {
                Expr::Function(call) if self.changes(&call.name) => ControlFlow::Break(call.name.to_string()),
                _ => ControlFlow::Continue(()),
            });
            if let ControlFlow::Break(changing) = changing {
                return ControlFlow::Break(Refusal {
                    message: format!("`{changing}()` in FROM gives other rows each time the view is planned"),
                    hint: "write the value itself".to_owned(),
                });
            }
        }
        ControlFlow::Continue(())
    }

    fn changes(&self, name: &ObjectName) -> bool {
        let function = plain(name).and_then(|name| self.state.scalar_functions().get(&name));
        function.is_some_and(|function| function.signature().volatility != Volatility::Immutable)
    }
}

fn reads_a_column(expr: &Expr) -> bool {
    let reads = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    visit_expressions(expr, |expr| if reads(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        .is_break()
}

/// A name without a schema, as SQL means it.
fn plain(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(folded),
        _ => None,
    }
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

/// Columns of every record, under the names that a `*` adds for them.
type Carried = BTreeSet<&'static str>;

/// Takes `_partition .. _value` out of every `*` in the answer's select list. In subqueries a `*` keeps them: an
/// aggregate above may need them to order by. An answer has those columns only by name.
pub(super) fn hide_metadata(statement: &mut Statement, streams: &HashSet<String>) {
    if let Statement::Statement(statement) = statement
        && let Sql::Query(query) = statement.as_mut()
    {
        Stars { streams, tables: HashMap::new() }.hide_in(query);
    }
}

/// The tables that a query may name, and their `*`.
#[derive(Clone)]
struct Stars<'a> {
    streams: &'a HashSet<String>,
    /// Common table expressions.
    tables: HashMap<String, Carried>,
}

impl Stars<'_> {
    fn hide_in(&self, query: &mut Query) {
        let inner = self.within(query);
        inner.hide_in_body(&mut query.body);
    }

    fn hide_in_body(&self, body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => self.hide_in_select(select),
            SetExpr::Query(query) => self.hide_in(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.hide_in_body(left);
                self.hide_in_body(right);
            }
            _ => {}
        }
    }

    fn hide_in_select(&self, select: &mut Select) {
        let relations = self.relations(&select.from);
        if select.projection.is_empty() && matches!(select.flavor, SelectFlavor::FromFirstNoSelect) {
            select.projection.push(SelectItem::Wildcard(WildcardAdditionalOptions::default()));
        }
        for item in &mut select.projection {
            let carried = of_star(item, &relations);
            let options = match item {
                SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => options,
                _ => continue,
            };
            except(options, carried);
        }
    }

    /// The same with the query's own common table expressions.
    fn within(&self, query: &Query) -> Self {
        let mut inner = self.clone();
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let carried = if table.alias.columns.is_empty() { inner.of_query(&table.query) } else { Carried::new() };
            inner.tables.insert(folded(&table.alias.name), carried);
        }
        inner
    }

    /// The metadata columns that the query's own `*`s add.
    fn of_query(&self, query: &Query) -> Carried {
        self.within(query).of_body(&query.body)
    }

    fn of_body(&self, body: &SetExpr) -> Carried {
        match body {
            SetExpr::Select(select) => {
                let relations = self.relations(&select.from);
                let all = select.projection.is_empty();
                let stars = select.projection.iter().flat_map(|item| of_star(item, &relations));
                if all { relations.into_iter().flat_map(|(_, carried)| carried).collect() } else { stars.collect() }
            }
            SetExpr::Query(query) => self.of_query(query),
            SetExpr::SetOperation { left, .. } => self.of_body(left),
            _ => Carried::new(),
        }
    }

    /// The tables of FROM under their names there.
    fn relations(&self, from: &[TableWithJoins]) -> Vec<(String, Carried)> {
        let tables = from
            .iter()
            .flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
        tables.flat_map(|table| self.of_table(table)).collect()
    }

    fn of_table(&self, table: &TableFactor) -> Vec<(String, Carried)> {
        let named = |alias: &Option<TableAlias>, own: String, carried: Carried| match alias {
            Some(alias) if !alias.columns.is_empty() => vec![(folded(&alias.name), Carried::new())],
            Some(alias) => vec![(folded(&alias.name), carried)],
            None => vec![(own, carried)],
        };
        match table {
            TableFactor::Table { name, alias, args: None, .. } => {
                let Some(name) = plain(name) else { return vec![] };
                let carried = match self.tables.get(&name) {
                    Some(carried) => carried.clone(),
                    None if self.streams.contains(&name) => METADATA.into_iter().collect(),
                    None => Carried::new(),
                };
                named(alias, name, carried)
            }
            TableFactor::Derived { subquery, alias, .. } => named(alias, String::new(), self.of_query(subquery)),
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let inner = self.relations(std::slice::from_ref(table_with_joins.as_ref()));
                match alias {
                    Some(_) => named(alias, String::new(), inner.into_iter().flat_map(|(_, c)| c).collect()),
                    None => inner,
                }
            }
            _ => vec![],
        }
    }
}

/// The metadata columns that one item of a select list adds, if it is a `*`.
fn of_star(item: &SelectItem, relations: &[(String, Carried)]) -> Carried {
    let (options, carried) = match item {
        SelectItem::Wildcard(options) => {
            let all = || relations.iter().flat_map(|(_, carried)| carried.iter().copied());
            // Of two tables that both have a column, neither's can be excluded by its name alone.
            let once = all().filter(|name| all().filter(|other| other == name).count() == 1);
            (options, once.collect::<Carried>())
        }
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
            let of = plain(name).and_then(|name| relations.iter().find(|(relation, _)| *relation == name));
            (options, of.map(|(_, carried)| carried.clone()).unwrap_or_default())
        }
        _ => return Carried::new(),
    };
    let excluded = excluded(options);
    carried.into_iter().filter(|name| !excluded.contains(*name)).collect()
}

/// The columns that the query itself excludes.
fn excluded(options: &WildcardAdditionalOptions) -> HashSet<String> {
    use datafusion::sql::sqlparser::ast::ExcludeSelectItem::{Multiple, Single};
    let mut names = HashSet::new();
    match &options.opt_exclude {
        Some(Single(name)) => names.extend(plain(name)),
        Some(Multiple(all)) => names.extend(all.iter().filter_map(plain)),
        None => {}
    }
    if let Some(except) = &options.opt_except {
        names.extend(std::iter::once(&except.first_element).chain(&except.additional_elements).map(folded));
    }
    names
}

fn except(options: &mut WildcardAdditionalOptions, carried: Carried) {
    let mut idents: Vec<Ident> = carried.into_iter().map(Ident::new).collect();
    if idents.is_empty() {
        return;
    }
    match &mut options.opt_except {
        Some(except) => except.additional_elements.extend(idents),
        none => {
            let first_element = idents.remove(0);
            *none = Some(ExceptSelectItem { first_element, additional_elements: idents });
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    fn hidden(sql: &str) -> String {
        let dialect = datafusion::config::Dialect::Generic;
        let mut statement = SessionContext::new().state().sql_to_statement(sql, &dialect).unwrap();
        hide_metadata(&mut statement, &HashSet::from(["s".to_owned()]));
        statement.to_string()
    }

    #[test]
    fn a_star_of_the_answer_leaves_metadata_out() {
        let all = "EXCEPT (_headers, _key, _offset, _partition, _timestamp, _value)";
        assert_eq!(hidden("SELECT * FROM s"), format!("SELECT * {all} FROM s"));
        assert_eq!(
            hidden("SELECT x.* FROM s x JOIN n USING (k)"),
            format!("SELECT x.* {all} FROM s x JOIN n USING(k)")
        );
        assert_eq!(
            hidden("WITH a AS (SELECT *, 1 AS o FROM s) SELECT * FROM a"),
            format!("WITH a AS (SELECT *, 1 AS o FROM s) SELECT * {all} FROM a")
        );
        assert_eq!(
            hidden("SELECT * FROM s UNION ALL SELECT * FROM s"),
            format!("SELECT * {all} FROM s UNION ALL SELECT * {all} FROM s")
        );
        assert_eq!(
            hidden("SELECT * EXCLUDE (_key, k) FROM s"),
            "SELECT * EXCLUDE (_key, k) EXCEPT (_headers, _offset, _partition, _timestamp, _value) FROM s"
        );
    }

    #[test]
    fn what_is_named_stays() {
        for sql in [
            "SELECT k, _offset FROM s",
            "SELECT * FROM (SELECT k, _offset FROM s)",
            "SELECT * FROM names",
            "SELECT count(*) FROM s",
            "WITH s AS (SELECT k FROM names) SELECT * FROM s",
        ] {
            assert_eq!(hidden(sql), sql);
        }
    }
}
