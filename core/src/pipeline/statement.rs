//! One statement, read as a stream, a lookup or a view.

use super::usable_name::usable;
use std::path::Path;

use datafusion::sql::parser::{CreateExternalTable, Statement};
use datafusion::sql::sqlparser::ast::{ObjectName, Statement as SqlStatement, Value};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::error::ErrorReport;
use super::options::{self, OptionEntry};
use super::source::{StatementTokens, keyword, slice};
use super::types::normalized;
use super::{Lookup, Stream, ViewSql, lookup, stream};
use crate::name::ViewName;

const ALLOWED: &str = "a pipeline has only `CREATE EXTERNAL TABLE` (a stream or a lookup) and `CREATE VIEW`";

/// The declaration that a statement makes.
#[derive(Debug)]
pub(super) enum Declared {
    Stream(Stream),
    Lookup(Lookup),
    View(ViewSql),
}

/// Reads one parsed statement; `None` when the reported errors leave nothing to continue with.
pub(super) fn declared(
    statement: Statement,
    piece: &StatementTokens,
    text: &str,
    folder: &Path,
    report: &mut ErrorReport<'_>,
) -> Option<Declared> {
    let start = report.start;
    match statement {
        Statement::CreateExternalTable(table) => external_table(table, piece, folder, report),
        Statement::Statement(statement) => match *statement {
            SqlStatement::CreateView(create) => view(&create.name, piece, text, report).map(Declared::View),
            SqlStatement::CreateTable(_) => {
                let hint = "write `CREATE EXTERNAL TABLE .. STORED AS JSON LOCATION 'kafka://TOPIC'` for a stream, \
                            `CREATE VIEW .. AS` for a query";
                report.hint(start, "`CREATE TABLE` has no place in a pipeline", hint);
                None
            }
            SqlStatement::Query(_) => {
                let hint = "write `CREATE VIEW name AS` in front of it; to ask once, use `dovetail query`";
                report.hint(start, "a query alone has no place in a pipeline", hint);
                None
            }
            _ => refuse(report),
        },
        _ => refuse(report),
    }
}

fn refuse(report: &mut ErrorReport<'_>) -> Option<Declared> {
    report.hint(report.start, "this statement has no place in a pipeline", ALLOWED);
    None
}

fn view(name: &ObjectName, piece: &StatementTokens, text: &str, report: &mut ErrorReport<'_>) -> Option<ViewSql> {
    let (name, at) = plain_name(name, report)?;
    report.statement = format!("view `{name}`");
    let words = piece.words();
    let is = |i: usize, wanted: Keyword| words.get(i).is_some_and(|word| keyword(&word.token) == wanted);
    let (entries, after) = match is(3, Keyword::WITH).then(|| view_entries(&words[4..])).flatten() {
        Some((entries, length)) => (entries, 4 + length),
        None => (vec![], 3),
    };
    let on_error = options::view(&entries, report);
    let plain = is(1, Keyword::VIEW) && is(after, Keyword::AS) && !ends_in_binding(&words);
    let name = usable(ViewName::parse(&name), at, report);
    if !plain {
        let hint = "write `CREATE VIEW name AS SELECT ..`, with columns named by `AS` in the query; \
                    options stand before `AS`: `WITH (on_error = 'null')`";
        report.hint(report.start, "a view has a name, options and a query, and no other clause", hint);
        return None;
    }
    let (first, last) = (words.get(after + 1)?, words.last()?);
    let sql = slice(text, first.span.start, last.span.end)?.to_owned();
    Some(ViewSql { name: name?, sql, on_error, line: report.start.line as usize })
}

/// Reads `(key = value, ..)` at the start of `words`; returns the entries and the number of words.
fn view_entries(words: &[&TokenWithSpan]) -> Option<(Vec<OptionEntry>, usize)> {
    let end = words.iter().position(|word| word.token == Token::RParen)?;
    let inside = words.first().filter(|word| word.token == Token::LParen).and_then(|_| words.get(1..end))?;
    let entries = inside.split(|word| word.token == Token::Comma).map(|entry| match entry {
        [key, equals, value] if equals.token == Token::Eq => Some(OptionEntry {
            key: as_text(&key.token)?,
            value: as_text(&value.token)?,
            key_at: key.span.start,
            value_at: value.span.start,
        }),
        _ => None,
    });
    Some((entries.collect::<Option<Vec<_>>>()?, end + 1))
}

