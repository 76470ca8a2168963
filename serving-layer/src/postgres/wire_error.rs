//! Errors as PostgreSQL's clients see them.

use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

use crate::error::QueryError;

/// The error with its position in `sql`.
pub(super) fn wire_error(error: QueryError, sql: &str) -> PgWireError {
    let mut info = ErrorInfo::new("ERROR".to_owned(), error.reason.sqlstate().to_owned(), error.message);
    info.severity_nonlocalized = Some("ERROR".to_owned());
    info.hint = error.hint;
    info.position = error.position.map(|position| position.character(sql).to_string());
    PgWireError::UserError(Box::new(info))
}

/// An error of the session itself.
pub(super) fn session_error(code: &str, message: impl Into<String>) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message.into())))
}
