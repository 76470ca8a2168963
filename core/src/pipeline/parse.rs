//! Parses a pipeline's text: every statement is parsed and checked, and all errors are returned together.

use std::collections::HashMap;
use std::path::Path;

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Location;

use super::error::{ErrorReport, PipelineError, PipelineErrors};
use super::source::{DIALECT, StatementTokens, keyword, split};
use super::statement::{Declared, declared};
use super::types::{lower_first, normalized};
use super::{Format, Pipeline};

/// Greatest depth of brackets: the parser recurses into types without a limit of its own.
const MAX_DEPTH: usize = 64;
/// Greatest number of words in a statement: `a + a + ..` becomes a tree as deep as it is long, which is dropped
/// recursively.
const MAX_WORDS: usize = 10_000;

impl Pipeline {
    /// Reads and parses a pipeline's file.
    pub fn load(path: &Path) -> Result<Self, PipelineErrors> {
        let unreadable = |why: String, hint: Option<String>| PipelineErrors {
            file: path.to_owned(),
            errors: vec![PipelineError::in_file(format!("the file cannot be read: {why}"), hint)],
        };
        let bytes = std::fs::read(path).map_err(|error| unreadable(lower_first(&error.to_string()), None))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let why = format!("byte {} is not UTF-8", error.utf8_error().valid_up_to());
            unreadable(why, Some("save it as UTF-8".to_owned()))
        })?;
        Self::parse(&text, path)
    }

    /// Parses a pipeline's text. `file` names it in errors, and lookups are relative to its folder; their files are
    /// read here to check them against their declarations.
    pub fn parse(sql: &str, file: &Path) -> Result<Self, PipelineErrors> {
        let text = sql.strip_prefix('\u{feff}').unwrap_or(sql);
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut parsing = Parsing::default();
        parsing.read(text, folder);
        if parsing.pipeline.streams.is_empty() && parsing.errors.is_empty() {
            let hint = "add `CREATE EXTERNAL TABLE name (..) STORED AS JSON LOCATION 'kafka://TOPIC'`";
            parsing.errors.push(PipelineError::in_file("there is no stream", hint.to_owned()));
        }
        PipelineErrors::check(file, parsing.errors)?;
        Ok(parsing.pipeline)
    }
}

#[derive(Debug, Default)]
struct Parsing {
    pipeline: Pipeline,
    errors: Vec<PipelineError>,
    /// The statement that declared each name, with its line.
    names: HashMap<String, String>,
    topics: HashMap<String, String>,
}

impl Parsing {
    fn read(&mut self, text: &str, folder: &Path) {
        let (mut pieces, error) = split(text);
        let unfinished = if error.is_some() { pieces.pop() } else { None };
        for piece in pieces.iter().filter(|piece| !piece.words().is_empty()) {
            self.statement(piece, text, folder);
        }
        if let (Some(piece), Some(error)) = (unfinished, error) {
            let mut report = report(&piece, text, &mut self.errors);
            report.error(error.location, lower_first(&error.message));
        }
    }