fn as_text(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) => Some(word.value.clone()),
        Token::SingleQuotedString(text) => Some(text.clone()),
        Token::Number(number, _) => Some(number.clone()),
        _ => None,
    }
}

fn ends_in_binding(words: &[&TokenWithSpan]) -> bool {
    words.last().is_some_and(|word| keyword(&word.token) == Keyword::BINDING)
}

fn external_table(
    table: CreateExternalTable,
    piece: &StatementTokens,
    folder: &Path,
    report: &mut ErrorReport<'_>,
) -> Option<Declared> {
    let (name, at) = plain_name(&table.name, report)?;
    let location = table.locations.first()?.clone();
    let topic = location.strip_prefix("kafka://");
    let what = if topic.is_some() { "stream" } else { "lookup" };
    report.statement = format!("{what} `{name}`");
    only_known_clauses(&table, report);
    let entries = entries(&table, piece);
    let location_at = location_at(piece);
    match topic {
        Some(topic) => stream::declared(&name, at, topic, location_at, &table, &entries, report).map(Declared::Stream),
        None => lookup::declared(&name, at, folder, location_at, &table, &entries, report).map(Declared::Lookup),
    }
}

fn only_known_clauses(table: &CreateExternalTable, report: &mut ErrorReport<'_>) {
    let clauses = [
        (table.or_replace, "OR REPLACE"),
        (table.if_not_exists, "IF NOT EXISTS"),
        (table.temporary, "TEMPORARY"),
        (table.unbounded, "UNBOUNDED"),
        (!table.table_partition_cols.is_empty(), "PARTITIONED BY"),
        (!table.order_exprs.is_empty(), "WITH ORDER"),
        (!table.constraints.is_empty(), "PRIMARY KEY, UNIQUE, FOREIGN KEY or CHECK"),
    ];
    for (_, clause) in clauses.iter().filter(|(present, _)| *present) {
        report.hint(report.start, format!("`{clause}` has no meaning in a pipeline"), "leave it out");
    }
    if table.locations.len() > 1 {
        report.hint(report.start, "a table has one LOCATION", "write one statement for each of them");
    }
}

/// The name as SQL means it, and its place. A name with a schema is reported.
fn plain_name(name: &ObjectName, report: &mut ErrorReport<'_>) -> Option<(String, Location)> {
    let [part] = name.0.as_slice() else {
        report.hint(report.start, format!("`{name}` names a schema"), "write the name alone: schemas are Dovetail's");
        return None;
    };
    let Some(ident) = part.as_ident() else {
        report.error(report.start, format!("`{name}` is not a name"));
        return None;
    };
    Some((normalized(ident), ident.span.start))
}

/// The options with their places, which the syntax tree does not keep: each is a key (with dots) and one value, between
/// commas.
fn entries(table: &CreateExternalTable, piece: &StatementTokens) -> Vec<OptionEntry> {
    let words = piece.words();
    let opens =
        words.windows(2).position(|pair| keyword(&pair[0].token) == Keyword::OPTIONS && pair[1].token == Token::LParen);
    let inside = opens.and_then(|i| words.get(i + 2..)).unwrap_or_default();
    let inside = inside.split(|word| word.token == Token::RParen).next().unwrap_or_default();
    let mut places = inside.split(|word| word.token == Token::Comma);
    let entry = |(key, value): &(String, Value)| {
        let place = places.next().unwrap_or_default();
        let at = |word: Option<&&TokenWithSpan>| word.map_or(Location::empty(), |word| word.span.start);
        let value = match value {
            Value::Number(number, _) => number.clone(),
            other => other.clone().into_string().unwrap_or_default(),
        };
        OptionEntry { key: key.clone(), value, key_at: at(place.first()), value_at: at(place.last()) }
    };
    table.options.iter().map(entry).collect()
}

fn location_at(piece: &StatementTokens) -> Location {
    let words = piece.words();
    let found = words.windows(2).find(|pair| {
        keyword(&pair[0].token) == Keyword::LOCATION && matches!(pair[1].token, Token::SingleQuotedString(_))
    });
    found.map_or(Location::empty(), |pair| pair[1].span.start)
}
