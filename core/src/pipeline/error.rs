//! The errors of a pipeline: all at once, each with its place and a hint.

use std::fmt;
use std::path::{Path, PathBuf};

use datafusion::sql::sqlparser::tokenizer::Location;

use super::ViewSql;

/// All errors of one pipeline, which is refused as a whole.
///
/// Prints one error after another as `FILE:LINE:COLUMN: in STATEMENT: MESSAGE`, with an indented line for the hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineErrors {
    /// The pipeline's file; empty when an error is not about the file's text.
    pub file: PathBuf,
    /// The errors by line, at least one.
    pub errors: Vec<PipelineError>,
}

/// One error of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineError {
    /// The statement at fault, such as "view `by_day`" or its first line; empty when there is none.
    pub statement: String,
    /// 1-based line of the offending word if it is known, else of the statement's start.
    pub line: Option<usize>,
    /// 1-based column, in characters.
    pub column: Option<usize>,
    /// The error, in lower case and without a full stop.
    pub message: String,
    /// The remedy, if one is known.
    pub hint: Option<String>,
}

impl PipelineErrors {
    /// Ok when `errors` is empty, else all of them, by line.
    pub fn check(file: &Path, mut errors: Vec<PipelineError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by_key(|error| (error.line, error.column));
        Err(Self { file: file.to_owned(), errors })
    }
}

impl PipelineError {
    /// An error of the file as a whole.
    pub fn in_file(message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        let hint = hint.into();
        Self { statement: String::new(), line: None, column: None, message: message.into(), hint }
    }

    /// An error that planning `view` found.
    pub fn in_view(view: &ViewSql, message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        let statement = format!("view `{}`", view.name);
        Self { statement, line: Some(view.line), ..Self::in_file(message, hint) }
    }
}

impl std::error::Error for PipelineErrors {}

impl fmt::Display for PipelineErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            if !self.file.as_os_str().is_empty() {
                write!(f, "{}:", self.file.display())?;
                let place = if error.line.is_none() { " " } else { "" };
                f.write_str(place)?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for PipelineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "{line}:{column}: ")?,
            (Some(line), None) => write!(f, "{line}: ")?,
            (None, _) => {}
        }
        if !self.statement.is_empty() {
            write!(f, "in {}: ", self.statement)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Collects the errors of one statement.
#[derive(Debug)]
pub(super) struct ErrorReport<'a> {
    /// Names the statement in its errors; it becomes more precise as more of it is understood.
    pub(super) statement: String,
    pub(super) start: Location,
    pub(super) errors: &'a mut Vec<PipelineError>,
}

impl ErrorReport<'_> {
    /// Adds an error without a hint.
    pub(super) fn error(&mut self, at: Location, message: impl Into<String>) {
        self.push(at, message.into(), None);
    }

    /// Adds an error with a hint.
    pub(super) fn hint(&mut self, at: Location, message: impl Into<String>, hint: impl Into<String>) {
        self.push(at, message.into(), Some(hint.into()));
    }

    /// Adds an error; without a known place it is at the statement's start.
    pub(super) fn push(&mut self, at: Location, message: String, hint: Option<String>) {
        let at = if at.line == 0 { self.start } else { at };
        self.errors.push(PipelineError {
            statement: self.statement.clone(),
            line: Some(at.line as usize),
            column: Some(at.column as usize),
            message,
            hint,
        });
    }
}