    fn statement(&mut self, piece: &StatementTokens, text: &str, folder: &Path) {
        let mut report = report(piece, text, &mut self.errors);
        let Some(statement) = parsed(piece, &mut report) else { return };
        let folded = folded_columns(&statement);
        let Some(declared) = declared(statement, piece, text, folder, &mut report) else { return };
        if matches!(&declared, Declared::Stream(stream) if stream.format == Format::Json) {
            let statement = report.statement.clone();
            let mut notes = ErrorReport { statement, start: report.start, errors: &mut self.pipeline.notes };
            for column in folded {
                let (name, read) = (&column.value, normalized(&column));
                let message = format!("column `{name}` is read as `{read}`: unquoted names are folded to lower case");
                notes.hint(column.span.start, message, format!("write \"{name}\" if the records spell it so"));
            }
        }
        let at = format!("{} at line {}", report.statement, report.start.line);
        let (name, topic) = match &declared {
            Declared::Stream(stream) => (stream.name.to_string(), Some(&stream.topic)),
            Declared::Lookup(lookup) => (lookup.name.clone(), None),
            Declared::View(view) => (view.name.to_string(), None),
        };
        if let Some(first) = self.names.get(&name) {
            report.hint(report.start, format!("the name is taken by {first}"), "give each a name of its own");
        }
        if let Some(first) = topic.and_then(|topic| self.topics.get(topic)) {
            let hint = "a topic has one schema: declare all columns in one stream, and select from it in views";
            report.hint(report.start, format!("the topic is read by {first} already"), hint);
        }
        if let Some(topic) = topic {
            self.topics.entry(topic.clone()).or_insert_with(|| at.clone());
        }
        self.names.entry(name).or_insert(at);
        match declared {
            Declared::Stream(stream) => self.pipeline.streams.push(stream),
            Declared::Lookup(lookup) => self.pipeline.lookups.push(lookup),
            Declared::View(view) => self.pipeline.views.push(view),
        }
    }
}

/// The unquoted column names in mixed case.
fn folded_columns(statement: &Statement) -> Vec<Ident> {
    let Statement::CreateExternalTable(table) = statement else { return vec![] };
    let mixed = |name: &Ident| {
        let has = |case: fn(&char) -> bool| name.value.chars().any(|c| case(&c));
        name.quote_style.is_none() && has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase)
    };
    table.columns.iter().map(|column| &column.name).filter(|name| mixed(name)).cloned().collect()
}

fn report<'a>(piece: &StatementTokens, text: &str, errors: &'a mut Vec<PipelineError>) -> ErrorReport<'a> {
    ErrorReport { statement: piece.title(text), start: piece.start(), errors }
}

/// Parses the statement of one piece.
fn parsed(piece: &StatementTokens, report: &mut ErrorReport<'_>) -> Option<Statement> {
    if piece.depth() > MAX_DEPTH {
        report.error(report.start, format!("brackets nest deeper than {MAX_DEPTH}"));
        return None;
    }
    if piece.words().len() > MAX_WORDS {
        let hint = "a long list of values belongs into a lookup";
        report.hint(report.start, format!("the statement has more than {MAX_WORDS} words"), hint);
        return None;
    }
    let parser = DFParserBuilder::new(piece.to_parse()).with_dialect(&DIALECT).build();
    match parser.and_then(|mut parser| parser.parse_statements()) {
        Ok(mut statements) => statements.pop_front(),
        Err(error) => {
            let (message, at) = syntax_error(&error);
            report.push(at, message, missing_semicolon(piece));
            None
        }
    }
}

/// The hint for a second `CREATE` in one statement: the `;` before it is missing.
fn missing_semicolon(piece: &StatementTokens) -> Option<String> {
    let words = piece.words();
    let second = words.iter().skip(1).find(|word| keyword(&word.token) == Keyword::CREATE)?;
    Some(format!("is a `;` missing before the `CREATE` at line {}?", second.span.start.line))
}

/// The parser's message without its prefix and without the place at its end, and that place.
fn syntax_error(error: &DataFusionError) -> (String, Location) {
    let message = match error.find_root() {
        DataFusionError::SQL(error, _) => match error.as_ref() {
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => message.clone(),
            ParserError::RecursionLimitExceeded => "expressions nest too deeply".to_owned(),
        },
        other => other.strip_backtrace(),
    };
    let (message, at) = match message.rsplit_once(" at Line: ") {
        Some((message, place)) => (message, location(place)),
        None => (message.as_str(), None),
    };
    let message = lower_first(message.trim());
    let message = message.replacen("expected: ", "expected ", 1).replacen(", found: ", ", found ", 1);
    (message, at.unwrap_or(Location::empty()))
}

fn location(place: &str) -> Option<Location> {
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location::new(line.trim().parse().ok()?, column.trim().parse().ok()?))
}
