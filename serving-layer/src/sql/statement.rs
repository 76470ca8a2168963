//! Statements: parsed with their positions, and accepted only if they read.

use std::sync::Arc;

use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{CopySource, CopyTarget, Query, SetExpr, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_postgres::datafusion_pg_catalog::sql::rules::{
    CurrentUserVariableToSessionUserFunctionCall, FixVersionColumnName, PrependUnqualifiedPgTableName,
    ResolveUnqualifiedIdentifier, RewritePgCatalogOperator, RewriteRegCastToSubquery, SqlStatementRewriteRule,
    StripCallableQualifier,
};
use dovetail_core::sql::{marked, rewritten, unmarked, with_array_parameters};

use crate::error::{QueryError, Reason};
use crate::sql::catalog_queries;
use crate::sql::fetch::fetch_command;

/// The kind of an accepted statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// It returns rows.
    Read,
    /// It concerns the session: `SET`, `BEGIN`, a cursor, `COPY` to the client.
    Session,
}

/// The parser of statements in the dialect of PostgreSQL's clients.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Recognises whole questions of clients that cannot be answered here, and replaces them by others with the same
    /// answer.
    clients: PostgresCompatibilityParser,
    /// Rules for every statement. The rules left out change a statement's meaning: they remove subqueries, read arrays
    /// without their quotes, and ignore collations.
    rules: Vec<Arc<dyn SqlStatementRewriteRule>>,
    /// Rules for questions to `pg_catalog`.
    catalog_rules: Vec<Arc<dyn SqlStatementRewriteRule>>,
}

impl Dialect {
    pub(crate) fn new() -> Self {
        Self {
            clients: PostgresCompatibilityParser::new(),
            rules: vec![
                Arc::new(PrependUnqualifiedPgTableName),
                Arc::new(StripCallableQualifier),
                Arc::new(CurrentUserVariableToSessionUserFunctionCall),
                Arc::new(RewritePgCatalogOperator),
                Arc::new(RewriteRegCastToSubquery::new()),
                Arc::new(FixVersionColumnName),
            ],
            catalog_rules: vec![Arc::new(ResolveUnqualifiedIdentifier)],
        }
    }

    /// The statements of `sql`, none when it is empty.
    ///
    /// Clients' questions to `pg_catalog` are replaced by ones that DataFusion can answer, which costs their
    /// positions; all other statements keep them.
    pub(crate) fn parse(&self, sql: &str) -> Result<Vec<Statement>, QueryError> {
        check_size(sql)?;
        if let Some(table) = table_command(sql) {
            return self.parse(&table);
        }
        if let Some(fetch) = fetch_command(sql) {
            return Ok(vec![fetch]);
        }
        let lower = sql.to_ascii_lowercase();
        let asks_catalog = lower.contains("pg_");
        let statements = match plain(sql) {
            Ok(statements) if asks_catalog || lower.contains("information_schema") => {
                match catalog_queries::simpler(&statements) {
                    Some(simpler) => simpler,
                    None if asks_catalog => self.replaced(sql, &statements).unwrap_or(statements),
                    None => statements,
                }
            }
            Ok(statements) => statements,
            // `ABORT`, which the parser does not know.
            Err(error) => self.clients.parse(sql).map_err(|_| error)?,
        };
        statements.into_iter().map(|statement| self.known(statement, asks_catalog)).collect()
    }

    /// The replacement of `sql` if it is replaced as a whole; `statements` are its parsed form.
    fn replaced(&self, sql: &str, statements: &[Statement]) -> Option<Vec<Statement>> {
        let replaced = self.clients.parse(sql).ok()?;
        let rewritten = statements.iter().map(|statement| self.clients.rewrite(statement.clone()).to_string());
        let same = rewritten.eq(replaced.iter().map(Statement::to_string));
        (!same).then_some(replaced)
    }

    /// The statement in a form that DataFusion knows.
    fn known(&self, statement: Statement, asks_catalog: bool) -> Result<Statement, QueryError> {
        let catalog_rules = self.catalog_rules.iter().filter(|_| asks_catalog);
        let statement = self.rules.iter().chain(catalog_rules).fold(statement, |known, rule| rule.rewrite(known));
        match rewritten(catalog_queries::rewritten(statement)) {
            Ok(statement) => Ok(marked(statement)),
            Err(refused) => Err(QueryError::new(Reason::Unsupported, refused.message).with_hint(refused.hint)),
        }
    }

    /// Parses `sql`, which must be a single statement.
    pub(crate) fn parse_one(&self, sql: &str) -> Result<Statement, QueryError> {
        let mut statements = self.parse(sql)?;
        match (statements.pop(), statements.len()) {
            (Some(statement), 0) => Ok(statement),
            (None, _) => Err(QueryError::new(Reason::Syntax, "there is no statement")),
            (Some(_), more) => {
                let message = format!("there are {} statements, send one", more + 1);
                Err(QueryError::new(Reason::Syntax, message))
            }
        }
    }
}

