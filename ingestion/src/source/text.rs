//! The text of a source with the place where it is read, for messages.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::SourceError;

/// What is held in memory for one record at most: a quote or bracket that is never closed ends here.
pub(super) const LONGEST_RECORD: usize = 16 * 1024 * 1024;

pub(super) struct Text {
    reader: Box<dyn BufRead + Send>,
    name: Arc<str>,
    longest: usize,
    line: u64,
    byte: u64,
}

impl Text {
    pub(super) fn new(name: Arc<str>, reader: Box<dyn BufRead + Send>, longest: usize) -> Self {
        Self { reader, name, longest, line: 1, byte: 0 }
    }

    /// Line of the next byte, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Some of the bytes that come next; none at the end.
    pub(super) fn fill(&mut self) -> Result<&[u8], SourceError> {
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(self.read_error(error));
            }
        }
        let (line, byte, name) = (self.line, self.byte, &self.name);
        self.reader.fill_buf().map_err(|error| SourceError::Read { name: name.to_string(), line, byte, error })
    }

    /// Moves past `n` bytes of what [`Self::fill`] returned, which held `newlines` of them.
    pub(super) fn consume(&mut self, n: usize, newlines: u64) {
        self.reader.consume(n);
        self.byte += n as u64;
        self.line += newlines;
    }

    /// Appends the next line to `line`, with its end; false when there is none.
    pub(super) fn read_line(&mut self, line: &mut Vec<u8>) -> Result<bool, SourceError> {
        let most = self.longest as u64 + 1;
        let n = match self.reader.by_ref().take(most).read_until(b'\n', line) {
            Ok(n) => n,
            Err(error) => return Err(self.read_error(error)),
        };
        self.check_length(line.len(), self.line)?;
        self.byte += n as u64;
        self.line += u64::from(line.last() == Some(&b'\n'));
        Ok(n > 0)
    }

    /// Refuses a record of `length` bytes so far that began at `line`.
    pub(super) fn check_length(&self, length: usize, line: u64) -> Result<(), SourceError> {
        if length <= self.longest {
            return Ok(());
        }
        Err(SourceError::TooLong { name: self.name.to_string(), line, byte: self.byte, limit: self.longest })
    }

    pub(super) fn truncated(&self, what: &'static str) -> SourceError {
        SourceError::Truncated { name: self.name.to_string(), what, line: self.line, byte: self.byte }
    }

    pub(super) fn after_array(&self) -> SourceError {
        SourceError::AfterArray { name: self.name.to_string(), line: self.line, byte: self.byte }
    }

    pub(super) fn no_array(&self) -> SourceError {
        let (looks_like, advice) = ("text without a JSON array", "see if it holds an object a line instead");
        SourceError::NotData { name: self.name.to_string(), looks_like, advice }
    }

    fn read_error(&self, error: io::Error) -> SourceError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.truncated("its gzip data");
        }
        SourceError::Read { name: self.name.to_string(), line: self.line, byte: self.byte, error }
    }
}

/// Newlines among `bytes`.
pub(super) fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}
