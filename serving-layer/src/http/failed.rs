//! Errors for HTTP clients: one document for all routes of all processes.
//!
//! ```text
//! {"error": {"message": "..", "code": "unknown_view", "hint": "..", "line": 2, "column": 7, "sqlstate": "42P01"}}
//! ```
//! The last four are present where they are known. Programs decide by `code`, which does not change; `message` is for
//! people.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub use dovetail_api::error::Code;

use crate::error::QueryError;
use crate::position::SqlPosition;

/// An error as an HTTP answer.
#[derive(Debug)]
pub struct Failed {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: Option<String>,
    position: Option<SqlPosition>,
    sqlstate: Option<&'static str>,
    again: bool,
}

impl Failed {
    /// An error with the status of its code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            status: code.status(),
            code: code.name(),
            message: message.into(),
            hint: None,
            position: None,
            sqlstate: None,
            again: code.is_repeatable(),
        }
    }

    /// An error of which only the status is known.
    pub fn of(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, ..Self::new(Code::of(status), message) }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The object under `"error"`.
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
            // A retry is safe, because a query changes nothing.
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
            // Statements and processes share these two codes.
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
