//! A record per line, passed on unchanged: a line that is no record becomes a dead letter later.

use super::{
    Raw, SourceError,
    text::{Found, Text},
};

pub(super) struct Lines {
    text: Text,
}

impl Lines {
    pub(super) fn new(text: Text) -> Self {
        Self { text }
    }

    /// The next line that is not blank, without its end.
    pub(super) fn next(&mut self) -> Result<Option<Raw>, SourceError> {
        loop {
            match read(&mut self.text)? {
                Some(raw) if raw.is_blank() => {}
                raw => return Ok(raw.map(Raw::without_end)),
            }
        }
    }
}

/// The next line, with its end.
pub(super) fn read(text: &mut Text) -> Result<Option<Raw>, SourceError> {
    let line = text.line();
    let mut value = Vec::new();
    Ok(match text.read_line(&mut value)? {
        Found::Line => Some(Raw { value, line, too_long: None }),
        Found::TooLong(bytes) => Some(Raw { value, line, too_long: Some(bytes) }),
        Found::Nothing => None,
    })
}

impl Raw {
    pub(super) fn is_blank(&self) -> bool {
        self.too_long.is_none() && self.value.trim_ascii().is_empty()
    }

    pub(super) fn without_end(mut self) -> Self {
        while matches!(self.value.last(), Some(b'\n' | b'\r')) {
            self.value.pop();
        }
        self
    }
}
