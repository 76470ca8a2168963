//! The reason why a view cannot be folded.

/// The reason why a view cannot be folded, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, in lower case and without a full stop.
    pub message: String,
    /// The SQL to write instead.
    pub hint: String,
}

pub(super) fn refuse<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { message: message.into(), hint: hint.into() })
}
