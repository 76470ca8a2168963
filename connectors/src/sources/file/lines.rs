//! A record per line, passed on unchanged: a line that is no record becomes a dead letter later.

use super::{
    Raw, SourceError,
    text::{LineFound, SourceText},
};

pub(super) struct Lines {
    text: SourceText,
}

impl Lines {
    pub(super) fn new(text: SourceText) -> Self {
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
pub(super) fn read(text: &mut SourceText) -> Result<Option<Raw>, SourceError> {
    let line = text.line();
    let mut value = Vec::new();
    Ok(match text.read_line(&mut value)? {
        LineFound::Line => Some(Raw { value, line, too_long: None }),
        LineFound::TooLong(bytes) => Some(Raw { value, line, too_long: Some(bytes) }),
        LineFound::Nothing => None,
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
