//! Errors as programs see them: one document for all routes of all processes.
//!
//! ```text
//! {"error": {"message": "..", "code": "unknown_view", "hint": "..", "line": 2, "column": 7, "sqlstate": "42P01"}}
//! ```
//! The last four are present where they are known. Programs decide by `code`, which does not change; `message` is for
//! people.

use std::fmt;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument {
    /// The error.
    pub error: ErrorInfo,
}

/// An error of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// For people.
    pub message: String,
    /// For programs: [`Code::name`], or the code of a statement's error.
    #[serde(default)]
    pub code: String,
    /// Line in the statement, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Column in that line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// The remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// PostgreSQL's code, of errors of a statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
}

impl fmt::Display for ErrorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The kinds of failure for clients, besides those of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is not understood: its path, query, headers or body.
    BadRequest,
    /// There is no such stream.
    UnknownStream,
    /// There is no such view.
    UnknownView,
    /// There is no such generation.
    UnknownGeneration,
    /// There is no such stream job.
    UnknownJob,
    /// There is no such route.
    UnknownRoute,
    /// The route is there and does not take this method.
    MethodNotAllowed,
    /// Something else is published, or running, than the request was based on.
    Conflict,
    /// Another run is in progress.
    RunInProgress,
    /// The generation is retired, or is current already.
    NotPossible,
    /// The run was cancelled.
    Cancelled,
    /// Some of the records that a source sends were appended before, some not.
    SourceOverlap,
    /// The request, a record, or the number of records is over a limit, and will be when it is sent again.
    TooLarge,
    /// The body is of a type or an encoding that the route does not take.
    UnsupportedMediaType,
    /// The body came too slowly.
    TooSlow,
    /// Too much is being done at once; nothing of the request was done.
    TooBusy,
    /// The process waits for the log, the catalog or the store before it starts.
    Starting,
    /// `/readyz` only: something stalls this process.
    NotReady,
    /// The layer that does it is away, or this process does not run it.
    Unavailable,
    /// It may have been done, or not: look before it is sent again.
    OutcomeUnknown,
    /// Stored data is missing or damaged, or a view cannot be folded.
    RunFailed,
    /// A bug.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 22] = [
        Self::BadRequest,
        Self::UnknownStream,
        Self::UnknownView,
        Self::UnknownGeneration,
        Self::UnknownJob,
        Self::UnknownRoute,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::RunInProgress,
        Self::NotPossible,
        Self::Cancelled,
        Self::SourceOverlap,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::TooSlow,
        Self::TooBusy,
        Self::Starting,
        Self::NotReady,
        Self::Unavailable,
        Self::OutcomeUnknown,
        Self::RunFailed,
        Self::Internal,
    ];

    /// The word in the document. It never changes.
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// The status of its response.
    pub fn status(self) -> StatusCode {
        self.facts().1
    }

    fn facts(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRequest => ("bad_request", StatusCode::BAD_REQUEST),
            Self::UnknownStream => ("unknown_stream", StatusCode::NOT_FOUND),
            Self::UnknownView => ("unknown_view", StatusCode::NOT_FOUND),
            Self::UnknownGeneration => ("unknown_generation", StatusCode::NOT_FOUND),
            Self::UnknownJob => ("unknown_job", StatusCode::NOT_FOUND),
            Self::UnknownRoute => ("unknown_route", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::Conflict => ("conflict", StatusCode::CONFLICT),
            Self::RunInProgress => ("run_in_progress", StatusCode::CONFLICT),
            Self::NotPossible => ("not_possible", StatusCode::CONFLICT),
            Self::Cancelled => ("cancelled", StatusCode::CONFLICT),
            Self::SourceOverlap => ("source_overlap", StatusCode::CONFLICT),
            Self::TooLarge => ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => ("unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::TooSlow => ("too_slow", StatusCode::REQUEST_TIMEOUT),
            Self::TooBusy => ("too_busy", StatusCode::TOO_MANY_REQUESTS),
            Self::Starting => ("starting", StatusCode::SERVICE_UNAVAILABLE),
            Self::NotReady => ("not_ready", StatusCode::SERVICE_UNAVAILABLE),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::OutcomeUnknown => ("outcome_unknown", StatusCode::INTERNAL_SERVER_ERROR),
            Self::RunFailed => ("run_failed", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Whether the same request may be sent again as it is.
    pub fn is_repeatable(self) -> bool {
        matches!(self, Self::TooBusy | Self::Starting | Self::NotReady | Self::Unavailable)
    }

    /// The code of a status that says no more.
    pub fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::UnknownRoute,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::CONFLICT => Self::Conflict,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::REQUEST_TIMEOUT => Self::TooSlow,
            StatusCode::TOO_MANY_REQUESTS => Self::TooBusy,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            StatusCode::BAD_GATEWAY => Self::OutcomeUnknown,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}
