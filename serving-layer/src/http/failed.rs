//! Errors as HTTP clients see them: one document for all routes of all processes.
//!
//! ```text
//! {"error": {"message": "..", "code": "unknown_view", "hint": "..", "line": 2, "column": 7, "sqlstate": "42P01"}}
//! ```
//! The last four are there where they are known. Programs go by `code`, which does not change; `message` is for people.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::QueryError;
use crate::position::Position;

/// The kinds of failure that clients tell apart, besides those of a statement ([`crate::Reason`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is not understood: its path, query, headers or body.
    BadRequest,
    UnknownStream,
    UnknownView,
    UnknownGeneration,
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
    UnsupportedMediaType,
    /// The body came too slowly.
    TooSlow,
    /// Too much is being done at once; nothing of the request was done.
    TooBusy,
    /// The process waits for what it needs to start.
    Starting,
    /// `/readyz`: something holds up this process.
    NotReady,
    /// What does it is away, or this process does not do it.
    Unavailable,
    /// It may have been done, or not: look before it is sent again.
    OutcomeUnknown,
    /// What is stored is missing or damaged, or a view cannot be folded.
    RunFailed,
    /// A bug.
    Internal,
}

impl Code {
    pub const ALL: [Self; 21] = [
        Self::BadRequest,
        Self::UnknownStream,
        Self::UnknownView,
        Self::UnknownGeneration,
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

    pub fn status(self) -> StatusCode {
        self.facts().1
    }

    fn facts(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRequest => ("bad_request", StatusCode::BAD_REQUEST),
            Self::UnknownStream => ("unknown_stream", StatusCode::NOT_FOUND),
            Self::UnknownView => ("unknown_view", StatusCode::NOT_FOUND),
            Self::UnknownGeneration => ("unknown_generation", StatusCode::NOT_FOUND),
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
    fn again(self) -> bool {
        matches!(self, Self::TooBusy | Self::Starting | Self::NotReady | Self::Unavailable)
    }

    /// The code of a status that says no more.
    fn of(status: StatusCode) -> Self {
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

/// An error as its client sees it.
#[derive(Debug)]
pub struct Failed {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: Option<String>,
    position: Option<Position>,
    sqlstate: Option<&'static str>,
    again: bool,
}

impl Failed {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            status: code.status(),
            code: code.name(),
            message: message.into(),
            hint: None,
            position: None,
            sqlstate: None,
            again: code.again(),
        }
    }

    /// An error of which no more is known than its status.
    pub fn of(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, ..Self::new(Code::of(status), message) }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is under `"error"`.
    pub(super) fn json(&self) -> Value {
        let mut json = json!({ "message": self.message, "code": self.code });
        if let Some(position) = self.position {
            json["line"] = position.line.into();
            json["column"] = position.column.into();
        }
        if let Some(hint) = &self.hint {
            json["hint"] = hint.as_str().into();
        }
        if let Some(sqlstate) = self.sqlstate {
            json["sqlstate"] = sqlstate.into();
        }
        json
    }
}

impl From<&QueryError> for Failed {
    fn from(error: &QueryError) -> Self {
        let status = StatusCode::from_u16(error.reason.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            code: error.reason.code(),
            message: error.message.clone(),
            hint: error.hint.clone(),
            position: error.position,
            sqlstate: Some(error.reason.sqlstate()),
            // A query changes nothing.
            again: status == StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let body = axum::Json(json!({ "error": self.json() }));
        match self.again {
            true => (self.status, [(header::RETRY_AFTER, "1")], body).into_response(),
            false => (self.status, body).into_response(),
        }
    }
}

impl IntoResponse for QueryError {
    fn into_response(self) -> Response {
        Failed::from(&self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::error::Reason;

    #[test]
    fn every_code_is_a_word_of_its_own_with_a_status_of_an_error() {
        let ours = Code::ALL.map(|code| (code.name(), code.status().as_u16()));
        let statements = Reason::ALL.map(|reason| (reason.code(), reason.http_status()));
        let mut seen = HashSet::new();
        for (name, status) in ours.into_iter().chain(statements) {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!((400..600).contains(&status), "{name}");
            // A statement and a process are not ready, and meet bugs, alike.
            assert!(seen.insert(name) || matches!(name, "not_ready" | "internal"), "{name}");
        }
    }

    #[test]
    fn only_what_is_safe_to_send_again_says_when() {
        let retry = |code| Failed::new(code, "").into_response().headers().contains_key(header::RETRY_AFTER);
        assert!(retry(Code::TooBusy) && retry(Code::Starting) && retry(Code::Unavailable));
        assert!(!retry(Code::OutcomeUnknown) && !retry(Code::Conflict) && !retry(Code::TooLarge));
    }
}
