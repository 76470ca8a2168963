//! The reasons why a query was not answered, in words and as the codes of both interfaces.

use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use dovetail_core::catalog::CatalogError;
use dovetail_core::pipeline::hint_of;
use dovetail_core::store::StoreError;

use crate::position::{Position, cut_position};

/// The kind of a failure, for callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The statement does not parse.
    Syntax,
    /// No such table or view.
    UndefinedTable,
    /// No such column.
    UndefinedColumn,
    /// No such function, or not with these arguments.
    UndefinedFunction,
    /// The statement parses and is wrong otherwise.
    Invalid,
    /// Values are wrong: a cast, a number out of range.
    Data,
    /// A division by zero.
    DivisionByZero,
    /// The statement is valid and not supported.
    Unsupported,
    /// The statement would write.
    ReadOnly,
    /// The query's time is over, or it was cancelled.
    Timeout,
    /// The query needs more memory than it may use.
    Memory,
    /// Too many queries run at the same time.
    TooMany,
    /// The data is not ready; retry later.
    NotReady,
    /// An object or the catalog cannot be read.
    Storage,
    /// A bug.
    Internal,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::Syntax,
        Self::UndefinedTable,
        Self::UndefinedColumn,
        Self::UndefinedFunction,
        Self::Invalid,
        Self::Data,
        Self::DivisionByZero,
        Self::Unsupported,
        Self::ReadOnly,
        Self::Timeout,
        Self::Memory,
        Self::TooMany,
        Self::NotReady,
        Self::Storage,
        Self::Internal,
    ];

    /// The code in answers over HTTP. It never changes.
    pub fn code(self) -> &'static str {
        match self {
            Self::Syntax => "syntax_error",
            Self::UndefinedTable => "undefined_table",
            Self::UndefinedColumn => "undefined_column",
            Self::UndefinedFunction => "undefined_function",
            Self::Invalid => "invalid_statement",
            Self::Data => "invalid_value",
            Self::DivisionByZero => "division_by_zero",
            Self::Unsupported => "unsupported",
            Self::ReadOnly => "read_only",
            Self::Timeout => "timeout",
            Self::Memory => "out_of_memory",
            Self::TooMany => "too_many_queries",
            Self::NotReady => "not_ready",
            Self::Storage => "storage",
            Self::Internal => "internal",
        }
    }

    /// The SQLSTATE.
    pub fn sqlstate(self) -> &'static str {
        match self {
            Self::Syntax => "42601",
            Self::UndefinedTable => "42P01",
            Self::UndefinedColumn => "42703",
            Self::UndefinedFunction => "42883",
            Self::Invalid => "42000",
            Self::Data => "22000",
            Self::DivisionByZero => "22012",
            Self::Unsupported => "0A000",
            Self::ReadOnly => "25006",
            Self::Timeout => "57014",
            Self::Memory => "53200",
            Self::TooMany => "53400",
            Self::NotReady => "55000",
            Self::Storage => "58030",
            Self::Internal => "XX000",
        }
    }

    /// The status of an HTTP answer.
    pub fn http_status(self) -> u16 {
        match self {
            Self::ReadOnly => 403,
            Self::Timeout => 408,
            Self::Internal => 500,
            Self::TooMany | Self::NotReady | Self::Storage => 503,
            Self::Memory => 507,
            _ => 400,
        }
    }
}

/// The error of a query that was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Its kind.
    pub reason: Reason,
    /// The error, in lower case and without a full stop.
    pub message: String,
    /// The remedy, if one is known.
    pub hint: Option<String>,
    /// The place in the statement, if it is known.
    pub position: Option<Position>,
}

impl QueryError {
    /// An error without a hint and a position.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), hint: None, position: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, position: Option<Position>) -> Self {
        self.position = self.position.or(position);
        self
    }

    pub(crate) fn read_only(what: &str) -> Self {
        Self::new(Reason::ReadOnly, format!("dovetail serves read-only views: {what} is refused"))
            .with_hint("records enter through `dovetail ingest` or `POST /v1/streams/{stream}/records`")
    }

    /// The error of a query whose time is over; `setting` is the one with the limit.
    pub(crate) fn timeout(limit: std::time::Duration, setting: &str) -> Self {
        let message = format!("canceling statement due to statement timeout: `{setting}` allows it {limit:?}");
        Self::new(Reason::Timeout, message)
            .with_hint("the time in which the server waits for the client to read counts too")
    }

    pub(crate) fn no_turn(limit: std::time::Duration, most: usize) -> Self {
        let message =
            format!("too many queries at the same time: no turn in {limit:?}, `query.concurrent` allows {most} to run");
        Self::new(Reason::TooMany, message).with_hint("ask again, read answers faster, or raise `query.concurrent`")
    }

    pub(crate) fn panicked() -> Self {
        Self::new(Reason::Internal, "the query met a bug and was ended; the server goes on")
    }
}

impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<CatalogError> for QueryError {
    fn from(error: CatalogError) -> Self {
        Self::new(Reason::Storage, error.to_string())
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self::new(Reason::Storage, error.to_string())
    }
}

impl From<ParserError> for QueryError {
    fn from(error: ParserError) -> Self {
        let text = match &error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
            ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
        };
        let (message, position) = cut_position(&text);
        Self::new(Reason::Syntax, lower_first(message)).at(position)
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        if let Some(own) = own(&error) {
            return own.clone();
        }
        let (position, note) = match error.diagnostic() {
            Some(diagnostic) => {
                let notes = diagnostic.notes.iter().map(|n| &n.message);
                let hint = notes.chain(diagnostic.helps.iter().map(|h| &h.message)).next().cloned();
                (diagnostic.span.map(|span| Position { line: span.start.line, column: span.start.column }), hint)
            }
            None => (None, None),
        };
        let mut found = classified(error.find_root()).at(position);
        found.hint = hint(&error).or(found.hint).or(note);
        found
    }
}

/// The remedy, where DataFusion gives none or gives it in its own terms.
fn hint(error: &DataFusionError) -> Option<String> {
    const SAME_NAME: &str = "Projections require unique expression names";
    hint_of(error).or_else(|| match error.find_root() {
        DataFusionError::Plan(text) if text.starts_with(SAME_NAME) => Some(
            "a cast without an alias has the name of its column, which `ORDER BY` or another column has too: write \
             `CAST(x AS ..) AS name`, and that name in `ORDER BY`"
                .to_owned(),
        ),
        _ => None,
    })
}

/// This program's error that travelled through DataFusion, if it was one.
fn own(error: &DataFusionError) -> Option<&QueryError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref::<QueryError>() {
            return Some(own);
        }
        cause = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            _ => error.source(),
        };
    }
    None
}

fn classified(root: &DataFusionError) -> QueryError {
    let text = root.strip_backtrace();
    let reason = match root {
        DataFusionError::SQL(error, _) => return (**error).clone().into(),
        DataFusionError::SchemaError(error, _) => match **error {
            SchemaError::FieldNotFound { .. } => Reason::UndefinedColumn,
            _ => Reason::Invalid,
        },
        DataFusionError::Plan(text) => planning(text),
        DataFusionError::ResourcesExhausted(_) => Reason::Memory,
        DataFusionError::NotImplemented(_) => Reason::Unsupported,
        DataFusionError::ArrowError(error, _) => match **error {
            ArrowError::DivideByZero => Reason::DivisionByZero,
            _ => Reason::Data,
        },
        DataFusionError::Execution(_) => Reason::Data,
        DataFusionError::External(_) if text.contains("regex parse error") => Reason::Data,
        DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) | DataFusionError::IoError(_) => {
            Reason::Storage
        }
        DataFusionError::ExecutionJoin(_) => return QueryError::panicked(),
        DataFusionError::Configuration(_) => Reason::Invalid,
        _ => Reason::Internal,
    };
    let message = match root {
        DataFusionError::Plan(text) | DataFusionError::Execution(text) | DataFusionError::NotImplemented(text) => {
            first_part(text)
        }
        DataFusionError::ResourcesExhausted(_) => {
            "the query needs more memory than `query.memory` allows it".to_owned()
        }
        DataFusionError::SchemaError(error, _) => error.to_string(),
        _ => text.clone(),
    };
    let (message, more) = message.split_once('\n').unwrap_or((&message, ""));
    let mut error = QueryError::new(reason, lower_first(message.trim_end_matches('.')));
    if !more.trim().is_empty() {
        error = error.with_hint(shortened(more.trim()));
    }
    match reason {
        Reason::Memory => error.with_hint("filter or aggregate more, or raise `query.memory`"),
        _ => error,
    }
}

/// The text without most of a list of columns, which is long for a wide join.
fn shortened(text: &str) -> String {
    const MESSAGE_CHARS_MAX: usize = 400;
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}, ..", text[..end].rsplit_once(',').map_or(&text[..end], |(kept, _)| kept)),
    }
}

fn planning(text: &str) -> Reason {
    let text = text.to_ascii_lowercase();
    if text.contains("table '") && text.contains("not found") {
        Reason::UndefinedTable
    } else if text.contains("invalid function") || text.contains("function") && text.contains("not found") {
        Reason::UndefinedFunction
    } else {
        Reason::Invalid
    }
}

/// The text without the backtrace that a debug build appends.
fn first_part(text: &str) -> String {
    text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or(text).to_owned()
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // `HAVING ..` and the like stay as they are.
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}