/// Greatest number of operators in a statement. Each nests the rest one deeper, and trees are walked recursively: a
/// chain without end would overflow the stack and end the server.
const MAX_OPERATORS: usize = 400;

fn check_size(sql: &str) -> Result<(), QueryError> {
    // The parser reports text that cannot be cut into tokens.
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return Ok(()) };
    let operators: usize = tokens.iter().map(nesting).sum();
    if operators <= MAX_OPERATORS {
        return Ok(());
    }
    let message = format!("the statement chains {operators} operators, at most {MAX_OPERATORS} are taken");
    Err(QueryError::new(Reason::Unsupported, message)
        .with_hint("write `x IN (1, 2, ..)` instead of `x = 1 OR x = 2 ..`"))
}

/// The depth that a token can add to the parser's tree.
fn nesting(token: &Token) -> usize {
    match token {
        Token::Word(word) if word.quote_style.is_some() => 0,
        Token::Word(word) => match word.keyword {
            Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::IS | Keyword::COLLATE => 1,
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::JOIN => 8,
            _ => 0,
        },
        Token::Number(..)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SemiColon
        | Token::Placeholder(_)
        | Token::SingleQuotedString(_)
        | Token::EOF => 0,
        Token::LBracket => 1,
        Token::RBracket => 0,
        _ => 1,
    }
}

/// `TABLE t` as its query, since the parser does not know it.
fn table_command(sql: &str) -> Option<String> {
    let (word, rest) = sql.trim_start().split_once(char::is_whitespace)?;
    word.eq_ignore_ascii_case("table").then(|| format!("SELECT * FROM {rest}"))
}

fn plain(sql: &str) -> Result<Vec<Statement>, datafusion::sql::sqlparser::parser::ParserError> {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(sql)?.parse_statements()
}

/// Accepts statements that read, or that change nothing but the session.
///
/// # Errors
/// [`Reason::ReadOnly`] for all others.
pub(crate) fn check(statement: &Statement) -> Result<Does, QueryError> {
    match statement {
        Statement::Query(query) => check_query(query).map(|()| Does::Read),
        Statement::Explain { statement, .. } => match check(statement)? {
            Does::Read => Ok(Does::Read),
            Does::Session => Err(refused(statement)),
        },
        Statement::ExplainTable { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowFunctions { .. }
        | Statement::ShowSchemas { .. } => Ok(Does::Read),
        Statement::Declare { stmts } => {
            stmts.iter().filter_map(|d| d.for_query.as_deref()).try_for_each(check_query)?;
            Ok(Does::Session)
        }
        // To the client, not to a file.
        Statement::Copy { source, to: true, target: CopyTarget::Stdout, .. } => match source {
            CopySource::Query(query) => check_query(query).map(|()| Does::Session),
            CopySource::Table { .. } => Ok(Does::Session),
        },
        Statement::Set(_)
        | Statement::Reset(_)
        | Statement::ShowVariable { .. }
        | Statement::ShowVariables { .. }
        | Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. }
        | Statement::Discard { .. }
        | Statement::Deallocate { .. }
        | Statement::Fetch { .. }
        | Statement::Close { .. }
        | Statement::LISTEN { .. }
        | Statement::UNLISTEN { .. } => Ok(Does::Session),
        Statement::Prepare { statement, .. } => check(statement).map(|_| Does::Session),
        Statement::Execute { .. } => Ok(Does::Session),
        other => Err(refused(other)),
    }
}

fn check_query(query: &Query) -> Result<(), QueryError> {
    for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
        check_query(&cte.query)?;
    }
    if !query.locks.is_empty() {
        return Err(QueryError::read_only("FOR UPDATE"));
    }
    check_body(&query.body)
}

fn check_body(body: &SetExpr) -> Result<(), QueryError> {
    match body {
        SetExpr::Select(select) if select.into.is_some() => Err(QueryError::read_only("SELECT INTO")),
        SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Table(_) => Ok(()),
        SetExpr::Query(query) => check_query(query),
        SetExpr::SetOperation { left, right, .. } => check_body(left).and_then(|()| check_body(right)),
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => Err(refused(statement)),
    }
}

/// Plans a statement that reads, and checks the plan.
pub(crate) async fn planned(state: &SessionState, statement: Statement) -> Result<LogicalPlan, QueryError> {
    let plan = Box::pin(state.statement_to_plan(DfStatement::Statement(Box::new(statement)))).await?;
    check_plan(&plan)?;
    Ok(unmarked(with_array_parameters(plan)?)?)
}

/// The second check: a plan that writes is not run, whatever the parser accepted.
fn check_plan(plan: &LogicalPlan) -> Result<(), QueryError> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(plan).map_err(|_| QueryError::read_only("a statement that writes"))
}

fn refused(statement: &Statement) -> QueryError {
    let text = statement.to_string();
    let words: Vec<&str> =
        text.split_whitespace().take_while(|w| w.chars().all(|c| c.is_ascii_uppercase())).take(3).collect();
    match words.is_empty() {
        true => QueryError::read_only("this statement"),
        false => QueryError::read_only(&words.join(" ")),
    }
}
