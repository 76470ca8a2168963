//! A record a line, passed through as it is: a line that is no record becomes a dead letter later.

use super::{Raw, SourceError, text::Text};

pub(super) struct Lines {
    text: Text,
}

impl Lines {
    pub(super) fn new(text: Text) -> Self {
        Self { text }
    }

    /// The next line that is not blank, without its end.
    pub(super) fn next(&mut self) -> Result<Option<Raw>, SourceError> {
        let mut value = Vec::new();
        loop {
            let line = self.text.line();
            if !self.text.read_line(&mut value)? {
                return Ok(None);
            }
            if !value.trim_ascii().is_empty() {
                trim_end(&mut value);
                return Ok(Some(Raw { value, line }));
            }
            value.clear();
        }
    }
}

fn trim_end(line: &mut Vec<u8>) {
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
}
